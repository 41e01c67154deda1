"""A machine or a computer that fails is an error, told apart from verdicts, and hides none."""

from __future__ import annotations

import errno
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import asyncssh
import pytest
from terminal_support import project, run

from harness.errors import (
    CommandError,
    DeploymentError,
    HostError,
    MachineError,
    ScenarioError,
    infrastructure,
)
from harness.observations import Observation
from harness.report.html.verdicts import Judged
from harness.report.infrastructure import of

UNSET = "rootless_pasta_quadlet-permit_unset"
NONE = "rootless_pasta_quadlet-permit_none"
TWO = f"{UNSET} or {NONE}"
TESTS = """
import pytest
from harness.errors import CommandError, MachineError

def test_observed(scenario, observations, vantage):
    assert vantage != "self_v4" or "none" not in scenario.id, "expected: x\\nseen: y"

def test_machine_is_lost(scenario, observations):
    raise MachineError("m1: its connection is lost")

def test_command_fails(scenario, observations):
    raise CommandError("false: exit status 1")
"""
NOT_TRIED = "say nothing about the mail server"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MachineError("m1 does not boot\nmore"), "MachineError: m1 does not boot"),
        (HostError("the keeper is gone"), "HostError: the keeper is gone"),
        (OSError(errno.ENOSPC, "No space left"), "OSError: [Errno 28] No space left"),
        (MemoryError(), "MemoryError: no text"),
        (asyncssh.ConnectionLost("lost"), "ConnectionLost: lost"),
        (ExceptionGroup("x", [MachineError("gone"), HostError("full")]), "MachineError: gone"),
        # What may be the operator's, the mail server's, or a mistake of ours.
        (CommandError("podman: exit status 125"), ""),
        (DeploymentError("it does not come up"), ""),
        (ScenarioError("a typo"), ""),
        (AssertionError("expected"), ""),
        (OSError(errno.ECONNREFUSED, "refused"), ""),
        (KeyError("x"), ""),
        (ExceptionGroup("x", [MachineError("gone"), KeyError("x")]), ""),
    ],
)
def test_what_is_infrastructure(error: BaseException, said: str) -> None:
    assert infrastructure(error) == said


def lost(scenario: str, why: str) -> Judged:
    return Judged(f"tests/deployments/test_x.py::test_y[{scenario}-z]", "error", infrastructure=why)


def test_errors_are_counted_by_what_happened_and_not_by_tests() -> None:
    gone = "HostError: {}: the keeper is gone"
    seen = of(
        [
            *[lost("a-b", "MachineError: m1 does not boot")] * 55,
            *[lost("a-c.2", "MachineError: m2 does not boot")] * 2,
            *[lost(name, gone.format(name)) for name in ("a-d", "a-e")],
            Judged("x", "failed"),
            Judged("y", "error"),
        ],
        [Observation("retry", "boot", "failed", None, "a-b", evidence={"why": "m1 is slow"})],
    )
    assert seen.errors == {
        "a-b: MachineError: m1 does not boot": 55,
        "a-c.2: MachineError: m2 does not boot": 2,
        "HostError: the keeper is gone": 2,
    }
    counts = f"3 infrastructure errors (59 tests not tried: they {NOT_TRIED}), 1 machine made anew"
    assert seen.counts == counts
    assert seen.lines[-1] == "  made anew: a-b: m1 is slow"
    assert seen.as_object() == {"errors": 3, "tests_not_tried": 59, "machines_made_anew": 1}


def test_without_a_record_of_the_tests_it_is_not_known() -> None:
    seen = of(None, [])
    assert (seen.counts, seen.lines) == ("", [])
    assert seen.as_object() == {"errors": None, "tests_not_tried": None, "machines_made_anew": 0}


def _tree(folder: Path) -> ElementTree.Element:
    return ElementTree.fromstring((folder / "junit.xml").read_text())  # noqa: S314 - our own


