"""A reset where there are no snapshots: everything is taken back, and looked at."""

from __future__ import annotations

from typing import Final

from harness import leaks
from harness.errors import MachineError
from harness.loop import wait_for
from harness.machines import golden
from harness.machines.base import BaseMachine
from harness.machines.rootfs import GUEST
from harness.machines.ssh.guard import STATE
from harness.machines.ssh.machine import LOAD, REMOVE_USER
from harness.mailserver.image import NAME, Say

_ARCHIVE: Final = f"{STATE}/image.tar"
_RESTORE: Final = f"python3 -I {STATE}/restore.py {STATE}/base.json"
WITHIN: Final = 600.0
"""Seconds for each step."""


class TearDown:
    """How a machine was before its first deployment, and how it becomes so again.

    Args:
        machine: provisioned, with the image; nothing was deployed on it yet.
    """

    def __init__(self, machine: BaseMachine) -> None:
        machine.succeed(f"mkdir -p {STATE}")
        machine.copy_to(GUEST / "restore.py", f"{STATE}/restore.py")
        machine.succeed(f"podman save --quiet --output {_ARCHIVE} {NAME}", within=WITHIN)
        machine.succeed(f"{_RESTORE} keep", within=WITHIN)
        self._before = wait_for(leaks.look(machine))

    def put_back(self, machine: BaseMachine, say: Say) -> None:
        """Make it so again.

        Raises:
            HarnessError: it does not answer, or something of it is not as it was.
        """
        machine.succeed(REMOVE_USER, within=WITHIN)
        machine.succeed(f"{_RESTORE} put-back", within=WITHIN)
        golden.provision(machine, say)
        home = f"/home/{machine.user}"
        machine.succeed(f"install -m 644 {_ARCHIVE} {home}/image.tar")
        machine.succeed(f"chown {machine.user} {home}/image.tar")
        machine.succeed(LOAD, machine.user, within=WITHIN)
        left = leaks.left_behind(self._before, wait_for(leaks.look(machine)))
        if left:
            raise MachineError(f"{machine.name} is not as it was: {'; '.join(left)}")
