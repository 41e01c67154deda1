"""The observations of runs, by deployment, as the parts of the report look at them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from harness.addresses import PLACES
from harness.errors import HarnessError
from harness.observations import Observation, Observations, deployment_id
from harness.report.generations import Made, made_of
from harness.report.runs import OBSERVATIONS, REMEDY, name_of
from harness.report.seen import Fact


class ReportError(HarnessError):
    """There is nothing to report of, or the report cannot be written: names the place."""


@dataclass(frozen=True)
class Deployed:
    """A scenario variant that was deployed in a run, with all facts about it.

    Attributes:
        run: the name of the run's folder.
        scenario: the variant's id.
        facts: what was observed, in the order in which it was.
        repetition: its number where the run deployed the variant several times, else 0.
    """

    run: str
    scenario: str
    facts: list[Fact] = field(default_factory=list)
    repetition: int = 0

    @property
    def deployment(self) -> str:
        """What tells it from all others of its run, as its folder of evidence is called."""
        return deployment_id(self.scenario, self.repetition)

    @cached_property
    def by_kind(self) -> dict[str, list[Fact]]:
        """The facts of each kind."""
        sorted_: dict[str, list[Fact]] = defaultdict(list)
        for fact in self.facts:
            sorted_[fact["kind"]].append(fact)
        return sorted_

    def of(self, kind: str, subject: str | None = None) -> list[Fact]:
        """The facts of a kind, and about one subject."""
        found = self.by_kind.get(kind, [])
        return [fact for fact in found if subject in (None, fact["subject"])]

    def latest(self, kind: str, subject: str | None = None) -> Fact | None:
        """The last fact of a kind; None where nothing of it was observed."""
        return next(reversed(self.of(kind, subject)), None)

    @cached_property
    def noted(self) -> Fact:
        """What the record says is expected (keys `vantages`, `checks`, `relays_from`, `why`)."""
        latest = self.latest("scenario")
        return latest["evidence"] if latest else {}

    @cached_property
    def made(self) -> Made:
        """What it was made of, as far as its own observations say."""
        facts = [*self.of("mail server"), *self.of("machine")]
        return made_of((each["kind"], each["subject"], each["outcome"]) for each in facts)

    @property
    def failed(self) -> bool:
        """Whether the mail server did not come up."""
        start = self.latest("deployment", "start")
        return start is not None and start["outcome"] == "failed"

    @property
    def folder(self) -> str:
        """The scenario's folder."""
        return self.scenario.partition("-")[0]

    @property
    def variant(self) -> str:
        """The variant's own name."""
        return self.scenario.partition("-")[2]

    def as_observed(self, facts: Iterable[Fact]) -> Observations:
        """Some of the facts as those see them who judge."""
        return _Recorded(self.scenario, [Observation(**fact) for fact in facts])


class _Recorded(Observations):
    """Observations of a run that is over."""

    def __init__(self, scenario: str, seen: Sequence[Observation]) -> None:
        super().__init__(scenario)
        self._all = list(seen)


def read(runs: Sequence[Path]) -> list[Deployed]:
    """What was deployed in some runs, in the order of the scenarios' names.

    Raises:
        ReportError: a folder holds no observations, or something else than observations.
    """
    found: dict[tuple[str, str, int], Deployed] = {}
    for run in runs:
        file = run / OBSERVATIONS
        if not file.is_file() or file.stat().st_size == 0:
            raise ReportError(
                f"{run} holds no observations",
                REMEDY,
            )
        name = name_of(run, runs)
        for fact in _facts(file):
            scenario, repetition = str(fact["scenario"]), int(fact.get("repetition") or 0)
            key = (scenario, name, repetition)
            if key not in found:
                found[key] = Deployed(name, scenario, repetition=repetition)
            found[key].facts.append(fact)
    return [found[key] for key in sorted(found)]


def _facts(file: Path) -> Iterable[Fact]:
    # Bytes that are no text are shown as such: what was observed may be anything.
    with file.open(encoding="utf-8", errors="backslashreplace", newline="\n") as lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith("}\n"):
                continue  # a killed run left it half written
            try:
                fact = json.loads(line)
                Observation(**fact)
            except (ValueError, TypeError) as error:
                raise ReportError(
                    f"{file}:{number}: no observation: {error}", "remove that line"
                ) from None
            yield fact


def by_place(vantage: str) -> tuple[int, str]:
    """The order of vantages: from outside to inside, IPv4 before IPv6."""
    place = vantage.rpartition("_v")[0]
    return (PLACES.index(place) if place in PLACES else len(PLACES), vantage)
