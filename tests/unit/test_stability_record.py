"""What `make stability` counts of runs, and what its table says of them."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest

from harness.observations import Observations
from harness.report.html import verdicts
from harness.report.html.verdicts import Judged

HERE = Path(__file__).parents[1] / "benchmarks"
TESTS = ("test_it[{}-self_v6]", "test_more[{}]")


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The program, with a record of its own."""
    monkeypatch.syspath_prepend(str(HERE))
    module = importlib.import_module("stability")
    monkeypatch.setattr(module, "RECORD", tmp_path / "stability.jsonl")
    monkeypatch.setattr(module, "TABLE", tmp_path / "stability.md")
    return module


def run_of(folder: Path, ends: dict[str, Sequence[str]]) -> Path:
    """A run's folder: deployment → how its tests ended; `!` before it where a machine failed."""
    folder.mkdir()
    seen = Observations("demo-first", folder / "observations.jsonl")
    seen.record("mail server", "image", "stand-in x")
    seen.record("machine", "podman", "podman version 5.4.2")
    judged = [
        Judged(
            f"tests/x.py::{name.format(of)}", end.strip("!"), infrastructure=end[:1] * ("!" in end)
        )
        for of, outcomes in ends.items()
        for name, end in zip(TESTS, outcomes, strict=False)
    ]
    verdicts.write(judged, folder)
    return folder


def added(tool: ModuleType, *runs: Path) -> tuple[int, str]:
    """The exit status of adding runs, and the table."""
    status: int = tool.main(["--add", *map(str, runs), "--commit", "abc1234"])
    return status, tool.TABLE.read_text(encoding="utf-8")


def line_of(table: str, scenario: str) -> list[str]:
    (line,) = (line for line in table.splitlines() if line.startswith(f"| {scenario} "))
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_runs_with_and_without_repetitions_come_together(tool: ModuleType, tmp_path: Path) -> None:
    well = ("passed", "passed")
    first = run_of(tmp_path / "a", {"demo-first.1": well, "demo-first.2": well, "demo-b.1": well})
    second = run_of(tmp_path / "b", {"demo-first": well, "other-x": well})
    status, table = added(tool, first, second)
    assert status == 0
    assert line_of(table, "`demo`") == ["2", "4", "1", "1", "10", "0", "0", "0"]
    assert line_of(table, "`other`") == ["1", "1", "1", "1", "10", "0", "0", "0"]
    assert line_of(table, "all") == ["3", "5", "1", "1", "", "0", "0", "0"]
    assert "abc1234" in table
    assert "podman version 5.4.2, stand-in x" in table
    assert len(tool.RECORD.read_text().splitlines()) == 2


def test_failure_counts_as_a_deployment_and_is_named(tool: ModuleType, tmp_path: Path) -> None:
    ends = {"demo-first.1": ("passed", "failed"), "demo-first.2": ("passed", "passed")}
    status, table = added(tool, run_of(tmp_path / "a", ends))
    assert status == 1
    assert line_of(table, "`demo`") == ["1", "2", "2", "0", "10", "1", "0", "0"]
    assert "abc1234: `demo-first` failed `test_more`" in table


def test_those_in_a_row_are_those_since_the_last_failure(tool: ModuleType, tmp_path: Path) -> None:
    well = ("passed", "passed")
    runs = [
        run_of(tmp_path / "a", {"demo-first": well, "demo-b": well}),
        run_of(tmp_path / "b", {"demo-first": ("passed", "failed"), "demo-b": well}),
        run_of(tmp_path / "c", {"demo-first.1": well, "demo-first.2": well, "demo-b": well}),
    ]
    _, table = added(tool, *runs)
    assert line_of(table, "`demo`") == ["2", "7", "3", "2", "10", "1", "0", "0"]
    assert line_of(table, "all")[2:4] == ["3", "2"]


def test_machine_that_fails_is_counted_apart(tool: ModuleType, tmp_path: Path) -> None:
    ends = {"demo-first.1": ("!error", "!error"), "demo-first.2": ("passed", "passed")}
    status, table = added(tool, run_of(tmp_path / "a", ends))
    assert status == 0
    assert line_of(table, "`demo`") == ["1", "1", "1", "1", "10", "0", "1", "0"]
    assert "`demo-first` could not be tried" in table


def test_deployment_of_which_some_tests_had_no_turn_says_nothing(
    tool: ModuleType, tmp_path: Path
) -> None:
    ends = {"demo-first.1": ("passed", "passed"), "demo-first.2": ("passed",)}
    _, table = added(tool, run_of(tmp_path / "a", ends))
    assert line_of(table, "`demo`")[1] == "1"


def test_what_does_not_apply_is_not_counted(tool: ModuleType, tmp_path: Path) -> None:
    ends = {"demo-first": ("skipped", "skipped"), "demo-b": ("passed", "passed")}
    _, table = added(tool, run_of(tmp_path / "a", ends))
    assert line_of(table, "`demo`")[:2] == ["1", "1"]


def test_what_repetitions_disagree_about_is_said(tool: ModuleType, tmp_path: Path) -> None:
    run = run_of(tmp_path / "a", {"demo-first.1": ("passed", "passed")})
    differing = {"kind": "port", "subjects": ["993"], "vantages": ["self_v6"], "seen": {}}
    found = {"scenarios": [{"scenario": "demo-first", "differing": [differing]}]}
    (run / "stability.json").write_text(json.dumps(found))
    _, table = added(tool, run)
    assert line_of(table, "`demo`")[-1] == "1"
    assert "`demo-first` differed: port 993 from self_v6" in table


def observed(run: Path, outcome: str, variant: str = "demo-first") -> Path:
    Observations(variant, run / "observations.jsonl").record("port", "993", outcome, "self_v6")
    return run


def test_runs_without_repetitions_are_compared_with_the_one_before(
    tool: ModuleType, tmp_path: Path
) -> None:
    ends = {"demo-first": ("passed", "passed"), "demo-b": ("passed", "passed")}
    runs = [
        observed(run_of(tmp_path / name, ends), outcome)
        for name, outcome in (("a", "answers"), ("b", "answers"), ("c", "refused"))
    ]
    for run in runs:
        observed(run, "answers", "demo-b")
    _, table = added(tool, *runs[:2])
    assert line_of(table, "`demo`")[-1] == "0"
    _, table = added(tool, *runs)
    assert line_of(table, "`demo`")[-1] == "1"
    assert table.count("`demo-first` differed: port 993 from self_v6") == 1
    assert "`demo-b` differed" not in table


def test_folders_of_runs_stay_of_which_something_is_told(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = {"demo-first": ("passed", "passed")}
    outcomes = iter(enumerate(("answers", "answers", "refused", "refused", "refused")))
    runs: list[Path] = []

    def run_once(*_: object) -> Path:
        number, outcome = next(outcomes)
        (tmp_path / str(number)).mkdir()
        runs.append(observed(run_of(tmp_path / str(number) / "run", ends), outcome))
        if number == 4:
            monkeypatch.setattr(tool.time, "monotonic", lambda: 1e9)
        return runs[-1]

    monkeypatch.setattr(tool, "run_once", run_once)
    monkeypatch.setattr(tool.time, "monotonic", lambda: 0.0)
    assert tool.main(["--minutes", "1", "--commit", "abc1234"]) == 0
    assert [run.exists() for run in runs] == [False, True, True, False, False]
    assert len(tool.RECORD.read_text().splitlines()) == 5


def test_run_that_was_killed_is_refused(tool: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(SystemExit, match=r"has no tests\.jsonl"):
        added(tool, tmp_path / "a")
    assert not tool.RECORD.exists()
