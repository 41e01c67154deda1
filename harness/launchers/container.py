"""What launchers have in common that leave a container behind, and no unit that looks after it."""

from __future__ import annotations

import json
import shlex
from pathlib import PurePosixPath

from harness.launchers.base import Launcher
from harness.scenario_words import FILE_OF

RESTARTS = 2
"""A container that podman has restarted so often is in a loop: it exits at once."""


class ContainerLauncher(Launcher):
    """Works in the folder of the operator's file."""

    @property
    def file(self) -> str:
        """The name of the operator's file in its folder."""
        return FILE_OF[self.scenario.table.launcher]

    def do(self, command: str) -> None:
        """Run a command in the folder of the operator's file, as the operator.

        Raises:
            CommandError: it failed.
        """
        folder = str(PurePosixPath(self.scenario.place[self.file]).parent)
        # Quotes would keep the shell from knowing what ~ stands for.
        self.machine.succeed(f"cd {folder} && {command}", self.user, self.start_within)

    def trouble(self) -> str:
        """Tell a container that has exited, or that starts over and over again."""
        name = self.scenario.table.container
        shown = self.machine.run(f"podman inspect {shlex.quote(name)}", self.user)
        if shown.status != 0:
            return f"there is no container {name}: {shown.stderr.strip()}"
        (container,) = json.loads(shown.stdout)
        state = container["State"]
        if container.get("RestartCount", 0) >= RESTARTS:
            return f"the container {name} was restarted {container['RestartCount']} times"
        if state["Status"] in ("exited", "stopped", "dead"):
            return f"the container {name} has exited with status {state['ExitCode']}"
        return ""

    def log(self) -> str:
        """The container's output."""
        name = shlex.quote(self.scenario.table.container)
        done = self.machine.run(f"podman logs {name} 2>&1", self.user)
        return done.stdout
