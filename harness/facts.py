"""What a machine has, and what podman and the mail server say of the container that was started.

These are asked of the machine and of the container, not over the network, so that they are no
probe of a `Site`. Where one cannot be asked, that is an observation with the outcome `error`.
"""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import MachineError

if TYPE_CHECKING:
    from harness.launchers.base import Launcher
    from harness.machines.base import BaseMachine
    from harness.observations import Json, Observations

WITHIN = 30.0
"""Seconds that one question may take."""
OF_THE_HOST = """\
case $(cat /sys/fs/selinux/enforce 2>/dev/null) in
1) echo enforcing;; 0) echo permissive;; *) echo absent;; esac
if systemd-detect-virt --quiet --container; then echo no; else echo yes; fi
"""
"""Asked at boot: these are not the image's, but those of the computer that it runs on."""
SELINUX = Path("/sys/fs/selinux/enforce")
"""Where the kernel has SELinux, and nowhere else."""
NAMES = ("selinux", "kernel of its own")
"""What `OF_THE_HOST` answers, in its order."""
LISTENER = re.compile(r'users:\(\("([^"]+)"')
"""The process that listens on a port, in the words of `ss`."""
OF_THE_CONTAINER: Mapping[str, str] = {
    "network mode": ".HostConfig.NetworkMode",
    "image": ".ImageName",
    "hostname": ".Config.Hostname",
}
"""Subject → where podman has it."""


def of_machine(machine: BaseMachine) -> Mapping[str, str]:
    """Of which kind the machine is, what it is made of, and what of its host shows in it."""
    return {"kind": machine.kind, **machine.facts, **of_kernel(machine)}


def of_kernel(machine: BaseMachine) -> dict[str, str]:
    """What of its host shows in a machine: `NAMES`."""
    answers = machine.run(OF_THE_HOST).stdout.split() or ["error", "error"]
    return dict(zip(NAMES, (answers[0], answers[-1]), strict=True))


def of_shared_kernel() -> dict[str, str]:
    """What is known of any machine that shares this computer's kernel, before it boots."""
    return {} if SELINUX.exists() else {"selinux": "absent"}


def of_listener(machine: BaseMachine, port: int) -> tuple[str, str]:
    """The process that listens on a machine's port, or `nothing`, and the line of `ss` about it."""
    shown = machine.run(f"ss -Hltnp sport = :{port}").stdout
    listening = LISTENER.search(shown)
    return listening.group(1) if listening else "nothing", shown.strip()


async def observe_container(launcher: Launcher, observations: Observations) -> None:
    """Record kind `container` (subjects: see `OF_THE_CONTAINER`) and `mail server` `mynetworks`.

    The outcome of the latter is Postfix's setting as it is in force, or `empty`.
    """
    container = shlex.quote(launcher.scenario.table.container)
    lines = "".join(f"{{{{println {where}}}}}" for where in OF_THE_CONTAINER.values())

    (said, wrong), (networks, why) = await asyncio.gather(
        _ask(launcher, f"podman inspect --type container --format '{lines}' {container}"),
        _ask(launcher, f"podman exec {container} postconf -h mynetworks"),
    )
    for subject, outcome in zip_longest(OF_THE_CONTAINER, said, fillvalue="error"):
        observations.record("container", subject, outcome, None, **wrong)
    outcome = "error" if why else " ".join(networks) or "empty"
    observations.record("mail server", "mynetworks", outcome, None, **why)


async def _ask(launcher: Launcher, command: str) -> tuple[list[str], dict[str, Json]]:
    """The lines that a command writes; or none, and the evidence of why."""
    try:
        done = await launcher.machine.run_async(command, launcher.user, within=WITHIN)
    except MachineError as error:
        return [], {"error": str(error)}
    if done.status != 0:
        return [], {"error": f"`{command}` failed with status {done.status}: {done.stderr}"}
    return [line.strip() for line in done.stdout.splitlines() if line.strip()], {}
