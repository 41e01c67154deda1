"""Quadlet: systemd units that podman generates from `.container` files."""

from __future__ import annotations

from harness.errors import CommandError
from harness.launchers.base import START_WITHIN, Launcher

RESTARTS = 2
"""A unit that systemd has restarted so often is in a loop: the container exits at once."""


class Quadlet(Launcher):
    """`systemctl daemon-reload`, then `systemctl start UNIT`, of the system or of the user."""

    @property
    def _unit(self) -> str:
        assert self.scenario.table.unit is not None  # the scenario's table sees to it
        return self.scenario.table.unit

    @property
    def _systemctl(self) -> str:
        return "systemctl" if self.user == "root" else "systemctl --user"

    def start(self) -> None:
        """Have the unit generated and start it."""
        try:
            self.machine.succeed(
                f"{self._systemctl} daemon-reload && {self._systemctl} start {self._unit}",
                self.user,
                self.start_within,
            )
        except CommandError as error:
            # One that has not ended says nothing: what it waits for is another unit.
            jobs = self.machine.run(f"{self._systemctl} list-jobs --plain --no-legend", self.user)
            if not jobs.stdout.strip():
                raise
            raise CommandError(
                f"{error.message}\nsystemd's jobs:\n{jobs.stdout.rstrip()}", error.hint
            ) from None

    def stop(self) -> None:
        """Stop the unit, which also removes the container."""
        self.machine.succeed(f"{self._systemctl} stop {self._unit}", self.user, START_WITHIN)

    def trouble(self) -> str:
        """Tell a unit that has failed, or that starts over and over again."""
        unit = self._unit
        shown = self.machine.run(
            f"{self._systemctl} show --value -p ActiveState -p NRestarts {unit}", self.user
        )
        state, _, restarts = shown.stdout.strip().partition("\n")
        if not restarts.isdigit():
            state, restarts = restarts, state
        if state == "failed":
            return f"{unit}.service has failed"
        if int(restarts or 0) >= RESTARTS:
            return f"{unit}.service was restarted {restarts} times"
        return ""

    def log(self) -> str:
        """The unit's journal, which holds the container's output as well."""
        return self.machine.journal(self._unit, self.user)
