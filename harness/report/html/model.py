"""All that the report says, computed from the observations; how it looks is the templates'."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path as File

from harness.claims import load_claims
from harness.claims_verdict import STAND_IN, ClaimVerdict, Verdict, deployments, judge, kinds_of
from harness.observations import Observation
from harness.report.claims import Ledger
from harness.report.html import matrices, verdicts
from harness.report.html.facts import Deployed, name_of, read
from harness.report.html.matrices import ALARMING, Cell, Matrix
from harness.report.html.path import Path, path_of
from harness.report.html.timeline import Timeline, timelines
from harness.report.html.verdicts import Judged
from harness.report.terminal import NOT_SHOWN, finding, grouped

HIDDEN_FACTS = ("host_key",)
"""Facts about a machine that nobody reads."""
NAME = re.compile(r"[\w-]+")
"""Scenario variants whose names are safe to look for in a run's folder."""
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
        is_named_by_run: whether the page has several runs.
        files: the names of the files that were saved when something failed.
    """

    number: int
    deployed: Deployed
    cells: dict[str, Sequence[Cell]]
    tests: Sequence[Judged] | None
    is_named_by_run: bool
    files: Sequence[str] = ()

    @property
    def anchor(self) -> str:
        """Its id on the page."""
        return f"d{self.number}"

    @property
    def name(self) -> str:
        """The scenario variant, and the run where there are several."""
        of = f" in {self.deployed.run}" if self.is_named_by_run else ""
        return self.deployed.scenario + of

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
        if start is None or start["outcome"] != "failed":
            return ""
        return str(start["evidence"].get("why") or "no reason is recorded")

    @property
    def bad_tests(self) -> list[Judged]:
        """The tests that failed."""
        return [test for test in self.tests or () if test.is_bad]

    @cached_property
    def alarms(self) -> list[tuple[str, str]]:
        """What somebody should look at: a cell's state, and the words for it."""
        texts = {"port": matrices.REACHABILITY, "relay": matrices.RELAY}
        said = []
        for kind, cells in self.cells.items():
            for state in ALARMING:
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

        Whatever was observed, that has no character that means anything in HTML.
        """
        rows = [[fact.get(column) for column in COLUMNS] for fact in self.deployed.facts]
        text = json.dumps(rows, separators=(",", ":"))
        return base64.b64encode(gzip.compress(text.encode("ascii"), 6, mtime=0)).decode("ascii")


@dataclass(frozen=True)
class Report:
    """The page.

    Attributes:
        runs: the runs' names.
        deployments: in the order of their names.
        reach: from where the ports answer.
        relay: from where strangers' mail is relayed.
        timelines: one for each run.
        ledger: the verdicts on the guide's claims; None without a file of claims.
        tests: what the tests said; None where that is not known of any run.
    """

    runs: Sequence[str]
    deployments: Sequence[Deployment]
    reach: Matrix
    relay: Matrix
    timelines: Sequence[Timeline]
    ledger: Ledger | None
    tests: Sequence[Judged] | None

    @property
    def title(self) -> str:
        """The page's title."""
        return f"dms-harness: {', '.join(self.runs)}"

    @cached_property
    def observed(self) -> int:
        """How many observations there are."""
        return sum(len(each.deployed.facts) for each in self.deployments)

    @cached_property
    def span(self) -> tuple[str, str]:
        """When the first and the last observation were made, in UTC."""
        moments = [float(fact["at"]) for each in self.deployments for fact in each.deployed.facts]
        first, last = (datetime.fromtimestamp(at, UTC) for at in (min(moments), max(moments)))
        return f"{first:%Y-%m-%d %H:%M:%S}", f"{last:%Y-%m-%d %H:%M:%S}"

    @cached_property
    def anchors(self) -> dict[int, str]:
        """The id on the page of what was deployed, by Python's id of it."""
        return {id(each.deployed): each.anchor for each in self.deployments}

    @cached_property
    def images(self) -> dict[str, int]:
        """What the mail server was → how many deployments had it."""
        return self._outcomes("mail server", "image")

    @property
    def on_stand_in(self) -> bool:
        """Whether some of it was seen with a stand-in for the mail server."""
        return any(image.startswith(STAND_IN) for image in self.images)

    @cached_property
    def machines(self) -> list[tuple[str, dict[str, int]]]:
        """Facts about the machines: what each was → on how many of them."""
        facts = dict.fromkeys(
            str(fact["subject"])
            for each in self.deployments
            for fact in each.deployed.of("machine")
        )
        return [
            (fact, self._outcomes("machine", fact)) for fact in facts if fact not in HIDDEN_FACTS
        ]

    @property
    def not_shown(self) -> str:
        """What these machines cannot show, or nothing."""
        shares = "no" in self._outcomes("machine", "kernel of its own")
        return NOT_SHOWN["nspawn"] if shares else ""

    @property
    def alarming(self) -> list[Deployment]:
        """The deployments that somebody should look at."""
        return [each for each in self.deployments if each.alarms or each.bad_tests]

    @property
    def lost_tests(self) -> list[Judged]:
        """The tests that failed and are of no deployment on this page."""
        known = {each.deployed.scenario for each in self.deployments}
        return [test for test in self.tests or () if test.is_bad and test.scenario not in known]

    @property
    def by_folder(self) -> dict[str, list[Deployment]]:
        """The deployments of each scenario's folder."""
        folders: dict[str, list[Deployment]] = {}
        for each in self.deployments:
            folders.setdefault(each.deployed.folder, []).append(each)
        return folders

    @property
    def claims(self) -> dict[Verdict, list[ClaimVerdict]]:
        """The claims with each verdict, in the order in which a reader wants them."""
        order = (
            Verdict.CONTRADICTED,
            Verdict.DEPENDS,
            Verdict.UPHELD,
            Verdict.NOT_CHECKABLE,
            Verdict.NOT_RUN,
        )
        every = self.ledger.verdicts if self.ledger else ()
        return {v: [each for each in every if each.verdict is v] for v in order}

    def _outcomes(self, kind: str, subject: str) -> dict[str, int]:
        latest = (each.deployed.latest(kind, subject) for each in self.deployments)
        return dict(Counter(str(fact["outcome"]) for fact in latest if fact).most_common())