def record(folder: Path) -> Path:
    (made,) = folder.glob("runs/2*")
    return made


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "with workers"])
def test_machine_that_does_not_boot_is_counted_apart(
    tmp_path: Path, workers: tuple[str, ...]
) -> None:
    folder = project(tmp_path, TESTS)
    words = ["--junitxml=junit.xml", *workers]
    page = tmp_path / "page.md"
    done = run(folder, TWO, *words, FAKE_BREAKS=f"{UNSET}.boot", GITHUB_STEP_SUMMARY=str(page))
    # Of the one that boots: a verdict, a lost machine, a command that failed.
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "2 failed, 9 passed, 13 errors in" in done.stdout.splitlines()[-1]
    counts = f"2 infrastructure errors (13 tests not tried: they {NOT_TRIED}), 1 machine made anew"
    assert counts in done.stdout
    assert re.search(rf"{UNSET}: MachineError: m\d breaks in boot: 12 tests", done.stdout)
    assert f"{NONE}: MachineError: m1: its connection is lost: 1 test" in done.stdout
    # The verdicts are told without them.
    said = done.stdout.partition("not as it should be")[2]
    assert re.search(rf"\n  {NONE}\n    observed: from self_v4: .*\n    command fails: ", said)
    assert UNSET not in said.partition("reproduce:")[0]
    assert "connection is lost" not in said.partition("reproduce:")[0]
    assert re.search(r"^ +permit_none +2 failed", done.stdout, re.MULTILINE)
    assert not re.search(r"^ +permit_unset +\d+ failed", done.stdout, re.MULTILINE)
    # They can be pasted like all that did not pass.
    pasted = [line for line in said.splitlines() if line.startswith("reproduce: ")]
    assert sum(UNSET in line for line in pasted) == 1
    in_page = page.read_text()
    assert "### Infrastructure" in in_page
    assert counts in in_page
    # JUnit's readers see errors, not failures.
    suites = {s.get("name"): s for s in _tree(folder).iter("testsuite")}
    assert (suites[UNSET].get("errors"), suites[UNSET].get("failures")) == ("12", "0")
    assert (suites[NONE].get("errors"), suites[NONE].get("failures")) == ("1", "2")
    errors = [error for suite in suites.values() for error in suite.iter("error")]
    assert {error.get("type") for error in errors} == {"infrastructure"}
    known = {p.get("name"): p.get("value") for p in suites[UNSET].find("properties") or ()}
    assert known["tests not tried for infrastructure errors"] == "12"
    assert known["machines made anew"] == "1"
    # And what is read afterwards.
    (told,) = json.loads((record(folder) / "claims.json").read_text())["infrastructure"]
    assert Path(told.pop("run")).samefile(record(folder))
    assert told == {"errors": 2, "tests_not_tried": 13, "machines_made_anew": 1}
    assert counts in (record(folder) / "report.html").read_text()


def test_machine_made_anew_is_told_and_fails_nothing(tmp_path: Path) -> None:
    folder = project(tmp_path)
    done = run(folder, UNSET, FAKE_BREAKS=f"{UNSET}.boot.once")
    assert done.returncode == pytest.ExitCode.OK, done.stdout
    assert "\n1 machine made anew\n  made anew: " in done.stdout
    assert "infrastructure error" not in done.stdout


def test_what_is_left_at_the_end_kept_no_test_from_being_tried(tmp_path: Path) -> None:
    fixture = "@pytest.fixture\ndef late():\n    yield\n    raise HostError('left after the run')\n"
    folder = project(
        tmp_path,
        f"import pytest\nfrom harness.errors import HostError\n{fixture}"
        "def test_it(scenario, observations, late): ...\n",
    )
    done = run(folder, UNSET)
    assert "1 passed, 1 error in" in done.stdout.splitlines()[-1]
    assert "infrastructure error" not in done.stdout


def test_without_trouble_nothing_is_said(tmp_path: Path) -> None:
    folder = project(tmp_path)
    done = run(folder, UNSET)
    assert "infrastructure" not in done.stdout
    assert "made anew" not in done.stdout
    assert "infrastructure" not in (record(folder) / "tests.jsonl").read_text().replace(
        '"infrastructure": ""', ""
    )
