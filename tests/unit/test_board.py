"""What is on its way is put together from all processes' events, and told in the right words."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from keeper_support import until

from harness.progress import (
    ERROR,
    FAILED,
    FILE,
    GONE,
    MACHINE,
    PLANS,
    SAYS,
    UP,
    WAITS,
    Event,
    Progress,
    Reader,
)
from harness.report import live
from harness.report.board import Board, waited_for
from harness.report.screen import Screen


def happened(board: Board, *events: tuple[str, str, float], by: str = "") -> list[str]:
    told = [
        board.take(
            Event(of, doing, "why\nmore" if doing == FAILED else "", by, at), each_phase=False
        )
        for of, doing, at in events
    ]
    return [line for line in told if line]


def test_deployment_is_told_once_with_its_phases() -> None:
    board = Board()
    (line,) = happened(
        board,
        ("a", WAITS, 10.0),
        ("a", "boot", 20.0),
        ("a", "start", 23.0),
        ("a", UP, 28.0),
        ("a", "down", 30.0),
        ("a", GONE, 31.0),
    )
    assert line == "a: up after 8 s (boot 3, start 5)"
    assert board.rows(40.0) == []


def test_what_did_not_come_up_says_why() -> None:
    board = Board()
    (line,) = happened(board, ("a", "boot", 1.0), ("a", FAILED, 2.0))
    assert line == "a: did not come up after 1 s (boot 1): why"
    assert happened(board, ("b", ERROR, 3.0)) == []  # it never began: pytest says why


def test_rows_are_what_is_being_done_now() -> None:
    board = Board()
    happened(board, ("a", WAITS, 0.0), ("b", WAITS, 0.0), ("a", "boot", 1.0), ("a", "start", 5.0))
    assert board.rows(7.0) == [("start", 2.0, "a")]
    assert board.waiting == 1


def test_processes_are_told_apart_and_added_up() -> None:
    board = Board()
    for by, count in (("gw0", "3"), ("gw1", "4")):
        board.take(Event("", PLANS, count, by), each_phase=False)
        happened(board, ("a", "boot", 0.0), by=by)
    happened(board, ("a", UP, 1.0), by="gw0")
    assert board.rows(1.0) == [("boot", 1.0, "a")]
    happened(board, ("a", FAILED, 1.0), by="gw1")
    assert board.counts() == "1 of 7 up, 1 did not come up"


def test_machine_is_shown_until_something_boots_on_it() -> None:
    board = Board()
    happened(board, (MACHINE, "installing packages", 0.0))
    happened(board, ("a", WAITS, 1.0))
    assert board.rows(2.0) == [("installing packages", 2.0, MACHINE)]
    happened(board, ("a", "boot", 3.0))
    assert board.rows(4.0) == [("boot", 1.0, "a")]


def test_each_phase_is_told_where_it_is_wanted() -> None:
    board = Board()
    events = [Event("a", WAITS), Event("a", "boot"), Event(MACHINE, "x"), Event("", SAYS, "hello")]
    told = [board.take(event, each_phase=True) for event in events]
    assert told == ["", "a: boot", "", "hello"]


def test_longest_is_waited_for_first() -> None:
    rows = [("boot", float(number), f"v{number}") for number in range(5)]
    assert waited_for(rows) == "v4 (boot, 4 s), v3 (boot, 3 s), v2 (boot, 2 s), 2 more"


def test_events_are_read_once_and_half_a_line_is_none(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    assert reader.new() == []
    first, second = Progress(tmp_path, "gw0"), Progress(tmp_path, "gw1")
    first.note("a", "boot")
    second.say("hello")
    told = [(e.of, e.doing, e.text, e.by) for e in reader.new()]
    assert told == [("a", "boot", "", "gw0"), ("", SAYS, "hello", "gw1")]
    with (tmp_path / FILE).open("a") as file:
        file.write('{"of": "a", "doi')
    assert reader.new() == []
    with (tmp_path / FILE).open("a") as file:
        file.write("\n")
    second.note("b", "boot")
    assert [event.of for event in reader.new()] == ["b"]


# The screen


class Shown(io.StringIO):
    encoding = "utf-8"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    os.set_blocking(read, False)
    yield read, write
    os.close(read)


def drawn(read: int) -> str:
    try:
        return os.read(read, 65536).decode()
    except BlockingIOError:
        return ""


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Screen, "size", lambda _: os.terminal_size((10, 5)))


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize(
    ("written", "column"),
    [("", 0), ("abc", 3), ("x\nab", 2), ("abc\rd", 1), ("\x1b[32m.\x1b[0m.", 2), ("a" * 13, 3)],
)
def test_cursor_is_put_back_where_pytest_left_it(
    pipe: tuple[int, int], written: str, column: int
) -> None:
    screen = Screen(Shown(), pipe[1])
    screen.write(written)
    screen.show(["one", "two"])
    back = f"\x1b[{column}C" if column else ""
    assert drawn(pipe[0]) == f"\x1b[J\none\ntwo\x1b[2A\r{back}"
    screen.close()


@pytest.mark.usefixtures("narrow")
def test_nothing_is_shown_where_the_cursor_hangs_behind_the_last_column(
    pipe: tuple[int, int],
) -> None:
    screen = Screen(Shown(), pipe[1])
    screen.write("a" * 20)
    screen.show(["one"])
    assert drawn(pipe[0]) == ""
    screen.write("a")
    screen.show(["one"])
    assert "one" in drawn(pipe[0])
    screen.close()


@pytest.mark.usefixtures("narrow")
def test_what_pytest_writes_takes_the_place_of_what_is_shown(pipe: tuple[int, int]) -> None:
    file = Shown()
    screen = Screen(file, pipe[1])
    screen.write("..")
    screen.show(["one"])
    drawn(pipe[0])
    screen.write("F")
    assert drawn(pipe[0]) == "\x1b[J"
    assert file.getvalue() == "..F"
    screen.say("note")
    assert drawn(pipe[0]) == "\nnote\n"
    screen.say("another")
    assert drawn(pipe[0]) == "another\n"
    screen.close()
    screen.write("end")  # pytest goes on
    assert file.getvalue() == "..Fend"


def test_characters_that_a_terminal_has_not_are_replaced(pipe: tuple[int, int]) -> None:
    file = Shown()
    file.encoding = "ascii"  # type: ignore[misc]
    screen = Screen(file, pipe[1])
    screen.write("nowhere – … → ü\udcff")
    assert file.getvalue() == "nowhere - ... -> ??"
    screen.close()


# Where there is no terminal


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, pipe: tuple[int, int]) -> list[str]:
    """What is said without a terminal, with a heart that beats fast."""
    lines: list[str] = []

    def outputs(_: object) -> tuple[Screen, Any]:
        return Screen(Shown(), pipe[1]), lines.append

    monkeypatch.setattr(live, "_outputs", outputs)
    monkeypatch.setattr(live, "TICK", 0.01)
    monkeypatch.setattr(live, "HEARTBEAT", 0.2)
    return lines


def test_long_wait_says_what_it_waits_for_now_and_then(tmp_path: Path, said: list[str]) -> None:
    started = time.time()
    shown = live.Live(tmp_path, SimpleNamespace(hasmarkup=False), live.Way.LINES, started)
    progress = Progress(tmp_path)
    progress.note("a", "probes")
    assert until(lambda: len(said) >= 2, 10.0)
    progress.note("a", UP)
    assert until(lambda: "up after" in said[-1], 10.0)
    shown.close()
    beats = [float(line[1:].split()[0]) for line in said[:-1]]
    assert all("still on its way: a (probes, " in line for line in said[:-1])
    assert min(b - a for a, b in zip([0.0, *beats], beats, strict=False)) > 0.09


def test_nothing_on_its_way_is_no_reason_to_speak(tmp_path: Path, said: list[str]) -> None:
    shown = live.Live(tmp_path, SimpleNamespace(hasmarkup=False), live.Way.LINES, time.time())
    Progress(tmp_path).note("a", WAITS)
    assert not until(lambda: said, 0.6)
    shown.close()


def test_quiet_run_says_nothing_at_all(tmp_path: Path, said: list[str]) -> None:
    shown = live.Live(tmp_path, SimpleNamespace(hasmarkup=False), live.Way.QUIET, time.time())
    progress = Progress(tmp_path)
    progress.say("hello")
    progress.note("a", "boot")
    progress.note("a", UP)
    shown.catch_up()
    shown.close()
    assert said == []


@pytest.mark.usefixtures("narrow")
def test_nothing_is_left_at_the_end(pipe: tuple[int, int]) -> None:
    screen = Screen(Shown(), pipe[1])
    screen.show(["one"])
    drawn(pipe[0])
    screen.close()
    assert drawn(pipe[0]) == "\x1b[J"
    screen.close()
