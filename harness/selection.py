"""Which tests there are for which scenario variants, and in which order they run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, get_args

import pytest

from harness.addresses import vantage_names
from harness.scenario import Scenario
from harness.site import Service

# What a test may ask for beside its scenario, and the values that it then gets, one a test.
VALUES: dict[str, Callable[[Scenario], Sequence[object]]] = {
    "vantage": lambda _: vantage_names(),
    "tls_vantage": lambda _: [
        name for name in vantage_names() if name.startswith(("outside_lan_a", "localhost"))
    ],
    "service": lambda scenario: [
        name for name in get_args(Service) if name in scenario.table.publish
    ],
    "closed_port": lambda scenario: scenario.closed_ports,
    "open_relay_vantage": lambda scenario: [
        name for name in vantage_names() if name in scenario.relays_from
    ],
    "closed_relay_vantage": lambda scenario: [
        name for name in vantage_names() if name not in scenario.relays_from
    ],
}


def parametrize(metafunc: pytest.Metafunc, scenarios: Sequence[Scenario]) -> None:
    """Make one test for every scenario variant and value that a test function asks for."""
    if metafunc.definition.get_closest_marker("once_per_scenario"):
        scenarios = [each for each in scenarios if each.is_first]
    asked = [name for name in VALUES if name in metafunc.fixturenames]
    rows: list[tuple[Any, ...]] = [(scenario,) for scenario in scenarios]
    for name in asked:
        rows = [(*row, value) for row in rows for value in VALUES[name](row[0])]
    metafunc.parametrize(
        ["scenario", *asked],
        rows,
        indirect=["scenario"],
        # A session fixture's parameter: with a smaller scope every test would deploy anew.
        scope="session",
        ids=["-".join(str(value) for value in row) for row in rows],
    )


def places(items: Sequence[pytest.Item]) -> Callable[[pytest.Item], tuple[int, bool, int]]:
    """A sort key that keeps each variant's tests together and in order, its end last.

    Args:
        items: in the order in which they are written.
    """
    written = {item: position for position, item in enumerate(items)}
    scenarios: dict[str, int] = {}

    def place(item: pytest.Item) -> tuple[int, bool, int]:
        params = getattr(getattr(item, "callspec", None), "params", {})
        scenario = str(params.get("scenario", ""))
        variant = scenarios.setdefault(scenario, len(scenarios)) if scenario else -1
        return (variant, item.get_closest_marker("ends_deployment") is not None, written[item])

    return place
