"""All that the report says, computed from the observations; how it looks is the templates'."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

from harness.claims_verdict import STAND_IN
from harness.observations import Observation
from harness.report import infrastructure
from harness.report.html.deployment import Deployment
from harness.report.html.differences import Section
from harness.report.html.ledgers import Ledgers
from harness.report.html.matrices import Matrix
from harness.report.html.overview import Overview, overview
from harness.report.html.side_by_side import (
    NOT_APPLICABLE,
    Absent,
    Block,
    Folder,
    Generation,
    absent,
    folders,
)
from harness.report.html.timeline import Timeline
from harness.report.html.verdicts import Judged
from harness.report.infrastructure import RETRY, Infrastructure
from harness.report.stability import Stability
from harness.report.terminal import NOT_SHOWN

HIDDEN_FACTS = ("host_key",)
"""Facts about a machine that nobody reads."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A matrix, and the same with the generations of each variant put together."""

    matrix: Matrix
    blocks: Sequence[Block]

    @property
    def folders(self) -> list[Folder]:
        """The variants by their scenario's folder."""
        return folders(self.blocks)

    @property
    def differing(self) -> list[Block]:
        """The variants of which not all generations saw the same."""
        return [block for block in self.blocks if block.is_different]

    def count(self, *states: str) -> int:
        """How many cells of deployments are in one of some states."""
        return self.matrix.count(*states)


