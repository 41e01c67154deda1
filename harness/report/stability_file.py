"""What a run's folder says to other programs of how stable each variant was."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from harness.report.as_json import labelled
from harness.report.stability import Stability

FILE = "stability.json"
"""In the run's folder."""


def write(found: Sequence[Stability], run: Path) -> None:
    """Write it into a run's folder, for other programs."""
    made = labelled("stability", {"scenarios": as_object(found)})
    text = json.dumps(made, ensure_ascii=False, indent=1) + "\n"
    (run / FILE).write_text(text, encoding="utf-8")


def as_object(found: Sequence[Stability]) -> list[dict[str, Any]]:
    """The same for other programs."""
    return [
        {
            "scenario": each.variant,
            "repeat": each.repeat,
            "passed": list(each.passed),
            "failed": list(each.failed),
            "infrastructure": list(each.not_tried),
            "tests": {test: list(numbers) for test, numbers in each.tests.items()},
            "differing": [
                {
                    "kind": one.kind,
                    "subjects": list(one.subjects),
                    "vantages": list(one.vantages),
                    "seen": {what: list(numbers) for what, numbers in one.seen.items()},
                }
                for one in each.differing
            ],
            "seconds": {
                "min": each.seconds[0],
                "median": median(each.seconds),
                "max": each.seconds[-1],
            }
            if each.seconds
            else None,
        }
        for each in found
    ]
