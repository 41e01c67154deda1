"""What the Quadlet launcher says of a unit that does not start, on a machine that is none."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.errors import CommandError
from harness.launchers.base import START_WITHIN
from harness.launchers.quadlet import Quadlet

JOBS = "60 dms.service start waiting\n77 other.service start running\n"


class Machine:
    """Starts nothing, and has jobs to tell of or none."""

    user = "mailop"

    def __init__(self, jobs: str) -> None:
        self.jobs = jobs
        self.within: list[float] = []

    def succeed(self, command: str, user: str, within: float) -> str:
        self.within.append(within)
        raise CommandError(f"{command} did not end within {within:.0f} s", "it had written: a")

    def run(self, command: str, user: str) -> Any:
        assert command.startswith("systemctl --user list-jobs")
        return SimpleNamespace(stdout=self.jobs)


def refusal(machine: Machine, within: float | None = None) -> str:
    settings = SimpleNamespace(expect=SimpleNamespace(within=within))
    table = SimpleNamespace(user="rootless", unit="dms")
    scenario: Any = SimpleNamespace(table=table, settings=settings)
    given: Any = machine
    with pytest.raises(CommandError) as raised:
        Quadlet(scenario, given).start()
    return str(raised.value)


def test_a_start_that_waits_names_what_it_waits_for() -> None:
    said = refusal(Machine(JOBS))
    assert "systemctl --user start dms did not end" in said
    assert said.index("60 dms.service start waiting") < said.index("77 other.service start running")
    assert "it had written: a" in said


def test_a_start_that_failed_is_reported_as_it_is() -> None:
    said = refusal(Machine("\n"))
    assert "did not end" in said
    assert "jobs" not in said


def test_the_scenario_may_say_how_long_it_waits() -> None:
    machine = Machine("")
    refusal(machine)
    refusal(machine, within=6)
    assert machine.within == [START_WITHIN, 6]
