"""Runs' records, as they are compared: observations by what they are about.

What one run or several observed of a generation is a side of a comparison. A scenario variant that
several of its runs deployed, or one of them several times, is there several times; where those
disagree, that is known.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from harness.errors import HarnessError
from harness.observations import Observation, read
from harness.report.diff_meaning import NOT_COMPARED, meaning
from harness.report.generations import Made, made_of, names, settled
from harness.report.infrastructure import Infrastructure, of_run
from harness.report.runs import OBSERVATIONS, find

Key = tuple[str, str, str | None]
"""Kind, subject, vantage."""
UNKNOWN_MADE = Made()
REMEDY = "name the folder of a run that deployed something, such as runs/latest"


@dataclass(frozen=True)
class Scenario:
    """What was seen of a scenario variant.

    Attributes:
        seen: the latest of each thing, and of mail that was relayed once, that; where repetitions
            disagree, what most of them saw.
        unsteady: what repetitions disagree about → what it meant in how many of them.
        times: how often it was deployed.
    """

    seen: Mapping[Key, Observation]
    unsteady: Mapping[Key, Counter[str]] = field(default_factory=dict)
    times: int = 1

    def meanings(self, key: Key) -> set[str]:
        """What a thing meant, in words: nothing, one thing or several."""
        if key in self.unsteady:
            return set(self.unsteady[key])
        return {meaning(self.seen[key])} if key in self.seen else set()


Scenarios = Mapping[str, Scenario]


@dataclass(frozen=True)
class Run:
    """A side of a comparison: what was observed in a run, or in several of one generation.

    Attributes:
        name: what the reader calls it.
        records: each run's observations, as they were made.
        broken: lines of the records that are no observation, such as one that a kill cut off.
        made: what it was made of.
        generation: its name among others, or "".
        infrastructure: each run's folder → what went wrong there that is not the mail server's
            doing.
    """

    name: str
    records: Sequence[Sequence[Observation]]
    broken: int = 0
    made: Made = UNKNOWN_MADE
    generation: str = ""
    infrastructure: Mapping[str, Infrastructure] = field(default_factory=dict)

    @cached_property
    def scenarios(self) -> Scenarios:
        """What was seen of each scenario variant."""
        times: dict[str, list[dict[Key, Observation]]] = defaultdict(list)
        for record in self.records:
            for (scenario, _), seen in by_deployment(record).items():
                times[scenario].append(by_key(seen))
        return {scenario: _together(of) for scenario, of in times.items()}


def by_deployment(record: Iterable[Observation]) -> dict[tuple[str, int], list[Observation]]:
    """A run's observations by scenario variant and number of the repetition, 0 where one is all."""
    found: dict[tuple[str, int], list[Observation]] = defaultdict(list)
    for seen in record:
        found[seen.scenario, seen.repetition].append(seen)
    return found


def by_key(deployment: Iterable[Observation]) -> dict[Key, Observation]:
    """What was seen of each thing in a deployment: the latest, and of mail once relayed, that."""
    found: dict[Key, Observation] = {}
    for seen in deployment:
        key = (seen.kind, seen.subject, seen.vantage)
        known = found.get(key)
        # Mail that was relayed was relayed, whatever came of another attempt.
        if known is None or not _is_relayed(known):
            found[key] = seen
    return found


def _is_relayed(seen: Observation) -> bool:
    return (seen.kind, seen.outcome) == ("relay", "relayed")


def _together(times: Sequence[Mapping[Key, Observation]]) -> Scenario:
    if len(times) == 1:
        return Scenario(times[0])
    chosen: dict[Key, Observation] = {}
    unsteady: dict[Key, Counter[str]] = {}
    for key in dict.fromkeys(key for of in times for key in of):
        every = [of[key] for of in times if key in of]
        chosen[key] = every[-1]
        if key[0] in NOT_COMPARED or len({seen.outcome for seen in every}) == 1:
            continue
        said = [meaning(seen) for seen in every]
        counts = Counter(said)
        if len(counts) > 1:
            unsteady[key] = counts
            most = counts.most_common(1)[0][0]
            relayed = [seen for seen in every if _is_relayed(seen)]
            chosen[key] = (relayed or [every[said.index(most)]])[-1]
    return Scenario(chosen, unsteady, len(times))


