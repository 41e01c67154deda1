"""Testinfra's view of a machine: its files, users, sockets and services."""

from __future__ import annotations

from typing import Any

from testinfra.backend import base
from testinfra.host import Host

from harness.machines.base import BaseMachine


class _Backend(base.BaseBackend):
    """Runs testinfra's commands over the connections that the machine already has."""

    NAME = "dms-harness"

    def __init__(self, machine: BaseMachine, user: str) -> None:
        super().__init__(machine.name)
        self._machine = machine
        self._user = user

    def run(self, command: str, *args: str, **_: Any) -> base.CommandResult:
        """Run a command as the user that this view is for."""
        quoted = self.quote(command, *args)
        done = self._machine.run(quoted, self._user)
        return self.result(done.status, quoted.encode(), done.stdout.encode(), done.stderr.encode())


def host_of(machine: BaseMachine, user: str = "root") -> Host:
    """A testinfra host whose commands run as `user`."""
    return Host(_Backend(machine, user))
