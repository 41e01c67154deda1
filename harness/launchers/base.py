"""What every launcher does with the operator's files, once they are in their places."""

from __future__ import annotations

import shlex
from abc import ABC, abstractmethod

from harness.machines.base import BaseMachine
from harness.machines.execution import Completed
from harness.scenario import Scenario

START_WITHIN = 120.0
"""Seconds until a launcher must have started or stopped it: systemd gives up after 90 s by default
and says why, a mail server takes 25 s to stop."""


class Launcher(ABC):
    """Starts and stops one scenario's mail server on one machine, as its operator would.

    Attributes:
        user: who does it on the machine: root, or the user who runs rootless containers.
    """

    def __init__(self, scenario: Scenario, machine: BaseMachine) -> None:
        self.scenario = scenario
        self.machine = machine
        self.user = "root" if scenario.table.user == "root" else machine.user

    @property
    def start_within(self) -> float:
        """Seconds until the launcher must have started it, as the scenario says or by default."""
        return self.scenario.settings.expect.within or START_WITHIN

    @abstractmethod
    def start(self) -> None:
        """Start it; return when the launcher says that it has started.

        Raises:
            CommandError: the launcher says that it has not.
        """

    @abstractmethod
    def stop(self) -> None:
        """Stop it, and remove what the operator would remove.

        Raises:
            CommandError: the launcher says that it did not stop.
        """

    @abstractmethod
    def trouble(self) -> str:
        """Why a mail server that does not answer never will, or nothing while it still may."""

    @abstractmethod
    def log(self) -> str:
        """What the launcher and the container have written."""

    async def exec_async(self, command: str, within: float = 60.0) -> Completed:
        """Run a command inside the container."""
        container = shlex.quote(self.scenario.table.container)
        return await self.machine.run_async(
            f"podman exec {container} {command}", self.user, within=within
        )
