"""The guard of somebody's own host, on a folder of this computer's in place of the host."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

GUARD = Path(__file__).parents[2] / "harness" / "machines" / "guest" / "guard.py"


class Guarded:
    """A guard that follows this test's orders."""

    def __init__(self, state: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-I", GUARD, state], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.hello = self.read()

    def read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        told: dict[str, Any] = json.loads(self.process.stdout.readline())
        return told

    def send(self, **order: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"number": 1, **order}).encode() + b"\n")
        self.process.stdin.flush()

    def order(self, **order: object) -> dict[str, Any]:
        self.send(**order)
        return self.read()

    def make(self, file: Path, undo: str = "") -> dict[str, Any]:
        return self.order(
            do="change", what=file.name, run=f"touch {file}", undo=undo or f"rm -f {file}"
        )

    def end(self) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.close()
        told = self.read()
        self.process.wait(10)
        return told


@pytest.fixture
def guard(tmp_path: Path) -> Iterator[Guarded]:
    made = Guarded(tmp_path / "state")
    yield made
    made.process.kill()
    made.process.wait()


def test_the_end_of_the_orders_undoes_the_last_change_first(guard: Guarded, tmp_path: Path) -> None:
    for name in "abc":
        assert guard.make(tmp_path / name)["status"] == 0
    assert (tmp_path / "c").exists()
    assert guard.end() == {"undone": ["c", "b", "a"], "stuck": []}
    assert not (tmp_path / "a").exists()
    assert not (tmp_path / "state").exists()  # nor is anything of its own left


def test_what_undoes_a_change_is_noted_before_it_is_made(guard: Guarded, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    guard.order(
        do="change", what="x", run=f"cp {tmp_path}/state/undo.jsonl {seen}", undo="echo undone"
    )
    assert json.loads(seen.read_text()) == {"what": "x", "undo": "echo undone"}


def test_a_change_that_failed_is_undone_as_well(guard: Guarded, tmp_path: Path) -> None:
    half = tmp_path / "half"
    failed = guard.order(
        do="change", what="h", run=f"touch {half}; echo no >&2; exit 7", undo=f"rm {half}"
    )
    assert (failed["status"], failed["output"]) == (7, "no\n")
    guard.end()
    assert not half.exists()


def test_a_part_is_undone_and_the_rest_is_kept(guard: Guarded, tmp_path: Path) -> None:
    guard.make(tmp_path / "a")
    guard.make(tmp_path / "b")
    assert guard.order(do="undo", keep=1)["undone"] == ["b"]
    assert (tmp_path / "a").exists()
    assert guard.order(do="count")["count"] == 1


def test_what_cannot_be_undone_stays_noted_and_is_tried_again(
    guard: Guarded, tmp_path: Path
) -> None:
    guard.make(tmp_path / "a")
    guard.make(tmp_path / "b", undo=f"test -e {tmp_path}/key || {{ echo locked; exit 1; }}")
    guard.make(tmp_path / "c")
    assert guard.end() == {"undone": ["c", "a"], "stuck": ["b: locked"]}
    (tmp_path / "key").touch()
    again = Guarded(tmp_path / "state")
    assert again.hello == {"undone": ["b"], "stuck": []}
    again.end()


def test_a_guard_that_was_killed_is_followed_by_one_that_undoes(
    guard: Guarded, tmp_path: Path
) -> None:
    guard.make(tmp_path / "a")
    guard.process.kill()
    guard.process.wait()
    assert (tmp_path / "a").exists()
    done = subprocess.run(
        [sys.executable, "-I", GUARD, tmp_path / "state", "--undo"], capture_output=True, check=True
    )
    assert json.loads(done.stdout) == {"undone": ["a"], "stuck": []}
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_guard_that_is_told_to_end_undoes_first(
    guard: Guarded, tmp_path: Path, number: signal.Signals
) -> None:
    guard.make(tmp_path / "a")
    os.kill(guard.process.pid, number)
    guard.process.wait(10)
    assert not (tmp_path / "a").exists()


def test_one_host_has_one_guard(guard: Guarded, tmp_path: Path) -> None:
    guard.make(tmp_path / "a")
    second = Guarded(tmp_path / "state")
    assert second.hello == {"error": "another run is using this host"}
    assert second.process.wait(10) == 3
    assert (tmp_path / "a").exists()


def test_silence_is_an_end_and_a_beat_is_no_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = importlib.util.spec_from_file_location("guard", GUARD)
    assert spec is not None
    assert spec.loader is not None
    guard = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(guard)
    state = tmp_path / "state"
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(reading, 0)
        os.close(writing)
        os._exit(guard.main(state, False, patience=0.5))
    change = {"do": "change", "number": 1, "what": "a", "undo": f"rm {tmp_path}/a"}
    os.write(writing, json.dumps({**change, "run": f"touch {tmp_path}/a"}).encode() + b"\n")
    for _ in range(10):
        time.sleep(0.1)  # the time is what is tested
        os.write(writing, b'{"do": "beat"}\n')
    assert (tmp_path / "a").exists()
    assert os.waitpid(pid, 0)[1] == 0
    assert not (tmp_path / "a").exists()
    os.close(writing)
    os.close(reading)
