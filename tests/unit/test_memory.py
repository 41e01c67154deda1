"""Machines start as memory and cores allow: over all processes, in order, and nobody for ever."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from keeper_support import until
from terminal_support import project, run

from harness.errors import HostError
from harness.memory import MEGABYTE, available_memory, budget_of
from harness.memory_locks import FILE, held, lock
from harness.progress import ENDS, FOR_MEMORY, WAITS, Reader
from harness.room import Place, Room

ROOT = Path(__file__).parents[2]
PLENTY = 1 << 40
EACH = 600
WITHIN = 20.0

TAKES = """
import sys
from pathlib import Path
from harness.room import Room
room = Room(Path(sys.argv[1]), budget=int(sys.argv[2]), cores=64, available=lambda: 1 << 40)
for line in sys.stdin:
    place = room.ask()
    place.wait(600, lambda why: print(why, flush=True), lambda: False)
    print("in", flush=True)
    sys.stdin.readline()
    place.leave()
    print("out", flush=True)
"""


def room_of(cache: Path | None, budget: int = 0, starting: int = 64, cores: int = 64) -> Room:
    return Room(cache, budget, starting, cores, lambda: PLENTY)


def lets_in(place: Place) -> bool:
    """Whether there is room for one at this moment."""
    return place.now(EACH)


def never() -> bool:
    return False


class Other:
    """Another process that takes room when it is told to, and gives it back."""

    def __init__(self, cache: Path, budget: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", TAKES, str(cache), str(budget)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def say(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def hears(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()


@contextmanager
def other(cache: Path, budget: int) -> Iterator[Other]:
    made = Other(cache, budget)
    try:
        yield made
    finally:
        made.process.kill()
        made.process.communicate()


def test_kernel_adds_up_what_several_processes_have(tmp_path: Path) -> None:
    assert held(tmp_path) == []
    own = room_of(tmp_path).ask()
    assert lets_in(own)
    with other(tmp_path, 0) as one, other(tmp_path, 0) as two:
        for each in (one, two):
            each.say()
            assert each.hears() == "in"
        assert [each.megabytes for each in held(tmp_path)] == [EACH] * 3
        own.leave()
        assert sum(each.megabytes for each in held(tmp_path)) == 2 * EACH
        one.say()
        assert one.hears() == "out"
        assert sum(each.megabytes for each in held(tmp_path)) == EACH


def test_all_is_seen_in_whatever_order_it_lies_there(tmp_path: Path) -> None:
    with ExitStack() as files:
        for start in (5000, 1, 3000):
            file = files.enter_context((tmp_path / FILE).open("a+b"))
            lock(file.fileno(), fcntl.F_WRLCK, start, EACH)
        assert [each.start for each in held(tmp_path)] == [1, 3000, 5000]


def test_process_waits_is_told_why_and_goes_on_when_another_gives_back(tmp_path: Path) -> None:
    own = room_of(tmp_path, EACH + 1).ask()
    assert lets_in(own)
    with other(tmp_path, EACH + 1) as waiting:
        waiting.say()
        assert waiting.hears() == (
            "waits for memory: machines have 600 of the 601 MB that they may have together,"
            " and one more takes 600"
        )
        assert len(held(tmp_path)) == 1
        own.leave()
        assert waiting.hears() == "in"


def test_process_that_is_killed_has_nothing_any_more(tmp_path: Path) -> None:
    with other(tmp_path, EACH) as holding, other(tmp_path, EACH) as waiting:
        holding.say()
        assert holding.hears() == "in"
        waiting.say()
        assert waiting.hears().startswith("waits for memory")
        holding.process.send_signal(signal.SIGKILL)
        assert waiting.hears() == "in"


def test_processes_in_a_crowd_never_take_more_than_the_budget(tmp_path: Path) -> None:
    """Four processes take room twenty times each; somebody looks all the time."""
    crowd = """
import sys
from pathlib import Path
from harness.room import Room
from harness.memory_locks import held
cache = Path(sys.argv[1])
room = Room(cache, 1300, cores=64, available=lambda: 1 << 40)
for _ in range(20):
    place = room.ask()
    assert place.wait(600, lambda why: None, lambda: False)
    for _ in range(50):
        print(sum(each.megabytes for each in held(cache)), flush=True)
    place.leave()
