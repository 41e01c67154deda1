"""Which tests there are for which scenario variants, and in which order they run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, get_args

import pytest
from _pytest.compat import NOTSET

from harness.addresses import PEERS, vantages_of
from harness.keywords import may_match
from harness.site import Service

if TYPE_CHECKING:
    from harness.scenario import Scenario

CLIENTS = ("outside_lan_a", "localhost")
"""The places whose clients try what does not depend on where a client is: TLS and logins."""


def _clients(scenario: Scenario, families: str = "46") -> list[str]:
    return [
        vantage
        for vantage in scenario.reachable
        if vantage.startswith(CLIENTS) and vantage[-1] in families
    ]


def _plain_logins(scenario: Scenario, taken: bool) -> list[str]:
    known = {each.service for each in scenario.table.plain_login}
    begin_in_clear = ("smtp", "submission", "imap")
    return [name for name in begin_in_clear if (name in known) is taken]


def _banned(scenario: Scenario, kept_out: bool) -> list[str]:
    """The vantages that fail2ban is expected to keep out, or not: peers are not looked at."""
    said = {name for word in scenario.settings.expect.bans for name in vantages_of(word)}
    return [
        name
        for name in scenario.reachable
        if not name.startswith(PEERS) and (name in said) is kept_out
    ]


# What a test may ask for beside its scenario, and the values that it then gets, one a test.
VALUES: dict[str, Callable[[Scenario], Sequence[object]]] = {
    "vantage": lambda scenario: scenario.reachable,
    "unreachable_vantage": lambda scenario: scenario.unreachable,
    "machine_vantage": lambda scenario: [
        name for name in scenario.table.vantages if not name.startswith(PEERS)
    ],
    "tls_vantage": _clients,
    "login_vantage": lambda scenario: _clients(scenario, "4") or scenario.reachable[:1],
    "outside_vantage": lambda scenario: [
        name for name in _clients(scenario) if name.startswith("outside")
    ],
    "service": lambda scenario: [
        name for name in get_args(Service) if name in scenario.table.publish
    ],
    "closed_login": lambda scenario: _plain_logins(scenario, False),
    "plain_login": lambda scenario: _plain_logins(scenario, True),
    "closed_port": lambda scenario: scenario.closed_ports,
    "forwarded_port": lambda scenario: scenario.forwarded_ports,
    "outside_client": lambda scenario: [
        name for name in scenario.table.vantages if name.startswith("outside")
    ],
    "banned_vantage": lambda scenario: _banned(scenario, True),
    "unbanned_vantage": lambda scenario: _banned(scenario, False),
    "seen": lambda scenario: scenario.settings.seen,
    "open_relay_vantage": lambda scenario: [
        name for name in scenario.reachable if name in scenario.relays_from
    ],
    "closed_relay_vantage": lambda scenario: [
        name for name in scenario.reachable if name not in scenario.relays_from
    ],
}


def parametrize(metafunc: pytest.Metafunc, scenarios: Sequence[Scenario]) -> None:
    """Make one test for every scenario variant and value that a test function asks for.

    Only for the variants whose `checks` are among those that the marker `checks` names, by
    default `matrix`.
    """
    marker = metafunc.definition.get_closest_marker("checks")
    checks = marker.args if marker else ("matrix",)
    scenarios = [each for each in scenarios if each.settings.checks in checks]
    fails = metafunc.definition.get_closest_marker("must_fail") is not None
    scenarios = [one for one in scenarios if (one.settings.expect.fails is not None) is fails]
    if metafunc.definition.get_closest_marker("once_per_scenario"):
        scenarios = [each for each in scenarios if each.is_first]
    asked = [name for name in VALUES if name in metafunc.fixturenames]
    if expression := metafunc.config.getoption("keyword"):
        scenarios = [one for one in scenarios if _may_be_selected(metafunc, one, expression)]
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


@cache
def values_of(scenario: Scenario) -> frozenset[str]:
    """What tests of a variant are called by, beside their functions and the variant."""
    return frozenset(str(value) for values in VALUES.values() for value in values(scenario))


def _may_be_selected(metafunc: pytest.Metafunc, scenario: Scenario, expression: str) -> bool:
    """Whether `-k` can select any test of a function about a scenario variant."""
    test = metafunc.definition
    # Neither the session nor the project's folder count; the first two of the chain.
    names = {scenario.id, *scenario.words, *(node.name for node in test.listchain()[2:])}
    names |= {mark.name for mark in test.iter_markers()}
    # The beginning of the parameters: of some tests' they are the end as well.
    others = {f"[{scenario.id}-", f"[{scenario.id}]", *values_of(scenario)}
    for mark in test.iter_markers("parametrize"):
        others |= {str(value) for value in mark.args[1]}
    return may_match(expression, names, others)


def is_empty(item: object) -> bool:
    """Whether there is nothing to test.

    pytest makes a test only to say that there is no scenario variant for it, and one for every
    service that a test names as `login`, whether the scenario publishes that or not.
    """
    asked = getattr(item, "callspec", None)
    if asked is None or "scenario" not in asked.params:
        return False
    scenario = asked.params["scenario"]
    return scenario is NOTSET or asked.params.get("login", "smtp") not in scenario.table.publish


def places(items: Sequence[pytest.Item]) -> Callable[[pytest.Item], tuple[int, int, bool, int]]:
    """A sort key that keeps each variant's tests together and in order, its end last.

    All that is deployed once comes before anything that is deployed once more.

    Args:
        items: in the order in which they are written.
    """
    written = {item: position for position, item in enumerate(items)}
    scenarios: dict[str, int] = {}

    def place(item: pytest.Item) -> tuple[int, int, bool, int]:
        params = getattr(getattr(item, "callspec", None), "params", {})
        scenario: Scenario | None = params.get("scenario")
        ends = item.get_closest_marker("ends_deployment") is not None
        if scenario is None:
            return (0, -1, ends, written[item])
        variant = scenarios.setdefault(scenario.id, len(scenarios))
        return (scenario.repetition, variant, ends, written[item])

    return place
