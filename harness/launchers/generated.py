"""Units that `podman generate systemd` writes for a container that exists already."""

from __future__ import annotations

import shlex

from harness.launchers.container import ContainerLauncher


class GeneratedUnit(ContainerLauncher):
    """`podman create`, `podman generate systemd`, `systemctl enable --now`, as the guide says."""

    @property
    def _unit(self) -> str:
        assert self.scenario.table.unit is not None  # the scenario's table sees to it
        return f"{self.scenario.table.unit}.service"

    @property
    def _systemctl(self) -> str:
        return "systemctl" if self.user == "root" else "systemctl --user"

    @property
    def _folder(self) -> str:
        return "/etc/systemd/system" if self.user == "root" else "~/.config/systemd/user"

    def start(self) -> None:
        """Create the container, write its unit, and enable that."""
        name = shlex.quote(self.scenario.table.container)
        self.do(
            f"sh {self.file} && mkdir -p {self._folder} && "
            f"podman generate systemd {name} > {self._folder}/{self._unit} && "
            f"{self._systemctl} daemon-reload && {self._systemctl} enable --now {self._unit}"
        )

    def stop(self) -> None:
        """Disable the unit and remove it and the container."""
        name = shlex.quote(self.scenario.table.container)
        self.do(
            f"{self._systemctl} disable --now {self._unit} && rm {self._folder}/{self._unit} && "
            f"{self._systemctl} daemon-reload && podman rm --ignore {name}"
        )

    def log(self) -> str:
        """The unit's journal, and the container's output."""
        return self.machine.journal(self._unit, self.user) + super().log()
