"""What the tests of a run said: written at its end, read for its report."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.report.marks import (
    deployment_of,
    infrastructure_of,
    message_of,
    variant_of,
    why_not_applicable,
)
from harness.report.runs import name_of

FILE = "tests.jsonl"
OUTCOMES = ("failed", "error", "passed", "skipped", "xfailed", "xpassed")
"""Pytest's words for what becomes of a test, those that one looks for first."""
NOT_TRIED = "not tried"
"""What is said of tests that a machine, or this computer, kept from being tried."""
LONGEST = 20_000
"""Characters of a message that are kept."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A test's end.

    Attributes:
        nodeid: pytest's name of it.
        outcome: one of `OUTCOMES`.
        seconds: how long it took.
        message: why it failed or was skipped, or nothing.
        infrastructure: what kept it from being tried that is not the mail server's doing.
    """

    nodeid: str
    outcome: str
    seconds: float = 0.0
    message: str = ""
    infrastructure: str = ""

    @property
    def scenario(self) -> str:
        """The scenario variant that it is about, or nothing."""
        return variant_of(self.nodeid)

    @property
    def deployment(self) -> str:
        """The variant, with the repetition's number where there are several; or nothing."""
        return deployment_of(self.nodeid)

    @property
    def not_applicable(self) -> str:
        """Why its variant cannot be judged on the machine, or nothing."""
        return why_not_applicable(self.message) if self.outcome == "skipped" else ""

    @property
    def is_bad(self) -> bool:
        """Whether somebody must look at it."""
        return self.outcome in ("failed", "error")


def ended(stats: Mapping[str, Iterable[Any]]) -> list[Judged]:
    """The tests of a terminal reporter's `stats`, in the order of `OUTCOMES`."""
    return [
        Judged(
            str(report.nodeid),
            outcome,
            round(float(getattr(report, "duration", 0.0)), 3),
            message_of(report)[:LONGEST] if outcome != "passed" else "",
            infrastructure_of(report) if outcome in ("failed", "error") else "",
        )
        for outcome in OUTCOMES
        for report in stats.get(outcome, ())
    ]


def write(tests: Iterable[Judged], run: Path) -> None:
    """Write them into a run's folder."""
    lines = (json.dumps(asdict(test)) + "\n" for test in tests)
    (run / FILE).write_text("".join(lines), encoding="utf-8")


def read(runs: Sequence[Path]) -> dict[str, list[Judged]]:
    """The tests of those runs that have a record of them, by the run's name (see `name_of`)."""
    found = {}
    for run in runs:
        if (run / FILE).is_file():
            text = (run / FILE).read_text(encoding="utf-8", errors="backslashreplace")
            lines = [line for line in text.split("\n") if line.endswith("}")]
            found[name_of(run, runs)] = [_test(json.loads(line)) for line in lines]
    return found


def _test(given: Mapping[str, Any]) -> Judged:
    return Judged(
        str(given["nodeid"]),
        str(given["outcome"]),
        float(given.get("seconds") or 0),
        str(given.get("message") or ""),
        str(given.get("infrastructure") or ""),
    )


def counted(tests: Sequence[Judged]) -> list[tuple[str, int]]:
    """How many tests had which outcome; those that were not tried, by themselves."""
    counts = Counter(NOT_TRIED if test.infrastructure else test.outcome for test in tests)
    return [(outcome, counts[outcome]) for outcome in (*OUTCOMES, NOT_TRIED) if counts[outcome]]
