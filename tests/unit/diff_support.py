"""Records of two runs, and what changed between them; holds no tests itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.observations import Observations
from harness.report.diff import Difference, compare
from harness.report.diff_meaning import Group
from harness.report.diff_run import load

PLAIN = "external-to-external"


def record(path: Path, scenario: str = "pasta-unset") -> Observations:
    """The record of a deployment that came up and where mail flows."""
    path.mkdir(parents=True, exist_ok=True)
    seen = Observations(scenario, path / "observations.jsonl")
    seen.record("machine", "podman", "podman version 5.4.2")
    seen.record("deployment", "start", "came up")
    seen.record("delivery", "outside to mailbox", "unchanged", "outside_lan_a_v4", nonce="in-1")
    seen.record("outgoing", "submission", "unchanged", "outside_lan_a_v4", nonce="out-1")
    return seen


def refuse(
    seen: Observations, vantage: str, form: str = PLAIN, code: int = 554, text: str = "5.7.1 no"
) -> None:
    seen.record("relay", form, "refused", vantage, code=code, text=text)


def relay(seen: Observations, vantage: str, form: str = PLAIN) -> None:
    seen.record("relay", form, "relayed", vantage, code=250, text="2.0.0 Ok", client="10.89.0.2")


def difference(tmp_path: Path) -> Difference:
    return compare(load(tmp_path / "a"), load(tmp_path / "b"))


def told(tmp_path: Path) -> list[tuple[Group, str, str, str]]:
    return [(c.group, c.subject, c.before, c.after) for c in difference(tmp_path).changes]


def both(tmp_path: Path, kind: str, subject: str, was: str, now: str, **evidence: Any) -> None:
    """The same thing seen in two runs, with other outcomes."""
    for side, outcome in (("a", was), ("b", now)):
        seen = record(tmp_path / side)
        seen.record(kind, subject, outcome, "outside_lan_a_v4", **evidence.get(side, {}))
