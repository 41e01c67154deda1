"""How stable each scenario variant was that a run deployed several times.

Pure: what the tests said and what was observed go in. A repetition that could not be tried because
of this computer or the machine says nothing, and is counted by itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from harness.observations import Observation, read, variant_and_repetition
from harness.report.diff_meaning import NOT_COMPARED, meaning
from harness.report.diff_run import Key, by_deployment, by_key
from harness.report.failures import repetitions_in_words
from harness.report.html.verdicts import Judged
from harness.report.runs import OBSERVATIONS
from harness.report.seen import grouped

HEADING = "stability over {} repetitions (min / median / max of a deployment's seconds):"
PASSED, FAILED, NOT_TRIED = "passed", "failed", "not tried"
"""What a deployment's tests come to together."""
NOT_OBSERVED = "not observed"
SUBJECTS = 3
"""How many of the subjects that differ alike are named."""
DIFFERENCES = 12
"""How many lines a variant's differences have at most."""


@dataclass(frozen=True, slots=True)
class Differing:
    """Something that was not seen alike in all repetitions.

    Attributes:
        kind: of the observations.
        subjects: what they are about.
        vantages: from where; empty where that makes no sense.
        seen: what it was → the repetitions in which it was so.
    """

    kind: str
    subjects: tuple[str, ...]
    vantages: tuple[str, ...]
    seen: Mapping[str, tuple[int, ...]]

    def __str__(self) -> str:
        subjects = ", ".join(self.subjects[:SUBJECTS])
        if len(self.subjects) > SUBJECTS:
            subjects += f" and {len(self.subjects) - SUBJECTS} more"
        where = f" from {', '.join(grouped(self.vantages))}" if self.vantages else ""
        # What is usual only by its number; what is not, by the repetitions to look at.
        often, *seldom = sorted(self.seen.items(), key=lambda each: (-len(each[1]), each[0]))
        said = [f"{often[0]} in {len(often[1])}"]
        said += [f"{what} in {repetitions_in_words(numbers)}" for what, numbers in seldom]
        return f"{self.kind.replace('_', ' ')} {subjects}{where}: {', '.join(said)}"


@dataclass(frozen=True, slots=True)
class Stability:
    """A variant that was deployed several times.

    Attributes:
        variant: its id.
        repeat: how often it was to be deployed.
        passed: the repetitions in which all tests passed that could be run.
        failed: those in which some test did not.
        not_tried: those that failed for the machine's or this computer's sake.
        tests: test → the repetitions in which it did not pass.
        differing: what was not observed alike.
        seconds: how long each deployment took, over all phases, the shortest first.
    """

    variant: str
    repeat: int
    passed: tuple[int, ...]
    failed: tuple[int, ...]
    not_tried: tuple[int, ...]
    tests: Mapping[str, tuple[int, ...]]
    differing: Sequence[Differing]
    seconds: tuple[float, ...]

    @property
    def is_stable(self) -> bool:
        """Whether every repetition was tried, passed, and saw the same."""
        return len(self.passed) == self.repeat and not self.differing

    @property
    def counts(self) -> str:
        """How many repetitions passed, and what became of the others."""
        said = [f"{len(self.passed)} of {self.repeat} passed"]
        if self.not_tried:
            said.append(f"{len(self.not_tried)} could not be tried")
        tried = {*self.passed, *self.failed, *self.not_tried}
        if len(tried) < self.repeat:
            said.append(f"{self.repeat - len(tried)} not run")
        return ", ".join(said)

    @property
    def times(self) -> str:
        """The shortest, the median and the longest deployment, in seconds."""
        if not self.seconds:
            return "no times"
        chosen = (self.seconds[0], median(self.seconds), self.seconds[-1])
        return " / ".join(f"{each:.1f}" for each in chosen) + " s"

    @property
    def details(self) -> list[str]:
        """Which tests did not pass, and what differed: a line each."""
        lines = [
            f"failed in {repetitions_in_words(numbers)}: {test}"
            for test, numbers in self.tests.items()
        ]
        lines += [f"differs: {each}" for each in self.differing]
        if len(lines) > DIFFERENCES:
            lines[DIFFERENCES - 1 :] = [f"… and {len(lines) - DIFFERENCES + 1} more"]
        return lines


def stability_of(
    observations: Iterable[Observation], tests: Iterable[Judged], repeat: int = 0
) -> list[Stability]:
    """How stable each variant was that has repetitions, in the order of their names.

    Args:
        observations: those of a run.
        tests: what the run's tests said.
        repeat: how often each variant was to be deployed; by default the highest number there is.
    """
    seen: dict[str, dict[int, list[Observation]]] = defaultdict(lambda: defaultdict(list))
    for (scenario, number), of in by_deployment(observations).items():
        if number:
            seen[scenario][number] = of
    said: dict[str, dict[int, list[Judged]]] = defaultdict(lambda: defaultdict(list))
    for test in tests:
        variant, number = variant_and_repetition(test.deployment)
        if number and not test.not_applicable:  # that is told elsewhere, with the reason
            said[variant][number].append(test)
    numbers = [n for of in seen.values() for n in of] + [n for of in said.values() for n in of]
    highest = max(numbers, default=0)
    return [
        _of_variant(variant, seen.get(variant, {}), said.get(variant, {}), repeat or highest)
        for variant in sorted(seen.keys() | said.keys())
    ]