@dataclass(frozen=True)
class Report:
    """The page.

    Attributes:
        runs: the runs' names.
        generations: what they are told apart by; one, or several side by side.
        deployments: in the order of their names.
        reach: from where the ports answer.
        relay: from where strangers' mail is relayed.
        timelines: one for each run.
        claims: the verdicts on the guide's claims; None without a file of claims.
        tests: what the tests said; None where that is not known of any run.
        differences: what not all generations saw, by what it means.
        empty: the names of runs that observed nothing.
        stability: of each run that deployed variants several times, its name and theirs.
    """

    runs: Sequence[str]
    generations: Sequence[Generation]
    deployments: Sequence[Deployment]
    reach: Picture
    relay: Picture
    timelines: Sequence[Timeline]
    claims: Ledgers | None
    tests: Sequence[Judged] | None
    differences: Sequence[Section] = ()
    empty: Sequence[str] = field(default=())
    stability: Sequence[tuple[str, Sequence[Stability]]] = ()

    @cached_property
    def infrastructure(self) -> Infrastructure:
        """What went wrong with machines and computers."""
        retries = (fact for each in self.deployments for fact in each.deployed.of(RETRY))
        return infrastructure.of(self.tests, (Observation(**fact) for fact in retries))

    @property
    def is_side_by_side(self) -> bool:
        """Whether there is more than one generation."""
        return len(self.generations) > 1

    @property
    def heading(self) -> str:
        """What the page is about."""
        if self.is_side_by_side:
            return f"{len(self.generations)} generations side by side"
        if len(self.runs) > 3:
            return f"{len(self.runs)} runs on {self.generations[0].name}"
        return f"Run{'s' if len(self.runs) > 1 else ''} {', '.join(self.runs)}"

    @property
    def title(self) -> str:
        """The page's title."""
        of = [each.name for each in self.generations] if self.is_side_by_side else self.runs
        return f"dms-harness: {'; '.join(of) if self.is_side_by_side else ', '.join(of)}"

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

    @property
    def only_on_stand_in(self) -> bool:
        """Whether nothing was seen with docker-mailserver itself."""
        return all(image.startswith(STAND_IN) for image in self.images)

    @cached_property
    def versions(self) -> list[tuple[str, list[dict[str, int]]]]:
        """What a fact is called → for each generation, what it was on how many deployments."""
        facts = dict.fromkeys(
            ("machine", str(fact["subject"]))
            for each in self.deployments
            for fact in each.deployed.of("machine")
        )
        asked = {("mail server", "image"): None} | facts
        return [
            (
                "mail server" if kind == "mail server" else subject,
                [self._outcomes(kind, subject, each) for each in self.generations],
            )
            for kind, subject in asked
            if subject not in HIDDEN_FACTS
        ]

    @property
    def not_shown(self) -> str:
        """What these machines cannot show, or nothing."""
        shares = "no" in self._outcomes("machine", "kernel of its own")
        return NOT_SHOWN["nspawn"] if shares else ""

    @property
    def alarming(self) -> list[Deployment]:
        """The deployments that somebody should look at."""
        return [
            each for each in self.deployments if each.alarms or each.bad_tests or each.not_tried
        ]

    @property
    def lost_tests(self) -> list[Judged]:
        """The tests that failed and are of no deployment on this page."""
        known = {each.deployed.deployment for each in self.deployments}
        return [test for test in self.tests or () if test.is_bad and test.deployment not in known]

    @property
    def by_folder(self) -> dict[str, dict[str, list[Deployment]]]:
        """The deployments of each scenario's folder, by scenario variant."""
        folders: dict[str, dict[str, list[Deployment]]] = {}
        for each in self.deployments:
            variants = folders.setdefault(each.deployed.folder, {})
            variants.setdefault(each.deployed.scenario, []).append(each)
        return folders

    def absent(self, scenario: str) -> list[Absent]:
        """Where a variant was not deployed."""
        return absent(scenario, self.generations)

    @cached_property
    def never_deployed(self) -> list[Absent]:
        """The variants that are applicable nowhere; a scenario's id is the first of its words."""
        known = {each.deployed.scenario for each in self.deployments}
        names = {name for each in self.generations for name in each.skipped} - known
        return [
            Absent(name, each.why, each.generations)
            for name in sorted(names)
            for each in absent(name, self.generations)
            if each.what == NOT_APPLICABLE
        ]

    def first_of(self, scenario: str) -> Deployment:
        """The first deployment of a variant that is on the page."""
        return self._first[scenario]

    @cached_property
    def _first(self) -> dict[str, Deployment]:
        return {each.deployed.scenario: each for each in reversed(self.deployments)}

    def same_path(self, of: Deployment) -> Deployment | None:
        """The first deployment of the same variant with the same network path, if not this one."""
        first = self._paths[of.deployed.scenario, of.path.said if of.path else ""]
        return None if first is of else first

    @cached_property
    def _paths(self) -> dict[tuple[str, str], Deployment]:
        return {
            (each.deployed.scenario, each.path.said if each.path else ""): each
            for each in reversed(self.deployments)
        }

    @cached_property
    def overview(self) -> Overview:
        """The generations at one glance."""
        pictured = [*self.relay.blocks, *self.reach.blocks]
        return overview(self.generations, self.deployments, pictured, self.differences)

    @cached_property
    def telling(self) -> dict[str, bool]:
        """Scenario variant → whether generations, or repetitions, differ in a picture."""
        names = {each.deployed.scenario: False for each in self.deployments}
        changed = {name for section in self.differences for name in section.scenarios}
        changed |= {b.scenario for of in (self.reach, self.relay) for b in of.differing}
        return {name: name in changed for name in names}

    def differs_in(self, scenarios: Iterable[str]) -> bool:
        """Whether generations, or repetitions, differ about one of some variants."""
        return any(self.telling[name] for name in scenarios)

    @cached_property
    def flaky(self) -> list[tuple[str, Generation]]:
        """The variants whose repetitions in a generation saw different things."""
        return list(
            {
                (block.scenario, each.number): (block.scenario, each)
                for of in (self.relay, self.reach)
                for block in of.blocks
                for each in block.flaky
            }.values()
        )

    @property
    def repeated(self) -> int:
        """How many variants were deployed several times in one generation."""
        return sum(len(of) > 1 for each in self.generations for of in each.variants.values())

    def _outcomes(
        self, kind: str, subject: str, generation: Generation | None = None
    ) -> dict[str, int]:
        every = generation.deployed if generation else [each.deployed for each in self.deployments]
        latest = (each.latest(kind, subject) for each in every)
        return dict(Counter(str(fact["outcome"]) for fact in latest if fact).most_common())
