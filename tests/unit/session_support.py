"""A session whose keeper keeps nothing, for tests of what it deploys when."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from harness.machines.golden import Golden
from harness.machines.shell import Login
from harness.room import Room
from harness.scenario_file import load
from harness.session import Session

SCENARIOS = Path(__file__).parents[2] / "scenarios"
PASTA = load(SCENARIOS / "rootless_pasta_quadlet")


class FakeKeeper:
    """Remembers what it was asked for; `refused` names machines that cannot be started."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.removed: list[str] = []
        self.refused: set[str] = set()
        self.is_closed = False

    def call(self, verb: str, name: str = "", **_: object) -> dict[str, Any]:
        if verb == "start_machine":
            self.started.append(name)
            if name in self.refused:
                raise OSError("no more machines")
        if verb == "remove_machine":
            self.removed.append(name)
        return {"swept": [], "console": "/nonexistent", "left": []}

    def is_gone(self) -> bool:
        return self.is_closed

    def close(self) -> str:
        self.is_closed = True
        return ""


def session_of(
    keeper: FakeKeeper, folder: Path, room: Room | None = None, ahead: int = 0
) -> Session:
    """A session with two deployments on their way at a time."""
    made: Any = Golden(cast("Any", keeper), "golden", Login(folder / "key", None), {})
    coming: Future[Any] = Future()
    coming.set_result(keeper)
    image: Any = SimpleNamespace(label="an image")
    return Session(folder, image, coming, lambda _: made, lambda _: None, 2, room, ahead=ahead)
