"""tmt is told what was seen, and never that something passed which nobody has tried."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.report.tmt import main

PASSED = '<testcase name="test_a[x]"/>'
FAILED = (
    '<testcase name="test_b[x]"><failure message="220 instead of 250">text</failure></testcase>'
)
BROKEN = '<testcase name="test_c[x]"><error message="no machine">text</error></testcase>'
SKIPPED = '<testcase name="test_d[x]"><skipped message="it reboots">text</skipped></testcase>'
# A failure in a test, and another error when it was taken down.
BOTH = '<testcase name="test_e[x]"><failure message="one"/><error message="two"/></testcase>'


def told(folder: Path, status: int, **suites: str) -> list[dict[str, Any]]:
    made = "".join(
        f'<testsuite name="{name}">{cases}</testsuite>' for name, cases in suites.items()
    )
    if suites:
        (folder / "junit.xml").write_text(f"<testsuites>{made}</testsuites>", encoding="utf-8")
    main(str(status), str(folder))
    assert not (folder / "results.new").exists()
    found: list[dict[str, Any]] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize(
    ("cases", "outcome", "note"),
    [
        (PASSED, "pass", "pass: 1"),
        (PASSED + SKIPPED, "pass", "pass: 1, skip: 1"),
        (PASSED + FAILED, "fail", "fail: 1, pass: 1"),
        (PASSED + FAILED + BROKEN, "error", "error: 1, fail: 1, pass: 1"),
        (SKIPPED, "skip", "skip: 1"),
        (BOTH, "error", "error: 1"),
        ("", "error", "no test has been run"),
    ],
)
def test_a_variant_is_as_bad_as_its_worst_test(
    tmp_path: Path, cases: str, outcome: str, note: str
) -> None:
    _, variant = told(tmp_path, int(outcome in ("fail", "error")), variant=cases)
    assert (variant["name"], variant["result"]) == ("/variant", outcome)
    assert variant["note"][0] == note


def test_what_did_not_pass_is_named_with_its_reason(tmp_path: Path) -> None:
    _, variant = told(tmp_path, 1, variant=PASSED + FAILED + BOTH + SKIPPED + SKIPPED)
    assert variant["subresult"] == [
        {"name": "/test_b[x]", "result": "fail", "note": ["220 instead of 250"]},
        {"name": "/test_e[x]", "result": "error", "note": ["two", "one"]},
    ]
    assert variant["note"][1:] == ["it reboots"]


@pytest.mark.parametrize(
    ("status", "cases", "outcome", "note"),
    [
        (0, PASSED, "pass", "pass: 1"),
        (0, SKIPPED, "skip", "skip: 1"),
        (1, FAILED, "fail", "fail: 1"),
        (1, PASSED, "fail", "the run failed as a whole: see its output"),
        (2, PASSED, "error", "pytest ended with status 2"),
        (4, None, "error", "pytest ended with status 4"),
        (5, None, "error", "no test has been run"),
        (0, None, "error", "no test has been run"),
        (137, None, "error", "pytest ended with status 137"),
    ],
)
def test_the_run_as_a_whole(
    tmp_path: Path, status: int, cases: str | None, outcome: str, note: str
) -> None:
    whole, *_ = told(tmp_path, status, **({} if cases is None else {"variant": cases}))
    assert (whole["name"], whole["result"]) == ("/", outcome)
    assert note in whole["note"]


def test_logs_are_those_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "runs" / "latest").mkdir(parents=True)
    (tmp_path / "runs" / "latest" / "observations.jsonl").write_text("")
    found = told(tmp_path, 0, a=PASSED, b=PASSED)
    assert [each["log"] for each in found] == [["junit.xml", "runs/latest/observations.jsonl"]] * 3
