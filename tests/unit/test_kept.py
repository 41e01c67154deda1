"""What `--keep` keeps, and what it does not; that machines live on is shown by whole runs."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from keeper_support import ROOT_ONLY

from harness.errors import HostError
from harness.keeper.client import Keeper
from harness.keeper.runtime import MARKER, SOCKET
from harness.kept import leave, marker
from harness.kept.options import Keep, insist
from harness.machines.choice import Choice
from harness.machines.options import MachineOptions
from harness.machines.stock import USUAL
from harness.machines.supply import MEMORY
from harness.memory import MEMORY_PER_DEPLOYMENT
from harness.memory_locks import held
from harness.pytest_run import Run
from harness.room import Room
from harness.scenario import Scenario
from harness.scenario_file import load
from harness.session import Session

SCENARIOS = Path(__file__).parents[2] / "scenarios"
FIRST, SECOND = load(SCENARIOS / "rootless_pasta_quadlet")[:2]
REFUSED = "machine m1 does not run"


class FakeDeployment:
    """Remembers what became of it."""

    failure = None

    def __init__(self, scenario: Scenario, name: str, ended: str = "") -> None:
        self.scenario = scenario
        self.machine = SimpleNamespace(name=name, ended=lambda: ended)
        self.is_down = False
        self.fate = ""

    def down(self) -> list[str]:
        self.is_down, self.fate = True, "down"
        return []

    def leave(self) -> None:
        self.is_down, self.fate = True, "left"


class FakeKeeper:
    """One that only ends."""

    is_closed = False

    def call(self, *_: object, **__: object) -> dict[str, Any]:
        return {"swept": []}

    def is_gone(self) -> bool:
        return False

    def close(self) -> str:
        self.is_closed = True
        return ""


class Scene:
    """A session with two deployments that are up, and what it lets its keeper go on with."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, budget: int = 0) -> None:
        self.free = 4 * MEMORY_PER_DEPLOYMENT
        self.keeper = FakeKeeper()
        self.said: list[str] = []
        self.left: list[str] = []
        self.holding: list[int] = []
        self.refuses = False
        keeper: Future[Any] = Future()
        keeper.set_result(self.keeper)
        image: Any = SimpleNamespace(label="an image")
        stock: Any = SimpleNamespace(close=list, proof="", limit=None, prepare=lambda: None)
        room = Room(folder, budget, starting=2, available=lambda: self.free)
        self.session = Session(
            folder, image, keeper, lambda _: stock, self.said.append, 2, room, keep=Keep.FAILING
        )
        assert self.session.stock is stock
        self.first, self.second = (
            FakeDeployment(each, f"m{number}") for number, each in enumerate((FIRST, SECOND), 1)
        )
        for each in (self.first, self.second):
            self.put(each)
        monkeypatch.setattr(leave, "leave", self._leave)

    def put(self, deployment: FakeDeployment) -> None:
        """Have the session believe that it has deployed it."""
        coming: Future[Any] = Future()
        coming.set_result(deployment)
        self.session._coming[deployment.scenario.id] = coming
        self.session._deploying.made.append(cast("Any", deployment))
        place = self.session._supply.place(USUAL)
        assert place.now(MEMORY)
        place.settle()
        self.session._deploying.places[deployment.scenario.id] = place

    def _leave(self, _: object, deployments: list[Any], *others: Any) -> str:
        if self.refuses:
            raise OSError(REFUSED)
        self.holding = [os.dup(each) for each in others[-1]]
        self.left = [each.machine.name for each in deployments]
        return ""


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    scene = Scene(tmp_path, monkeypatch)
    yield scene
    scene.session.close()


def test_what_is_kept_outlives_the_session_and_nothing_else_does(scene: Scene) -> None:
    scene.session.keep(FIRST)
    scene.session.retire(SECOND)
    scene.session.close()
    assert (scene.first.fate, scene.second.fate) == ("left", "down")
    assert scene.left == ["m1"]
    assert not scene.keeper.is_closed


def test_nothing_is_kept_where_nobody_asked(scene: Scene) -> None:
    scene.session.retire(FIRST)
    scene.session.close()
    assert (scene.first.fate, scene.second.fate) == ("down", "down")
    assert (scene.left, scene.keeper.is_closed) == ([], True)


def test_whoever_interrupts_keeps_nothing(scene: Scene) -> None:
    scene.session.keep(FIRST)
    scene.session.keep_nothing()
    scene.session.close()
    assert (scene.first.fate, scene.left, scene.keeper.is_closed) == ("down", [], True)


class _StoppedByOption(KeyboardInterrupt):
    """As pytest and xdist raise it for `-x` and the like."""


@pytest.mark.parametrize(
    ("by", "keeps"),
    [
        (KeyboardInterrupt(), False),
        (pytest.exit.Exception("enough"), False),
        (_StoppedByOption(), True),
    ],
)
def test_a_deployment_that_is_let_go_after_an_interruption_is_not_kept(
    by: BaseException, keeps: bool
) -> None:
    run = Run(cast("Any", SimpleNamespace(getoption=lambda _: "always")))
    assert run.keeps(FIRST)
    run.pytest_keyboard_interrupt(cast("Any", SimpleNamespace(value=by)))
    assert run.keeps(FIRST) is keeps


