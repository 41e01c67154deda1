"""Of all processes that wait to start a machine, the one that has waited longest is next."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from select import select

from keeper_support import until

from harness.memory_locks import FILE, LINE, alone, locks
from harness.room import Place, Room

ROOT = Path(__file__).parents[2]
EACH = 600
WITHIN = 20.0
STARTS_ONE = """
import sys
from pathlib import Path
from harness.room import Room
place = Room(Path(sys.argv[1]), cores=1, available=lambda: 1 << 40).ask()
place.wait(600, lambda why: None, lambda: False)
print("in", flush=True)
place.settle()
sys.stdin.readline()
"""


def room_of(cache: Path, budget: int = 0) -> Room:
    """One core for all: the next one starts when the one before has."""
    return Room(cache, budget, 64, 1, lambda: 1 << 40)


def in_line(cache: Path) -> int:
    with alone(cache / FILE) as file:
        return len(locks(file, LINE, 1 << 62))


class Waiting:
    """A place that a thread waits for."""

    def __init__(self, place: Place, megabytes: int = EACH) -> None:
        self.place = place
        self.is_over = threading.Event()
        self.is_in = threading.Event()
        self._megabytes = megabytes
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._thread.start()

    def _wait(self) -> None:
        if self.place.wait(self._megabytes, lambda _: None, self.is_over.is_set):
            self.is_in.set()

    def end(self) -> None:
        self.is_over.set()
        self._thread.join(WITHIN)
        assert not self._thread.is_alive()


@contextmanager
def process(cache: Path) -> Iterator[subprocess.Popen[str]]:
    """Another run, that waits to start a machine."""
    with subprocess.Popen(
        [sys.executable, "-c", STARTS_ONE, str(cache)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as made:
        try:
            assert until(lambda: in_line(cache) == 1, WITHIN)
            yield made
        finally:
            made.kill()


def goes_on(made: subprocess.Popen[str]) -> bool:
    assert made.stdout
    ready, _, _ = select([made.stdout], [], [], WITHIN)
    return bool(ready) and made.stdout.readline() == "in\n"


def test_run_that_starts_many_lets_another_one_in_between(tmp_path: Path) -> None:
    """It knows first that its own has started, and would take the room before any other looks."""
    many = room_of(tmp_path)
    first = many.ask()
    assert first.now(EACH)
    with process(tmp_path) as another:
        second = Waiting(many.ask())
        assert not second.is_in.is_set()
        first.settle()
        assert goes_on(another)
        assert second.is_in.wait(WITHIN)
        assert in_line(tmp_path) == 0


def test_the_first_in_line_is_next_and_not_who_looks_first(tmp_path: Path) -> None:
    running, waiting = room_of(tmp_path), room_of(tmp_path)
    first = running.ask()
    assert first.now(EACH)
    longest = Waiting(waiting.ask())
    assert until(lambda: in_line(tmp_path) == 1, WITHIN)
    after = Waiting(running.ask())
    assert until(lambda: in_line(tmp_path) == 2, WITHIN)
    first.settle()
    assert longest.is_in.wait(WITHIN)
    assert not after.is_in.is_set()
    longest.place.settle()
    assert after.is_in.wait(WITHIN)


def test_much_memory_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    """Smaller ones would fit meanwhile, and then others after them."""
    running, waiting = room_of(tmp_path, 3 * EACH), room_of(tmp_path, 3 * EACH)
    small = [running.ask() for _ in range(2)]
    for each in small:
        assert each.now(EACH)
        each.settle()
    large = Waiting(waiting.ask(), 2 * EACH)
    assert until(lambda: in_line(tmp_path) == 1, WITHIN)
    assert not running.ask().now(EACH)
    small[0].leave()
    assert large.is_in.wait(WITHIN)


def test_who_waits_no_longer_is_not_waited_for(tmp_path: Path) -> None:
    running, waiting = room_of(tmp_path), room_of(tmp_path)
    first = running.ask()
    assert first.now(EACH)
    over = Waiting(waiting.ask())
    assert until(lambda: in_line(tmp_path) == 1, WITHIN)
    over.end()
    assert in_line(tmp_path) == 0
    first.settle()
    assert running.ask().now(EACH)


def test_process_that_is_killed_is_not_waited_for(tmp_path: Path) -> None:
    running = room_of(tmp_path)
    first = running.ask()
    assert first.now(EACH)
    with process(tmp_path) as another:
        another.kill()
        another.wait()
        first.settle()
        assert running.ask().now(EACH)


def test_process_that_is_stopped_is_passed_over_and_comes_first_later(tmp_path: Path) -> None:
    running = room_of(tmp_path)
    first, second, third = (running.ask() for _ in range(3))
    assert first.now(EACH)
    with process(tmp_path) as another:
        another.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, another.pid, os.WSTOPPED)
        first.settle()
        assert second.now(EACH)
        another.send_signal(signal.SIGCONT)
        os.waitid(os.P_PID, another.pid, os.WCONTINUED)
        assert not third.now(EACH)
        second.settle()
        assert goes_on(another)


def test_one_that_is_in_a_hurry_lines_up_anew(tmp_path: Path) -> None:
    """The one before it in its process may not be looking any more: it would be waited for."""
    running, waiting = room_of(tmp_path), room_of(tmp_path)
    first = running.ask()
    assert first.now(EACH)
    ahead = Waiting(waiting.ask())
    assert until(lambda: in_line(tmp_path) == 1, WITHIN)
    asked_for = waiting.ask()
    asked_for.hurry()
    assert in_line(tmp_path) == 0
    hurries = Waiting(asked_for)
    first.settle()
    assert hurries.is_in.wait(WITHIN)
    assert not ahead.is_in.is_set()
    hurries.place.settle()
    assert ahead.is_in.wait(WITHIN)
