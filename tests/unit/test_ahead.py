"""How many deployments are begun before their tests ask for them."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from keeper_support import until
from session_support import PASTA, FakeKeeper, session_of

from harness.scenario import Scenario
from harness.session import Session

MATRIX = [each for each in PASTA if each.settings.checks == "matrix"]
LIFE = [each for each in PASTA if each.settings.checks == "life"]


class Deployed:
    """A session that deploys nothing, and is told when each of its deployments is finished."""

    def __init__(self, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
        self.session = session
        self._finished: dict[str, threading.Event] = defaultdict(threading.Event)
        monkeypatch.setattr(session._deploying, "bring_up", self._bring_up)
        # Here two threads look whether more are to be begun; there it is the tests' one alone.
        self._alone, self._begin_more = threading.Lock(), session._begin_more
        monkeypatch.setattr(session, "_begin_more", self.begin_more)

    def _bring_up(self, scenario: Scenario, _: bool) -> Any:
        assert self._finished[scenario.id].wait(30)
        return SimpleNamespace(scenario=scenario)

    def begin_more(self) -> None:
        with self._alone:
            self._begin_more()

    def finish(self, *scenarios: Scenario) -> None:
        for each in scenarios:
            self._finished[each.id].set()

    def finished(self, scenario: Scenario) -> bool:
        return self.session._coming[scenario.id].done()

    def ask_for(self, scenario: Scenario) -> threading.Thread:
        """Have a test ask for a deployment, and wait for it."""
        test = threading.Thread(target=self.session.deploy, args=[scenario])
        test.start()
        return test

    def are_begun(self, scenarios: Sequence[Scenario]) -> bool:
        """Whether these have been begun, after a while, and no others."""
        until(lambda: len(self.session._begun) >= len(scenarios))
        self.begin_more()
        return sorted(self.session._begun) == sorted(each.id for each in scenarios)


@pytest.fixture
def deployed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    session = session_of(FakeKeeper(), tmp_path, ahead=4)
    made = Deployed(session, monkeypatch)
    yield made
    made.finish(*PASTA)
    session.close()


def test_what_waits_for_its_tests_keeps_no_other_from_being_deployed(deployed: Deployed) -> None:
    for scenario in MATRIX:
        deployed.session.plan(scenario, observe=True)
    test = deployed.ask_for(MATRIX[0])
    assert deployed.are_begun(MATRIX[:2])
    deployed.finish(MATRIX[1])
    assert deployed.are_begun(MATRIX[:3]), "a test still waits for the first one"
    deployed.finish(MATRIX[2])
    assert deployed.are_begun(MATRIX[:4])
    deployed.finish(MATRIX[3])
    assert until(lambda: deployed.finished(MATRIX[3]))
    assert deployed.are_begun(MATRIX[:4]), "memory is for four"
    deployed.finish(MATRIX[0])
    test.join(30)
    del deployed.session._coming[MATRIX[0].id]  # as it is once it has been taken down
    deployed.session.deploy(MATRIX[1])
    assert deployed.are_begun(MATRIX[:5])


def test_more_are_on_their_way_of_what_mostly_waits(deployed: Deployed) -> None:
    for scenario in (*LIFE[:3], *MATRIX[:2]):
        deployed.session.plan(scenario, observe=True)
    test = deployed.ask_for(LIFE[0])
    assert deployed.are_begun(LIFE[:3]), "there is no core for half of the next one"
    deployed.finish(LIFE[1])
    assert deployed.are_begun([*LIFE[:3], MATRIX[0]])
    deployed.finish(LIFE[0])
    test.join(30)


def test_where_there_is_one_machine_one_deployment_is_begun(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    only = SimpleNamespace(limit=1, prepare=lambda: None, close=list, proof="")
    monkeypatch.setattr(deployed.session._supply, "_stock", only)
    for scenario in MATRIX[:3]:
        deployed.session.plan(scenario, observe=True)
    test = deployed.ask_for(MATRIX[0])
    assert deployed.are_begun(MATRIX[:1])
    deployed.finish(MATRIX[0])
    test.join(30)
    assert deployed.are_begun(MATRIX[:1]), "its machine is there until it is taken down"