def _of_variant(
    variant: str,
    seen: Mapping[int, Sequence[Observation]],
    said: Mapping[int, Sequence[Judged]],
    repeat: int,
) -> Stability:
    failed: list[int] = []
    passed: list[int] = []
    not_tried: list[int] = []
    by_test: dict[str, list[int]] = defaultdict(list)
    of = {PASSED: passed, FAILED: failed, NOT_TRIED: not_tried}
    for number, tests in sorted(said.items()):
        if end := came_to(tests):
            of[end].append(number)
        for test in filter(_is_wrong, tests):
            by_test[name_of(test)].append(number)
    # What could not be tried was not seen either: that is no difference between mail servers.
    compared = {
        number: by_key(of) for number, of in sorted(seen.items()) if number in {*passed, *failed}
    }
    return Stability(
        variant,
        repeat,
        tuple(passed),
        tuple(failed),
        tuple(not_tried),
        {test: tuple(numbers) for test, numbers in by_test.items()},
        _differing(compared),
        tuple(sorted(_seconds(seen[number]) for number in compared)),
    )


def came_to(tests: Sequence[Judged]) -> str:
    """What all tests of one deployment come to together.

    Returns:
        `PASSED`, `FAILED` or `NOT_TRIED`; nothing where none of them could be run there at all.
    """
    if any(map(_is_wrong, tests)):
        return FAILED
    if any(test.infrastructure for test in tests):
        return NOT_TRIED
    return PASSED if any(test.outcome == "passed" for test in tests) else ""


def _is_wrong(test: Judged) -> bool:
    return test.is_bad and not test.infrastructure


def name_of(test: Judged) -> str:
    """A test's name without its file and its deployment: what it is and what it looks at."""
    name = test.nodeid.rpartition("/")[2].partition("::")[2] or test.nodeid
    return name.replace(f"[{test.deployment}]", "").replace(f"[{test.deployment}-", "[")


def _differing(compared: Mapping[int, Mapping[Key, Observation]]) -> list[Differing]:
    """What was not seen alike; what differs in the same way in the same repetitions, together."""
    ways: dict[tuple[str, tuple[tuple[str, tuple[int, ...]], ...]], list[Key]] = defaultdict(list)
    for key in dict.fromkeys(key for of in compared.values() for key in of):
        if key[0] in NOT_COMPARED:
            continue
        seen: dict[str, list[int]] = defaultdict(list)
        for number, of in compared.items():
            if key in of:
                seen[meaning(of[key])].append(number)
            elif _came_up(of) or key[0] == "deployment":
                seen[NOT_OBSERVED].append(number)
        if len(seen) > 1:
            way = tuple(sorted((what, tuple(numbers)) for what, numbers in seen.items()))
            ways[key[0], way].append(key)
    return [
        Differing(kind, subjects, vantages, dict(way))
        for (kind, way), keys in ways.items()
        for subjects, vantages in _by_place(keys)
    ]


def _by_place(keys: Iterable[Key]) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Subjects and vantages, such that each of the former is meant from each of the latter."""
    subjects: dict[str | None, list[str]] = defaultdict(list)
    for _, subject, vantage in keys:
        subjects[vantage].append(subject)
    places: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for vantage, of in subjects.items():
        places[tuple(of)] += [vantage] if vantage else []
    return [(of, tuple(vantages)) for of, vantages in places.items()]


def _came_up(seen: Mapping[Key, Observation]) -> bool:
    start = seen.get(("deployment", "start", None))
    return start is None or start.outcome != "failed"


def _seconds(seen: Iterable[Observation]) -> float:
    given = (each.evidence.get("seconds") for each in seen if each.kind == "phase")
    return float(sum(each for each in given if isinstance(each, int | float)))


def in_lines(found: Sequence[Stability]) -> list[str]:
    """A line for each variant, below it what was not the same in all repetitions."""
    if not found:
        return []
    wide = max(len(each.variant) for each in found)
    counts = max(len(each.counts) for each in found)
    lines = []
    for each in found:
        lines.append(f"{each.variant:{wide}}  {each.counts:{counts}}  {each.times}")
        lines += [f"  {line}" for line in each.details]
    return lines


def read_run(run: Path) -> list[Observation]:
    """A run's observations, without those that are never compared and not timed either."""
    return [
        seen
        for seen in read(run / OBSERVATIONS, broken=[])
        if seen.kind == "phase" or seen.kind not in NOT_COMPARED
    ]
