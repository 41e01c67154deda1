"""Repetitions of one run are read as several runs of one generation are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from generation_samples import DEBIAN_12, DEBIAN_13, Fact, as_if, not_applicable
from report_samples import VANTAGES, deployed

from harness.cli import main
from harness.report.diff import Nights, compare_all
from harness.report.diff_meaning import Group
from harness.report.diff_run import load_generations
from harness.report.diff_show import as_markdown, as_object
from harness.report.html.make import report_of
from harness.report.html.render import as_html

OPEN, CLOSED = "compose-open", "compose-closed"


def relaying(fact: Fact) -> Fact:
    if (fact["kind"], fact["scenario"], fact["vantage"]) == ("relay", CLOSED, "self_v4"):
        return fact | {"outcome": "relayed", "evidence": {"client": "10.89.0.2"}}
    return fact


@pytest.fixture
def once(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    source.mkdir()
    deployed(source, OPEN, relays=VANTAGES, expected=VANTAGES, seen_as="10.89.0.2")
    deployed(source, CLOSED, seen_as="10.89.0.2")
    return as_if(source, tmp_path / "once" / "run", DEBIAN_13)


@pytest.fixture
def runs(tmp_path: Path, once: Path) -> Path:
    """Two runs, of which one relays where the other does not."""
    as_if(once, tmp_path / "runs" / "first", DEBIAN_13)
    as_if(once, tmp_path / "runs" / "second", DEBIAN_13, relaying, later=100.0)
    return tmp_path / "runs"


@pytest.fixture
def repetitions(tmp_path: Path, runs: Path) -> Path:
    """One run that has deployed everything twice, and seen the same as those."""
    as_one(tmp_path / "repetitions" / "run", runs / "first", runs / "second")
    return tmp_path / "repetitions"


def as_one(to: Path, *runs: Path) -> None:
    """Write the records of some runs as one run's, each as a repetition of it."""
    lines = [
        json.dumps({**json.loads(line), "repetition": number}) + "\n"
        for number, run in enumerate(runs, 1)
        for line in (run / "observations.jsonl").read_text().splitlines()
    ]
    to.mkdir(parents=True)
    (to / "observations.jsonl").write_text("".join(lines))


def compared(a: Path, b: Path) -> Nights:
    return compare_all(load_generations(a), load_generations(b))


def test_what_repetitions_disagree_about_is_compared_as_of_several_runs(
    once: Path, runs: Path, repetitions: Path
) -> None:
    found = compared(once, repetitions)
    assert found.changes == compared(once, runs).changes
    assert {(each.group, each.scenario) for each in found.changes} == {(Group.OPENED, CLOSED)}
    assert "×1" in found.changes[0].after
    (pair,) = found.pairs
    assert [pair.b.scenarios[name].times for name in pair.compared] == [2, 2]
    assert compared(runs, repetitions).changes == []


def test_repetitions_are_of_their_generation(tmp_path: Path, once: Path, repetitions: Path) -> None:
    older = as_if(once, tmp_path / "older", DEBIAN_12)
    as_one(repetitions / "older", older, older)
    sides = load_generations(repetitions)
    assert [each.generation.partition(",")[0] for each in sides] == ["debian-12", "debian-13"]
    assert [each.scenarios[CLOSED].times for each in sides] == [2, 2]


def test_report_shows_repetitions_as_it_shows_several_runs(runs: Path, repetitions: Path) -> None:
    of_runs, of_one = report_of([runs], None), report_of([repetitions], None)
    for report in (of_runs, of_one):
        assert report.repeated == 2
        assert [scenario for scenario, _ in report.flaky] == [CLOSED]
        (block,) = report.relay.differing
        assert [[share.of for share in line.shares] for line in block.lines] == [[2], [2]]
    assert {each.of for each in of_runs.deployments} == {"first", "second"}
    assert {each.of for each in of_one.deployments} == {"repetition 1", "repetition 2"}
    assert [len(each.deployed.facts) for each in of_one.deployments] == [
        len(each.deployed.facts) for each in of_runs.deployments
    ]
    assert f'data-name="{CLOSED} in repetition 2"' in as_html(of_one)


def test_tests_of_a_repetition_are_its_deployments(repetitions: Path) -> None:
    tests = [
        {"nodeid": f"test_x.py::test_it[{CLOSED}.{number}-self_v4]", "outcome": outcome}
        for number, outcome in ((1, "passed"), (2, "failed"), (3, "error"))
    ]
    text = "".join(json.dumps(each) + "\n" for each in tests)
    (repetitions / "run" / "tests.jsonl").write_text(text)
    report = report_of([repetitions], None)
    bad = {each.name: len(each.bad_tests) for each in report.deployments if each.bad_tests}
    assert bad == {f"{CLOSED} in repetition 2": 1}
    assert [test.deployment for test in report.lost_tests] == [f"{CLOSED}.3"]
    ((run, stable),) = report.stability
    assert run == "run"
    (closed,) = (each for each in stable if each.variant == CLOSED)
    assert (closed.passed, closed.failed) == ((1,), (2, 3))


def test_variant_that_is_not_applicable_is_one_however_often_it_was_tried(
    repetitions: Path,
) -> None:
    names = [f"compose-other.{number}" for number in (1, 2)]
    not_applicable(repetitions / "run", names, "no IPv6")
    (generation,) = report_of([repetitions], None).generations
    assert generation.skipped == {"compose-other": "no IPv6"}


def test_what_went_wrong_with_machines_is_told_of_each_run(
    once: Path, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = {
        "nodeid": f"test_x.py::test_it[{CLOSED}]",
        "outcome": "error",
        "infrastructure": "MachineError: m1: it is gone",
    }
    (runs / "second" / "tests.jsonl").write_text(json.dumps(gone) + "\n")
    found = compared(once, runs)
    unknown = {"errors": None, "tests_not_tried": None, "machines_made_anew": 0}
    known = {"errors": 1, "tests_not_tried": 1, "machines_made_anew": 0}
    each = [{"run": str(runs / "first"), **unknown}, {"run": str(runs / "second"), **known}]
    assert as_object(found)["b"]["infrastructure"] == each
    assert main(["claims", "--json", str(runs)]) == 0
    assert json.loads(capsys.readouterr().out)["infrastructure"] == each
    assert "second: 1 infrastructure error (1 test not tried" in as_markdown(found)
    assert "first: " not in as_markdown(found)