def test_a_tear_down_that_fails_keeps_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted() -> list[str]:
        raise KeyboardInterrupt

    scene.session.keep(FIRST)
    monkeypatch.setattr(scene.second, "down", interrupted)
    with pytest.raises(KeyboardInterrupt):
        scene.session.close()
    assert (scene.left, scene.keeper.is_closed) == ([], True)


def test_a_machine_that_has_ended_is_not_kept(scene: Scene) -> None:
    scene.put(gone := FakeDeployment(FIRST, "m3", ended="systemd-nspawn ended with status 1"))
    scene.session.keep(FIRST)
    scene.session.close()
    assert (gone.fate, scene.left) == ("down", [])
    assert scene.said == [f"{FIRST.id} is not kept: systemd-nspawn ended with status 1"]


def test_what_there_is_no_memory_for_is_not_kept(scene: Scene) -> None:
    scene.free = MEMORY_PER_DEPLOYMENT - 1
    scene.session.keep(FIRST)
    scene.session.close()
    assert (scene.first.fate, scene.left) == ("down", [])
    assert scene.said == [f"{FIRST.id} is not kept: there are 599 MB of memory left"]


def test_what_the_budget_has_no_room_for_beside_another_one_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(tmp_path, monkeypatch, budget=3 * MEMORY - 1)
    scene.session.keep(FIRST)
    scene.session.keep(SECOND)
    scene.session.close()
    assert scene.left == ["m1"]
    assert scene.said == [
        f"{SECOND.id} is not kept: with it, machines that are kept would have 1200 of the 1799 MB"
        " that all may have together, and one more takes 600"
    ]
    for each in scene.holding:
        os.close(each)


def test_what_is_kept_holds_its_memory_until_it_ends(scene: Scene, tmp_path: Path) -> None:
    scene.session.keep(FIRST)
    scene.session.retire(SECOND)
    scene.session.close()
    (kept,) = held(tmp_path)
    assert (kept.megabytes, kept.is_kept, kept.is_starting) == (MEMORY, True, False)
    narrow = Room(tmp_path, 2 * MEMORY - 1, available=lambda: scene.free).ask()
    with pytest.raises(HostError, match="machines that are kept have 600 MB") as error:
        narrow.now(MEMORY)
    assert "clean --kept" in error.value.hint
    narrow.leave()
    # As soon as nothing else has any, one more is let in, however little is free.
    scene.free = 1
    other = Room(tmp_path, available=lambda: scene.free).ask()
    assert other.now(MEMORY)
    other.leave()
    for each in scene.holding:
        os.close(each)
    assert held(tmp_path) == []


def test_a_keeper_that_cannot_go_on_takes_down_and_that_is_an_error(scene: Scene) -> None:
    scene.refuses = True
    scene.session.keep(FIRST)
    with pytest.raises(HostError, match=f"nothing could be kept: {REFUSED}"):
        scene.session.close()
    assert scene.keeper.is_closed


@pytest.mark.parametrize("keep", [Keep.FAILING, Keep.ALWAYS])
@pytest.mark.parametrize(("kind", "machine"), [("vagrant", "vagrant"), ("ssh", "ssh:host")])
def test_machines_that_are_not_ours_alone_cannot_be_kept(
    kind: str, machine: str, keep: Keep
) -> None:
    with pytest.raises(HostError, match=f"--keep {keep} with --machine {machine}: ") as error:
        insist(keep, Choice(kind, "asked for", MachineOptions(machine)))
    assert "dms-harness shell SCENARIO" in error.value.hint
    insist(Keep.NEVER, Choice(kind, "asked for", MachineOptions(machine)))
    insist(keep, Choice("nspawn", "asked for", MachineOptions()))


def test_a_marker_without_a_living_keeper_says_nothing(tmp_path: Path) -> None:
    note = {"cache": "/c", "pid": 1, "since": 0.0, "run": "/r", "keep": "always", "machines": []}
    path = tmp_path / MARKER
    path.write_text(json.dumps(note), encoding="utf-8")
    assert marker.read(path) is None
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / SOCKET))
        listening.listen()
        kept = marker.read(path)
        assert kept is not None
        assert (kept.cache, kept.run, kept.keep) == (Path("/c"), Path("/r"), "always")
    assert marker.read(path) is None


@ROOT_ONLY
def test_a_keeper_goes_on_with_running_machines_only(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path / "cache", "t", with_store=False)
    with pytest.raises(OSError, match="machine m1 does not run"):
        keeper.outlive(["m1"], {})
    assert not keeper.is_gone()
    assert keeper.close() == ""


@ROOT_ONLY
def test_a_keeper_without_its_run_ends_when_it_is_told_to(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path / "cache", "t", with_store=False)
    pid = keeper._process.pid
    path = keeper.outlive([], {"run": "/r", "keep": "always", "machines": []})
    os.kill(pid, 0)
    kept = marker.read(path)
    assert kept is not None
    assert (kept.pid, kept.cache) == (pid, tmp_path / "cache")
    assert path.stat().st_mode & 0o077 == 0
    kept.end()
    assert not path.exists()
    assert os.waitpid(pid, 0)[1] == 0
    assert list((tmp_path / "cache" / "ledger").iterdir()) == []
