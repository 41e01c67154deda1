"""What a run has shown, as tmt takes a test's own results: `results.json`.

`python -m harness.report.tmt STATUS FOLDER`, with pytest's exit status and the folder that has its
`junit.xml`. A result for each scenario variant, with those of its tests that did not pass below it;
and `/`, the run as a whole.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

WORST: Final = ("error", "fail", "pass", "skip")
"""tmt's outcomes; a variant has the first that one of its tests has."""
TAGS: Final = {"error": "error", "failure": "fail", "skipped": "skip"}
LOGS: Final = ("junit.xml", "runs/latest/report.html", "runs/latest/observations.jsonl")
LONG: Final = 300
"""Characters of a reason."""

Result = dict[str, Any]


def outcome(case: Element) -> str:
    """What tmt calls a test's outcome."""
    return next((said for tag, said in TAGS.items() if case.find(tag) is not None), "pass")


def of_suite(suite: Element) -> Result:
    """The result of a scenario variant; its tests that did not pass are below it."""
    cases = suite.findall("testcase")
    counted = Counter(map(outcome, cases))
    below = [
        {"name": f"/{case.get('name', '')}", "result": outcome(case), "note": _why(case)}
        for case in cases
        if outcome(case) in ("error", "fail")
    ]
    return {
        "name": f"/{suite.get('name', '')}",
        "result": _worst(counted),
        "note": [_counts(counted), *_reasons(cases)],
        "log": [],
        **({"subresult": below} if below else {}),
    }


def results(status: int, folder: Path) -> list[Result]:
    """What `results.json` is to hold.

    Args:
        status: pytest's.
        folder: has `junit.xml`, where pytest came so far, and the run's record.
    """
    suites: list[Element] = []
    file = folder / "junit.xml"
    if file.is_file():
        suites = ElementTree.parse(file).getroot().findall("testsuite")  # noqa: S314 - pytest's own
    made = [of_suite(suite) for suite in suites]
    counted = Counter(outcome(case) for suite in suites for case in suite.findall("testcase"))
    whole = _worst(counted)
    note = [_counts(counted)]
    if status not in (0, 1):
        whole, note = "error", [f"pytest ended with status {status}", *note]
    elif status == 1 and whole not in ("fail", "error"):
        whole = "fail"  # such as a host that is not as it was
        note.append("the run failed as a whole: see its output")
    logs = [each for each in LOGS if (folder / each).is_file()]
    for each in made:
        each["log"] = logs
    return [{"name": "/", "result": whole, "note": note, "log": logs}, *made]


def _worst(counted: Counter[str]) -> str:
    """What nothing was tried of is an error: nobody knows."""
    return next((each for each in WORST if counted[each]), "error")


def _counts(counted: Counter[str]) -> str:
    said = ", ".join(f"{each}: {counted[each]}" for each in WORST if counted[each])
    return said or "no test has been run"


def _why(case: Element) -> list[str]:
    return [
        (each.get("message") or "no reason is given")[:LONG]
        for each in map(case.find, TAGS)
        if each is not None
    ]


def _reasons(cases: Iterable[Element]) -> list[str]:
    """Why tests were skipped, each reason once."""
    skipped = (case for case in cases if outcome(case) == "skip")
    return list(dict.fromkeys(why for case in skipped for why in _why(case)))


def main(status: str, folder: str) -> None:
    """Write it; at once, so that a half of it is never taken for all."""
    file = Path(folder) / "results.json"
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps(results(int(status), Path(folder)), indent=1), encoding="utf-8")
    fresh.replace(file)


if __name__ == "__main__":
    main(*sys.argv[1:])
