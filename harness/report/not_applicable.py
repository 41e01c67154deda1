"""Which scenario variants could not be judged on a run's machines, and why.

They leave no observations. So that who puts runs side by side can tell what cannot be shown on a
machine from what was not asked for, the run's folder says it in a file of its own.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from harness.report.generations import Made, made_of
from harness.report.marks import NOT_APPLICABLE, message_of, variant_of, why_not_applicable

FILE: Final = "not-applicable.jsonl"
"""In a run's folder, where there is anything: a line for each variant."""

Why = Mapping[str, Mapping[str, int]]
"""Reason → variant → how many of its tests."""


def why(reporter: Any) -> Why:
    """The variants that could not be judged, as pytest's terminal reporter has heard of them."""
    found: dict[str, Counter[str]] = {}
    for report in reporter.stats.get("skipped", []):
        if reason := why_not_applicable(message_of(report)):
            found.setdefault(reason, Counter())[variant_of(report.nodeid)] += 1
    return found


def in_words(found: Why) -> list[str]:
    """A line for each reason."""
    return [
        f"{NOT_APPLICABLE}{reason}: "
        + ", ".join(f"{scenario} ({count})" for scenario, count in tests.items())
        for reason, tests in found.items()
    ]


def write(folder: Path, found: Why, facts: Mapping[str, str]) -> None:
    """Write it into a run's folder; nothing where all could be judged.

    Each line has `scenario`, `reason`, and what the machines were: `distro`, `podman`, where that
    is known.

    Args:
        folder: the run's.
        found: what `why` has found.
        facts: what the machines were made of.
    """
    made_of = {fact: facts[fact] for fact in ("distro", "podman") if fact in facts}
    lines = [
        json.dumps({"scenario": scenario, "reason": reason, **made_of}, ensure_ascii=False)
        for reason, scenarios in found.items()
        for scenario in scenarios
    ]
    if lines:
        (folder / FILE).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def read(folder: Path) -> list[tuple[str, str, Made]]:
    """The variants that could not be judged in a run: each with the reason, and on what."""
    file = folder / FILE
    if not file.is_file():
        return []
    text = file.read_text(encoding="utf-8", errors="backslashreplace")
    given = [json.loads(line) for line in text.split("\n") if line.endswith("}")]
    return [
        (
            str(each["scenario"]),
            str(each["reason"]),
            made_of(
                ("machine", fact, str(each[fact])) for fact in ("distro", "podman") if fact in each
            ),
        )
        for each in given
    ]