def report_of(runs: Sequence[File], claims_file: File | None) -> Report:
    """The report of some runs.

    Args:
        runs: their folders.
        claims_file: the guide's claims; without one the report has no ledger.

    Raises:
        HarnessError: there are no observations, or the file of claims is wrong.
    """
    observed = read(runs)
    reach, relay = matrices.reachability(observed), matrices.relaying(observed)
    cells: dict[int, dict[str, Sequence[Cell]]] = {id(each): {} for each in observed}
    for matrix in (reach, relay):
        for row in matrix.rows:
            cells[id(row.deployed)][matrix.kind] = row.cells
    said = verdicts.read(runs)
    folders = {name_of(run, runs): run for run in runs}
    several = len({each.run for each in observed}) > 1
    made = [
        Deployment(
            number,
            each,
            cells[id(each)],
            _tests_of(each, said),
            several,
            _files(folders[each.run], each.scenario),
        )
        for number, each in enumerate(observed, 1)
    ]
    every = [test for of in said.values() for test in of] if said else None
    names = list(dict.fromkeys(each.run for each in observed))
    ledger = _ledger(observed, claims_file)
    return Report(names, made, reach, relay, timelines(observed), ledger, every)


def _files(run: File, scenario: str) -> list[str]:
    """What lies in a deployment's folder of evidence, where its name can be one."""
    if not NAME.fullmatch(scenario) or not (run / scenario).is_dir():
        return []
    return sorted(file.name for file in (run / scenario).iterdir())


def _tests_of(deployed: Deployed, said: dict[str, list[Judged]]) -> list[Judged] | None:
    if deployed.run not in said:
        return None
    return [test for test in said[deployed.run] if test.scenario == deployed.scenario]


def _ledger(observed: Iterable[Deployed], claims_file: File | None) -> Ledger | None:
    if claims_file is None:
        return None
    claims = load_claims(claims_file)
    kinds = kinds_of(claims)
    by_run: dict[str, list[Observation]] = {}
    for each in observed:
        facts = [fact for fact in each.facts if fact["kind"] in kinds]
        by_run.setdefault(each.run, []).extend(Observation(**fact) for fact in facts)
    deployed = deployments(list(by_run.values()))
    return Ledger(judge(claims, deployed), deployed)
