"""A deployment's part of the page: its cells, its tests, its path, and all its observations."""

from __future__ import annotations

import base64
import gzip
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from harness.report.html import matrices
from harness.report.html.facts import Deployed
from harness.report.html.matrices import ALARMING, Cell
from harness.report.html.path import Path, path_of
from harness.report.html.verdicts import Judged
from harness.report.seen import finding, grouped

COLUMNS = ("kind", "subject", "vantage", "outcome", "at", "evidence")
"""What the page gets of an observation, in this order."""


@dataclass(frozen=True)
class Deployment:
    """A deployment's part of the page.

    Attributes:
        number: its number on the page, from 1.
        deployed: what was observed.
        cells: those of both matrices, by the kind of observation.
        tests: what the tests said; None where that is not known.
        of: what tells it apart from other deployments of the variant, such as its generation.
        files: the names of the files that were saved when something failed.
    """

    number: int
    deployed: Deployed
    cells: dict[str, Sequence[Cell]]
    tests: Sequence[Judged] | None
    of: str = ""
    files: Sequence[str] = ()

    @property
    def anchor(self) -> str:
        """Its id on the page."""
        return f"d{self.number}"

    @property
    def name(self) -> str:
        """The scenario variant, and of what where there are several."""
        return self.deployed.scenario + (f" in {self.of}" if self.of else "")

    @property
    def why(self) -> str:
        """What the scenario expects of relaying, and why; nothing where that is not recorded."""
        return str(self.deployed.noted.get("why") or "")

    @property
    def relays_from(self) -> str | None:
        """From where relaying is expected, in short words; None where that is not recorded."""
        expected = self.deployed.noted.get("relays_from")
        return None if expected is None else ", ".join(grouped(expected)) or "nowhere"

    @property
    def checks(self) -> str:
        """What the variant is there to show."""
        return str(self.deployed.noted.get("checks") or "not recorded")

    @cached_property
    def found(self) -> str:
        """What was found, in the words of the terminal's summary."""
        return finding(self.deployed.facts).plain

    @cached_property
    def path(self) -> Path | None:
        """Its network path."""
        return path_of(self.deployed)

    @property
    def failure(self) -> str:
        """Why the mail server did not come up, or nothing."""
        start = self.deployed.latest("deployment", "start")
        if start is None or not self.deployed.failed:
            return ""
        return str(start["evidence"].get("why") or "no reason is recorded")

    @property
    def came_down(self) -> tuple[str, str] | None:
        """That the mail server did not come up: a state of the matrices', and words for it."""
        state = matrices.came_down(self.deployed)
        return (state, matrices.DOWN[state]) if state else None

    @property
    def bad_tests(self) -> list[Judged]:
        """The tests that failed."""
        return [test for test in self.tests or () if test.is_bad and not test.infrastructure]

    @property
    def not_tried(self) -> dict[str, int]:
        """What was not the mail server's doing → how many tests it kept from being tried."""
        return dict(Counter(t.infrastructure for t in self.tests or () if t.infrastructure))

    @cached_property
    def alarms(self) -> list[tuple[str, str]]:
        """What somebody should look at: a cell's state, and the words for it."""
        texts = {"port": matrices.REACHABILITY, "relay": matrices.RELAY}
        said = []
        if matrices.came_down(self.deployed) == "down":
            said.append(("down", matrices.DOWN["down"]))
        for kind, cells in self.cells.items():
            for state in ALARMING:
                if state == "down":  # is said already, once
                    continue
                where = [cell.vantage for cell in cells if cell.state == state]
                if where:
                    what = {"port": "ports", "relay": "relaying"}[kind]
                    text = f"{what} from {', '.join(grouped(where))}: {texts[kind][state]}"
                    said.append((state, text))
        return sorted(said, key=lambda alarm: ALARMING.index(alarm[0]))

    @property
    def kinds(self) -> list[tuple[str, int]]:
        """How many observations of which kind there are, the most frequent first."""
        return Counter(str(fact["kind"]) for fact in self.deployed.facts).most_common()

    @cached_property
    def packed(self) -> str:
        """The observations: JSON, a list for each with `COLUMNS`, gzipped, in base64.

        Whatever was observed, that has no character that means anything in HTML. Each moment is
        the milliseconds since the one before: that is a fifth of what moments would take.
        """
        rows = []
        before = 0
        for fact in self.deployed.facts:
            at = round(float(fact["at"]) * 1000)
            row = [fact.get(column) for column in COLUMNS]
            row[COLUMNS.index("at")] = at - before
            rows.append(row)
            before = at
        text = json.dumps(rows, separators=(",", ":"))
        return base64.b64encode(gzip.compress(text.encode("ascii"), 9, mtime=0)).decode("ascii")
