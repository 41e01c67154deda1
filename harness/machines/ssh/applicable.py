"""Which scenario variants can be judged on a host that somebody has.

The rule is computed from what a variant does, not a list of names: it must be undone afterwards,
and what it needs of a machine the host must have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from harness.scenario_parts import Step

if TYPE_CHECKING:
    from harness.scenario import Scenario

PASTA_OPTIONS = 5
"""The first podman whose configuration has options for pasta."""
NEEDED = {
    "pasta": "pasta",
    "slirp4netns": "slirp4netns",
    "compose": "docker-compose",
    "podman_compose": "podman-compose",
}
"""A scenario's launcher or network → what of `look.LAUNCHED_WITH` it needs."""
FIRST_UID = 1000
"""Whom scenarios mean that name a user by number: the first on a host of its own."""


def why_not(scenario: Scenario, facts: Mapping[str, str]) -> str:
    """Why a variant cannot be judged there, or nothing.

    Args:
        scenario: the variant.
        facts: what the host is made of.
    """
    table = scenario.table
    lacks = {NEEDED.get(table.launcher), NEEDED.get(table.network)} & set(facts["lacks"].split())
    if lacks:
        return f"the host has no {', '.join(sorted(map(str, lacks)))}"
    version = re.search(r"\d+", facts["podman"])
    if table.network == "pasta" and (version is None or int(version[0]) < PASTA_OPTIONS):
        return (
            f"podman before {PASTA_OPTIONS}.0 cannot be told which of the host's addresses pasta"
            " takes"
        )
    settings = scenario.settings
    if "reboot" in settings.events.values():
        return "it reboots the machine, and the host is somebody's own"
    if scenario.second_interface is not None:
        return "its machine has a second network interface"
    if settings.checks == "throughput":
        return "it measures how fast the machine is, which others use as well"
    by_root = "root" if scenario.table.user == "root" else None
    steps = [each for each in settings.events.values() if isinstance(each, Step)]
    steps += [*scenario.prepare, *scenario.table.disturb]
    if any("--reload" in f"{step.run} {step.undo}" for step in steps):
        return "it reloads firewalld, which forgets what somebody has set for the time being only"
    for name, event in settings.events.items():
        if (
            isinstance(event, Step)
            and not event.undo
            and event.user in ("root", by_root and "operator")
        ):
            return f"its event {name} is root's, and nothing says how it is undone"
    for seen in settings.seen:
        if seen.run is not None and seen.user in ("root", by_root and "operator"):
            return f"root asks for {seen.of!r}, and nothing says how what that changes is undone"
    for step in (*scenario.prepare, *scenario.table.disturb):
        if step.user in ("root", by_root and "operator") and not step.undo:
            return "a step is root's, and nothing says how it is undone"
    for text in _texts(scenario):
        if f"@{FIRST_UID}" in text or f"/run/user/{FIRST_UID}" in text:
            return f"it names the user by the number {FIRST_UID}, which is another's on the host"
    return ""


def _texts(scenario: Scenario) -> Iterator[str]:
    """What of a scenario an operator has written."""
    for step in (*scenario.prepare, *scenario.settings.events.values()):
        if isinstance(step, Step):
            yield step.run
    for seen in scenario.settings.seen:
        yield f"{seen.run or ''} {seen.is_}"
    for name in scenario.place:
        for file in scenario.files(name).values():
            yield _text(file)


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace")
