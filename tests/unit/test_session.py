"""A machine that boots before anybody asked for it is used where it fits, or taken down."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import pytest
from session_support import PASTA, SCENARIOS, FakeKeeper, session_of

from harness.errors import DeploymentError, HostError, MachineError
from harness.machines.nspawn import NspawnMachine
from harness.memory_locks import held
from harness.room import Room
from harness.scenario_file import load
from harness.session import Session

IPV4_ONLY = load(SCENARIOS / "rootless_pasta_ipv4_only")[0]


@pytest.fixture
def keeper() -> FakeKeeper:
    return FakeKeeper()


@pytest.fixture
def session(keeper: FakeKeeper, tmp_path: Path) -> Iterator[Session]:
    session = session_of(keeper, tmp_path)
    yield session
    session.close()


def machine_of(session: Session, number: int = 0) -> NspawnMachine:
    machine = session._deploying._new(PASTA[number]).machine
    assert isinstance(machine, NspawnMachine)
    return machine


def test_first_deployment_takes_the_machine_that_boots_already(
    session: Session, keeper: FakeKeeper
) -> None:
    session.boot_ahead(PASTA[1])  # any that needs a machine like it
    first, second = machine_of(session, 0), machine_of(session, 1)
    assert keeper.started == [first.name]
    began = first.begun
    assert began is not None
    assert second.begun is None
    first.start()
    assert keeper.started == [first.name]
    assert first.begun == began


def test_machine_on_another_network_is_not_taken(session: Session, keeper: FakeKeeper) -> None:
    session.boot_ahead(IPV4_ONLY)
    assert machine_of(session).begun is None
    session.close()
    assert keeper.removed == keeper.started == ["m1"]


def test_machine_that_could_not_be_started_is_replaced(
    session: Session, keeper: FakeKeeper
) -> None:
    keeper.refused = {"m1"}
    session.boot_ahead(PASTA[0])
    machine = machine_of(session)
    assert (machine.name, machine.begun) == ("m2", None)
    assert keeper.removed == ["m1"]


def test_keeper_that_nobody_asked_for_is_closed(session: Session, keeper: FakeKeeper) -> None:
    session.close()
    assert keeper.is_closed
    with pytest.raises(HostError, match="the run has ended"):
        assert session.keeper


@pytest.mark.parametrize("asked_for", [True, False])
def test_keeper_that_did_not_start_is_told_to_whoever_asks(tmp_path: Path, asked_for: bool) -> None:
    coming: Future[Any] = Future()
    coming.set_exception(HostError("no room"))
    image: Any = SimpleNamespace(label="an image")
    session = Session(
        tmp_path, image, coming, lambda _: cast("Any", None), lambda _: None, at_once=1
    )
    if asked_for:
        with pytest.raises(HostError, match="no room"):
            assert session.keeper
    session.close()


class FailingDeployment:
    """One that fails as it is told to: `boot`, `up` or `observe`; or whose machine ends."""

    fails_in = ""
    down_at: ClassVar[list[str]] = []
    failure: DeploymentError | None = None
    scenario = PASTA[0]

    def __init__(
        self, _: object, machine: NspawnMachine, observations: object, *__: object
    ) -> None:
        self.name, self.observations = machine.name, observations
        self.machine = SimpleNamespace(ended=self._ended)

    def _step(self, name: str) -> None:
        if name == self.fails_in:
            raise MachineError(f"{self.name} fails in {name}")

    def boot(self) -> None:
        self._step("boot")

    def up(self) -> None:
        self._step("up")

    def observe(self) -> None:
        self._step("observe")

    def _ended(self) -> str:
        return "killed" if self.fails_in == "ended" else ""

    @property
    def is_down(self) -> bool:
        return self.name in self.down_at

    def down(self) -> list[str]:
        self.down_at.append(self.name)
        return [f"something of {self.name}"]


@pytest.mark.parametrize(
    ("fails_in", "machines"),
    [("boot", ["m1", "m2"]), ("up", ["m1"]), ("observe", ["m1"]), ("ended", ["m1"])],
)
def test_machine_of_a_deployment_that_failed_is_given_back_at_once(
    tmp_path: Path,
    keeper: FakeKeeper,
    monkeypatch: pytest.MonkeyPatch,
    fails_in: str,
    machines: list[str],
) -> None:
    """Where there is one virtual machine, the next deployment would wait for it for ever."""
    monkeypatch.setattr("harness.deployment.Deployment", FailingDeployment)
    monkeypatch.setattr(FailingDeployment, "fails_in", fails_in)
    monkeypatch.setattr(FailingDeployment, "down_at", [])
    session = session_of(keeper, tmp_path)
    session.plan(PASTA[0], observe=True)
    with pytest.raises(MachineError):
        session.deploy(PASTA[0])
    assert FailingDeployment.down_at == machines
    with pytest.raises(HostError, match="something of m1"):
        session.close()


def test_full_disk_is_no_failure_of_the_mail_server(
    tmp_path: Path, keeper: FakeKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    failure = DeploymentError("podman: write /var/lib/x: No space left on device")
    monkeypatch.setattr("harness.deployment.Deployment", FailingDeployment)
    monkeypatch.setattr(FailingDeployment, "failure", failure)
    monkeypatch.setattr(FailingDeployment, "down_at", [])
    session = session_of(keeper, tmp_path)
    with pytest.raises(HostError, match="disk, which is this computer's, is full"):
        session.deploy(PASTA[0])
    assert FailingDeployment.down_at == ["m1"]
    with pytest.raises(HostError, match="something of m1"):
        session.close()


def test_deployments_wait_for_memory_in_order_and_give_it_back(
    tmp_path: Path, keeper: FakeKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One at a time: the second is let in when the first one is down, and not before."""
    monkeypatch.setattr("harness.deployment.Deployment", FailingDeployment)
    monkeypatch.setattr(FailingDeployment, "down_at", [])
    monkeypatch.setattr(
        FailingDeployment, "down", lambda self: self.down_at.append(self.name) or []
    )
    session = session_of(keeper, tmp_path, Room(tmp_path, budget=700, starting=2))
    for scenario in PASTA[:3]:
        session.plan(scenario, observe=True)
    first = session.deploy(PASTA[0])
    assert [each.megabytes for each in held(tmp_path)] == [600]
    assert not session._coming[PASTA[1].id].done()
    session.retire(PASTA[0])
    second = session.deploy(PASTA[1])
    assert FailingDeployment.down_at == ["m1"]
    assert (first.machine, second.machine) != (None, None)
    session.close()
    assert held(tmp_path) == []