def load(folder: Path) -> Run:
    """What one run, or all runs below a folder, observed; whatever they were made of.

    Args:
        folder: the run's folder, its `observations.jsonl`, or a folder that holds runs.

    Raises:
        HarnessError: there is none, or nothing in it is an observation.
    """
    records, broken, wrong = _read(folder)
    return Run(str(folder), records, broken, infrastructure=wrong)


def load_generations(folder: Path) -> list[Run]:
    """The same, a side for each generation, in the order of their names.

    Raises:
        HarnessError: there is none, or nothing in it is an observation.
    """
    records, broken, wrong = _read(folder)
    parts: list[tuple[int, Sequence[Observation]]] = []
    for number, record in enumerate(records):
        parts += [(number, of) for of in by_deployment(record).values()]
    made = settled(
        [str(number) for number, _ in parts],
        [made_of((o.kind, o.subject, o.outcome) for o in of) for _, of in parts],
    )
    by_made: dict[Made, dict[int, list[Observation]]] = {}
    for (number, of), each in zip(parts, made, strict=True):
        by_made.setdefault(each, {}).setdefault(number, []).extend(of)
    ordered = sorted(by_made, key=lambda each: each.order)
    several = len(ordered) > 1
    return [
        # Nobody knows which generation a line was of that cannot be read, or a machine that never
        # came to be: the first one says it.
        Run(
            str(folder),
            [*by_made[each].values()],
            broken if number == 0 else 0,
            each,
            name if several else "",
            wrong if number == 0 else {},
        )
        for number, (each, name) in enumerate(zip(ordered, names(ordered), strict=True))
    ]


_Records = list[tuple[Observation, ...]]


def _read(folder: Path) -> tuple[_Records, int, dict[str, Infrastructure]]:
    """The runs' records, how many lines cannot be read, and what went wrong in which run."""
    if folder.is_file() and folder.name == OBSERVATIONS:
        files = [folder]
    elif not folder.is_dir():
        missing = f"{folder} is no run's folder" if folder.exists() else f"{folder} is missing"
        raise HarnessError(missing, REMEDY)
    elif (folder / OBSERVATIONS).is_file():
        files = [folder / OBSERVATIONS]
    else:
        files = [run / OBSERVATIONS for run in find([folder]).runs]
    records: _Records = []
    wrong = {}
    broken: list[int] = []
    for file in files:
        try:
            found = tuple(read(file, broken=broken))
        except (OSError, UnicodeDecodeError) as error:
            raise HarnessError(f"{file}: {error}", REMEDY) from None
        if found:
            records.append(found)
            wrong[str(file.parent)] = of_run(file.parent)
    if not records:
        what = f"none of its {len(broken)} lines is an observation" if broken else "is empty"
        raise HarnessError(f"{files[0]}: {what}", REMEDY)
    return records, len(broken), wrong


def facts(scenarios: Iterable[Scenario]) -> Mapping[str, list[str]]:
    """What the machines and the mail server were: fact → its values, one or several."""
    known: dict[str, set[str]] = defaultdict(set)
    for seen in (each for scenario in scenarios for each in scenario.seen.values()):
        if seen.kind == "machine" and seen.subject != "host_key":
            known[seen.subject].add(seen.outcome or "unknown")
        elif (seen.kind, seen.subject) == ("mail server", "image"):
            known["mail server"].add(seen.outcome.partition(" (")[0])
    return {fact: sorted(values) for fact, values in sorted(known.items())}


def seconds(scenarios: Iterable[Scenario]) -> Mapping[str, float]:
    """How long each phase took in the middle, seconds."""
    from statistics import median

    taken: dict[str, list[float]] = defaultdict(list)
    for seen in (each for scenario in scenarios for each in scenario.seen.values()):
        given = seen.evidence.get("seconds")
        if seen.kind == "phase" and isinstance(given, int | float):
            taken[seen.subject].append(float(given))
    return {phase: round(median(each), 1) for phase, each in taken.items()}
