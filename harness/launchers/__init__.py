"""The ways in which an operator starts a mail server. A new one is a module and a line here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.launchers.quadlet import Quadlet

if TYPE_CHECKING:
    from harness.launchers.base import Launcher
    from harness.machines.base import BaseMachine
    from harness.scenario import Scenario
    from harness.scenario_table import LauncherName

LAUNCHERS: dict[LauncherName, type[Launcher]] = {"quadlet": Quadlet}


def launcher_for(scenario: Scenario, machine: BaseMachine) -> Launcher:
    """The launcher that a scenario names, for a machine."""
    return LAUNCHERS[scenario.table.launcher](scenario, machine)