def test_machine_that_boots_already_has_the_room_of_whoever_takes_it(
    tmp_path: Path, keeper: FakeKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.deployment.Deployment", FailingDeployment)
    monkeypatch.setattr(FailingDeployment, "down_at", [])
    monkeypatch.setattr(FailingDeployment, "down", lambda _: [])
    session = session_of(keeper, tmp_path, Room(tmp_path, budget=700))
    session.boot_ahead(PASTA[0])
    session.plan(PASTA[0], observe=False)
    session.planned()
    session.deploy(PASTA[0])
    assert len(held(tmp_path)) == 1
    session.close()


def test_machine_that_nobody_can_use_makes_room(
    tmp_path: Path, keeper: FakeKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.deployment.Deployment", FailingDeployment)
    monkeypatch.setattr(FailingDeployment, "down_at", [])
    monkeypatch.setattr(FailingDeployment, "down", lambda _: [])
    session = session_of(keeper, tmp_path, Room(tmp_path, budget=700))
    session.boot_ahead(IPV4_ONLY)
    session.plan(PASTA[0], observe=False)
    session.planned()
    session.deploy(PASTA[0])  # would wait for ever
    assert keeper.removed == ["m1"]
    session.close()


def test_run_that_ends_does_not_wait_for_memory(
    tmp_path: Path, keeper: FakeKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Room(tmp_path, budget=700).ask()
    assert other.now(600)
    session = session_of(keeper, tmp_path, Room(tmp_path, budget=700))
    session.plan(PASTA[0], observe=False)
    assert session.keeper
    session._begin(PASTA[0].id)
    session.close()
    with pytest.raises(MachineError, match="the run ended before there was room for it"):
        session._begun[PASTA[0].id].result(10)
    other.leave()
