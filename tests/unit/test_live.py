"""What a terminal shows while deployments are on their way, and what is left of it at the end."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from terminal_support import TESTS, Terminal, project, run, terminal

from harness.report.live import Way, way_of

UNSET = "rootless_pasta_quadlet-permit_unset"
NONE = "rootless_pasta_quadlet-permit_none"
TWO = f"{UNSET} or {NONE}"
DOTS = "tests/deployments/test_it.py "
STATUS = re.compile(r"^ +(boot|start|probes|down|installing packages) +\d+ s ")
ALL_PASS = "." * 40
COLOURS = re.compile(rb"\x1b\[[0-9;]*m")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "gates").mkdir()
    return project(tmp_path)


def gates(folder: Path) -> dict[str, str]:
    return {"FAKE_GATES": str(folder / "gates")}


def let(folder: Path, *names: str) -> None:
    for name in names:
        (folder / "gates" / name).touch()


def status_of(shown: Terminal) -> list[str]:
    return [line for line in shown.lines if STATUS.match(line)]


def assert_as_without_it(shown: Terminal, dots: str) -> None:
    """What pytest wrote is whole, and nothing else is left."""
    everything = shown.everything
    assert [line for line in everything if STATUS.match(line) or " up, " in line] == []
    began = next(at for at, line in enumerate(everything) if line.startswith(DOTS))
    progress = []
    for line in everything[began:]:
        progress.append(re.sub(r" *\[ *\d+%\]$", "", line.removeprefix(DOTS)))
        if line.endswith("[100%]"):
            break
    assert "".join(progress) == dots


@pytest.mark.parametrize("columns", [100, 60])
def test_deployments_on_their_way_are_shown_below_and_leave_nothing(
    folder: Path, columns: int
) -> None:
    with terminal(folder, TWO, columns=columns, **gates(folder)) as shown:
        shown.expect("installing packages", " s ", "machine")
        let(folder, "machine")
        shown.expect("boot", " s ", UNSET[:30])
        shown.expect("0 of 2 up")
        let(folder, "boot", "start")
        shown.expect("probes", UNSET[:30])
        shown.expect("probes", NONE[:30])
        let(folder, f"{UNSET}.probes")
        shown.expect("1 of 2 up")
        # The cursor is where pytest left it, and what it wrote there stands.
        shown.expect(DOTS + "." * 20)
        (other,) = status_of(shown)
        assert NONE[:30] in other
        assert max(map(len, shown.lines)) <= columns
        let(folder, "probes")
        assert shown.end() == 0
    assert_as_without_it(shown, ALL_PASS)


def test_window_may_change_its_width(folder: Path) -> None:
    with terminal(folder, TWO, **gates(folder)) as shown:
        let(folder, "machine", "boot", "start", f"{UNSET}.probes")
        shown.expect("1 of 2 up")
        for columns in (50, 120, 60, 100):
            shown.resize(columns, 40)
            before = len(shown.raw)
            shown.expect("1 of 2 up")
            until_redrawn(shown, before)
            assert len(status_of(shown)) == 1, shown.lines
        let(folder, "probes")
        assert shown.end() == 0
    assert_as_without_it(shown, ALL_PASS)


def until_redrawn(shown: Terminal, before: int) -> None:
    from keeper_support import until

    assert until(lambda: len(shown.raw) > before, 5.0)


def test_window_without_room_is_pytests_alone(folder: Path) -> None:
    with terminal(folder, TWO, rows=2, **gates(folder)) as shown:
        let(folder, "machine", "boot", "start", "probes")
        assert shown.end() == 0
    assert b"\x1b[J" not in shown.raw
    assert_as_without_it(shown, ALL_PASS)


def test_without_colour_it_is_the_same(folder: Path) -> None:
    with terminal(folder, TWO, NO_COLOR="1", **gates(folder)) as shown:
        let(folder, "machine", "boot")
        shown.expect("start", UNSET)
        let(folder, "start", "probes")
        assert shown.end() == 0
    assert COLOURS.findall(shown.raw) == []
    assert_as_without_it(shown, ALL_PASS)


@pytest.mark.parametrize("given", [{"TERM": "dumb"}, {"CI": "true"}])
def test_terminal_that_cannot_or_is_not_looked_at_gets_lines(
    folder: Path, given: dict[str, str]
) -> None:
    with terminal(folder, TWO, **gates(folder), **given) as shown:
        let(folder, "machine", "boot", "start", f"{UNSET}.probes")
        shown.expect(f"{UNSET}: up after", "boot 0, start 0, probes 0")
        let(folder, "probes")
        assert shown.end() == 0
    assert b"\x1b[J" not in shown.raw
    assert b"A\r\x1b[" not in shown.raw
    assert sum(": up after" in line for line in shown.everything) == 2


def lines_of(said: str, words: str) -> list[str]:
    return [line for line in said.splitlines() if words in line]


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_each_deployment_is_one_line_where_there_is_no_terminal(
    folder: Path, workers: tuple[str, ...]
) -> None:
    let(folder, "machine", "boot", f"{NONE}.start.fails", f"{UNSET}.start", "probes")
    done = run(folder, TWO, *workers, **gates(folder))
    (up,) = lines_of(done.stdout, f"{UNSET}: up")
    assert re.fullmatch(rf"\[ *[\d.]+ s\] {UNSET}: up after \d s \(boot 0, start 0, probes 0\)", up)
    (failed,) = lines_of(done.stdout, f"{NONE}: did not come up after")
    assert failed.endswith(f": {NONE}: start fails")
    assert "\x1b" not in done.stdout
    assert lines_of(done.stdout, f"{UNSET}: boot") == []


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_verbose_tells_each_phase(folder: Path, workers: tuple[str, ...]) -> None:
    said = run(folder, UNSET, "-v", *workers, FAKE_SWEPT="rubbish").stdout
    for phase in ("boot", "start", "probes"):
        (line,) = lines_of(said, f"{UNSET}: {phase}")
        assert re.fullmatch(rf"\[ *[\d.]+ s\] {UNSET}: {phase}", line)
    assert lines_of(said, "] removed what a dead run had left: rubbish")


def test_quiet_is_pytests_own(folder: Path) -> None:
    said = run(folder, UNSET, "-q", FAKE_SWEPT="rubbish").stdout
    assert said.startswith("." * 20)
    assert lines_of(said, f"{UNSET}: ") == []
    assert "rubbish" not in said
    assert said.splitlines()[-1].startswith("20 passed in ")


def test_workers_deployments_are_shown_by_their_controller(folder: Path) -> None:
    with terminal(folder, TWO, "-n", "2", **gates(folder)) as shown:
        let(folder, "machine", "boot")
        shown.expect("start", UNSET)
        shown.expect("start", NONE)
        shown.expect("0 of 2 up")
        let(folder, "start", f"{UNSET}.probes")
        shown.expect("1 of 2 up")
        let(folder, "probes")
        assert shown.end() == 0
    assert [line for line in shown.everything if STATUS.match(line)] == []
    dots = "".join(re.findall(r"^(\.+)", "\n".join(shown.everything), re.MULTILINE))
    assert dots == ALL_PASS


def test_terminal_that_knows_ascii_only_is_no_obstacle(folder: Path) -> None:
    given = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    with terminal(folder, UNSET, **gates(folder), PYTHONIOENCODING="ascii", **given) as shown:
        let(folder, "machine", "boot")
        shown.expect("start", UNSET)
        let(folder, "start", "probes")
        assert shown.end() == 0
    assert max(shown.raw) < 128
    assert shown.shows("permit_unset", "50/50", "nowhere (of 10)")


def test_first_failure_ends_what_is_on_its_way_and_says_so(folder: Path) -> None:
    (folder / "tests/deployments/test_it.py").write_text(TESTS.replace("...", "assert 0"))
    with terminal(folder, TWO, "-x", **gates(folder)) as shown:
        let(folder, "machine", "boot", "start", f"{UNSET}.probes")
        assert shown.end() == pytest.ExitCode.TESTS_FAILED
    assert shown.has_shown(f"ending what is on its way: {NONE}")
    assert shown.shows("1 failed")
    assert [line for line in shown.everything if STATUS.match(line)] == []


def test_ctrl_c_leaves_the_terminal_as_it_was_and_sums_up(folder: Path) -> None:
    with terminal(folder, TWO, **gates(folder)) as shown:
        let(folder, "machine", "boot", "start", f"{UNSET}.probes")
        shown.expect("1 of 2 up")
        shown.process.send_signal(signal.SIGINT)
        assert shown.end() == pytest.ExitCode.INTERRUPTED
    assert [line for line in shown.everything if STATUS.match(line)] == []
    assert shown.has_shown(f"ending what is on its way: {NONE}")
    assert shown.shows("permit_unset", "50/50", "nowhere (of 10)")
    assert shown.shows("20 passed")


def config(verbosity: int = 0, capture: str = "fd", usepdb: bool = False) -> Any:
    options = {"capture": capture, "usepdb": usepdb}
    return SimpleNamespace(get_verbosity=lambda: verbosity, getoption=options.get)


@pytest.mark.parametrize(
    ("given", "is_terminal", "environment", "way"),
    [
        ({}, True, {"TERM": "xterm"}, Way.LIVE),
        ({}, True, {"TERM": "xterm", "CI": ""}, Way.LIVE),
        ({}, False, {"TERM": "xterm"}, Way.LINES),
        ({}, True, {"TERM": "xterm", "CI": "1"}, Way.LINES),
        ({}, True, {"TERM": "dumb"}, Way.LINES),
        ({}, True, {}, Way.LINES),
        ({"capture": "no"}, True, {"TERM": "xterm"}, Way.LINES),
        ({"capture": "tee-sys"}, True, {"TERM": "xterm"}, Way.LINES),
        ({"usepdb": True}, True, {"TERM": "xterm"}, Way.LINES),
        ({"verbosity": 1}, True, {"TERM": "xterm"}, Way.PHASES),
        ({"verbosity": -1}, True, {"TERM": "xterm"}, Way.QUIET),
        ({"verbosity": -1}, False, {"CI": "1"}, Way.QUIET),
    ],
)
def test_way_of_showing_it(
    given: dict[str, Any], is_terminal: bool, environment: dict[str, str], way: Way
) -> None:
    assert way_of(config(**given), is_terminal, environment) is way