"""
    words = [sys.executable, "-c", crowd, str(tmp_path)]
    crowds = [
        subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    seen: list[int] = []
    while any(each.poll() is None for each in crowds):
        seen.append(sum(each.megabytes for each in held(tmp_path)))
    seen += [int(line) for each in crowds for line in each.communicate()[0].split()]
    assert [each.returncode for each in crowds] == [0] * 4
    assert max(seen) == 2 * EACH  # and so many at a time were there
    assert held(tmp_path) == []


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_places_are_given_in_the_order_in_which_they_were_asked_for(tmp_path: Path) -> None:
    """The tests go on with the first: were the others let in before, it would wait for ever."""
    room = room_of(tmp_path, EACH)
    blocking, *places = [room.ask() for _ in range(4)]
    assert lets_in(blocking)
    let_in: list[int] = []

    def waiting(number: int) -> None:
        assert places[number].wait(EACH, lambda _: None, never)
        let_in.append(number)

    threads = [in_thread(lambda n=n: waiting(n)) for n in (2, 1, 0)]  # type: ignore[misc]
    blocking.leave()
    for number in range(3):
        assert until(lambda n=number: len(let_in) > n, WITHIN)  # type: ignore[misc]
        assert let_in == [*range(number + 1)]
        places[number].leave()
    for thread in threads:
        thread.join(WITHIN)


def test_deployment_that_is_asked_for_comes_before_those_made_ahead(tmp_path: Path) -> None:
    room = room_of(tmp_path, EACH)
    ahead, asked_for = room.ask(), room.ask()
    asked_for.hurry()
    assert not lets_in(ahead)
    assert lets_in(asked_for)


def test_no_more_start_at_a_time_than_there_are_cores_for_all_processes(tmp_path: Path) -> None:
    one, two = room_of(tmp_path, cores=1), room_of(tmp_path, cores=1)
    first, second = one.ask(), two.ask()
    assert lets_in(first)
    told: list[str] = []
    thread = in_thread(lambda: second.wait(EACH, told.append, never))
    thread.join(0.5)
    assert thread.is_alive()
    first.settle()
    thread.join(WITHIN)
    assert not thread.is_alive()
    assert told == []  # it is a matter of seconds
    assert sorted(each.is_starting for each in held(tmp_path)) == [False, True]


def test_no_more_of_a_process_start_at_a_time_than_it_may() -> None:
    room = room_of(None, starting=1)
    first, second, third = (room.ask() for _ in range(3))
    assert lets_in(first)
    assert not lets_in(second)
    first.settle()
    assert lets_in(third)


@pytest.mark.parametrize(
    ("megabytes", "settled", "fits"),
    [
        (1199, False, False),  # the one that starts has not taken its own yet
        (1200, False, True),
        (899, True, False),  # half of what one has is for pages
        (900, True, True),
    ],
)
def test_without_a_budget_what_is_available_counts(
    tmp_path: Path, megabytes: int, settled: bool, fits: bool
) -> None:
    room = Room(tmp_path, 0, 64, 64, lambda: megabytes * MEGABYTE)
    first = room.ask()
    assert lets_in(first)
    if settled:
        first.settle()
    assert lets_in(room.ask()) is fits


def test_there_is_always_room_for_one(tmp_path: Path) -> None:
    room = Room(tmp_path, 0, 64, 64, lambda: 0)
    assert lets_in(room.ask())


def test_who_waits_when_the_run_ends_waits_no_longer(tmp_path: Path) -> None:
    room = room_of(tmp_path, EACH)
    first, second = room.ask(), room.ask()
    assert lets_in(first)
    over = threading.Event()
    answers: list[bool] = []
    thread = in_thread(lambda: answers.append(second.wait(EACH, lambda _: None, over.is_set)))
    over.set()
    thread.join(WITHIN)
    assert answers == [False]
    second.leave()
    assert len(held(tmp_path)) == 1


def test_budget_that_is_too_small_for_one_machine_is_an_error() -> None:
    with pytest.raises(HostError, match=r"--memory-budget 599: a machine takes 600 MB"):
        room_of(None, 599).check(EACH)


def test_budget_comes_from_the_option_or_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DMS_HARNESS_MEMORY_BUDGET", raising=False)
    assert budget_of(0) == 0
    monkeypatch.setenv("DMS_HARNESS_MEMORY_BUDGET", "4096")
    assert (budget_of(0), budget_of(700)) == (4096, 700)
    for wrong in ("4 GB", "-1"):
        monkeypatch.setenv("DMS_HARNESS_MEMORY_BUDGET", wrong)
        with pytest.raises(HostError, match="no number of megabytes"):
            budget_of(0)


def test_memory_is_that_of_this_computer() -> None:
    assert 0 < available_memory() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


# -- whole runs ----------------------------------------------------------------------------------


def at_once(folder: Path) -> list[int]:
    """How many deployments there were, each time one began or was gone."""
    there: set[str] = set()
    counts = []
    for event in Reader(next(folder.glob("runs/2*"))).new():
        if event.of and event.of != "machine" and event.doing not in (WAITS, FOR_MEMORY):
            if event.doing not in ENDS:
                there.add(event.of)
            elif event.doing in ("gone", "error"):
                there.discard(event.of)
            counts.append(len(there))
    return counts


@pytest.mark.parametrize("workers", [(), ("-n", "8")], ids=["alone", "eight workers"])
def test_run_in_little_memory_is_slower_and_passes(
    tmp_path: Path, workers: tuple[str, ...]
) -> None:
    folder = project(tmp_path)
    done = run(folder, "rootless_pasta_quadlet and permit", "--memory-budget=1300", *workers)
    assert done.returncode == pytest.ExitCode.OK, done.stdout
    assert max(at_once(folder)) == 2


def test_budget_for_less_than_a_machine_ends_the_run_at_once(tmp_path: Path) -> None:
    done = run(project(tmp_path), "rootless_pasta_quadlet", "--memory-budget=100")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "ERROR: --memory-budget 100: a machine takes 600 MB" in done.stdout
