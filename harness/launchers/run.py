"""A `podman run` command line in a file."""

from __future__ import annotations

import shlex

from harness.launchers.container import ContainerLauncher


class PodmanRun(ContainerLauncher):
    """`sh podman-run.sh`; the operator stops and removes the container by hand."""

    def start(self) -> None:
        """Run the file."""
        self.do(f"sh {self.file}")

    def stop(self) -> None:
        """Stop the container and remove it."""
        name = shlex.quote(self.scenario.table.container)
        self.do(f"podman stop {name} && podman rm --ignore {name}")
