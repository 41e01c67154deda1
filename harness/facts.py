"""What a machine has, and what podman and the mail server say of the container that was started.

These are asked of the machine and of the container, not over the network, so that they are no
probe of a `Site`. What cannot be asked is an observation whose outcome is `error`, and ends nothing.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING

from harness.errors import MachineError

if TYPE_CHECKING:
    from harness.launchers.base import Launcher
    from harness.machines.base import BaseMachine
    from harness.observations import Observations

WITHIN = 30.0
"""Seconds that one question may take."""
OF_THE_HOST = """\
case $(cat /sys/fs/selinux/enforce 2>/dev/null) in
1) echo enforcing;; 0) echo permissive;; *) echo absent;; esac
if systemd-detect-virt --quiet --container; then echo no; else echo yes; fi
"""
"""Asked at boot: these are not the image's, but those of the computer that it runs on."""
OF_THE_CONTAINER: Mapping[str, str] = {
    "network mode": ".HostConfig.NetworkMode",
    "image": ".ImageName",
    "hostname": ".Config.Hostname",
}
"""Subject → where podman has it."""


def of_machine(machine: BaseMachine) -> Mapping[str, str]:
    """What the machine is made of, and what of its host shows in it."""
    answers = machine.run(OF_THE_HOST).stdout.split() or ["error", "error"]
    return {**machine.facts, "selinux": answers[0], "kernel of its own": answers[-1]}


async def observe_container(launcher: Launcher, observations: Observations) -> None:
    """Record kind `container` (subjects: see `OF_THE_CONTAINER`) and `mail server` `mynetworks`.

    The outcome of the latter is Postfix's setting as it is in force, or `empty`.
    """
    container = shlex.quote(launcher.scenario.table.container)
    lines = "".join(f"{{{{println {where}}}}}" for where in OF_THE_CONTAINER.values())

    async def ask(command: str, kind: str, *subjects: str) -> None:
        try:
            done = await launcher.machine.run_async(command, launcher.user, within=WITHIN)
            error = f"status {done.status}: {done.stderr.strip()}" if done.status else ""
        except MachineError as gone:
            error = str(gone)
        if error:
            for subject in subjects:
                observations.record(kind, subject, "error", error=error)
            return
        for subject, outcome in zip(subjects, done.stdout.splitlines() or [""], strict=False):
            observations.record(kind, subject, outcome.strip() or "empty")

    await asyncio.gather(
        ask(
            f"podman inspect --type container --format '{lines}' {container}",
            "container",
            *OF_THE_CONTAINER,
        ),
        ask(f"podman exec {container} postconf -h mynetworks", "mail server", "mynetworks"),
    )
