"""The ways in which an operator starts a mail server. A new one is a module and a line here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.launchers.compose import Compose, PodmanCompose
from harness.launchers.generated import GeneratedUnit
from harness.launchers.quadlet import Quadlet
from harness.launchers.run import PodmanRun

if TYPE_CHECKING:
    from harness.launchers.base import Launcher
    from harness.machines.base import BaseMachine
    from harness.scenario import Scenario
    from harness.scenario_words import LauncherName

LAUNCHERS: dict[LauncherName, type[Launcher]] = {
    "quadlet": Quadlet,
    "compose": Compose,
    "podman_compose": PodmanCompose,
    "run": PodmanRun,
    "generated_unit": GeneratedUnit,
}


def launcher_for(scenario: Scenario, machine: BaseMachine) -> Launcher:
    """The launcher that a scenario names, for a machine."""
    return LAUNCHERS[scenario.table.launcher](scenario, machine)
