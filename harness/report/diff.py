"""What changed between two runs, or two nights of many, as far as it means something.

Pure: observations go in, changes come out. What only one run deployed is no change, and
neither is what follows from another one, such as logins on a port that does not answer any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.claims import Claim
from harness.claims_verdict import ClaimVerdict, deployments, judge
from harness.errors import HarnessError
from harness.observations import Observation
from harness.report.diff_meaning import Group
from harness.report.diff_run import Run, facts, seconds
from harness.report.diff_scenario import Change, Compared
from harness.report.generations import matched, names
from harness.report.infrastructure import Infrastructure


@dataclass(frozen=True, slots=True)
class Difference:
    """All that is to be said of two runs.

    Attributes:
        a, b: the runs.
        changes: in the order of their groups, then by scenario.
        compared: the scenario variants of both.
        only_a, only_b: the scenario variants of one.
        follow: how many differences were left out because others explain them.
        new: what was observed in the second run only, and changes nothing.
        facts: fact → its values in the first run and in the second, where they differ.
        seconds: phase → the median seconds in both, which mean nothing by themselves.
        generation: its name, or "" where there is only one.
    """

    a: Run
    b: Run
    changes: Sequence[Change]
    compared: Sequence[str]
    only_a: Sequence[str]
    only_b: Sequence[str]
    follow: int
    new: Sequence[Change]
    facts: Mapping[str, tuple[str, str]]
    seconds: Mapping[str, tuple[float, float]]
    generation: str = ""


def compare(a: Run, b: Run, claims: Sequence[Claim] = ()) -> Difference:
    """What changed from one run to another.

    Args:
        a: the run before.
        b: the run after.
        claims: the guide's, whose verdicts are compared as well.

    Raises:
        HarnessError: they have no scenario variant in common.
    """
    first, second = a.scenarios, b.scenarios
    compared = sorted(first.keys() & second.keys())
    if not compared:
        raise HarnessError(
            f"{a.name} and {b.name} have no scenario variant in common",
            f"{a.name} has {_some(first)}; {b.name} has {_some(second)}",
        )
    changes: list[Change] = []
    new: list[Change] = []
    follow = 0
    for name in compared:
        found = Compared(name, first[name], second[name])
        changes += found.changes()
        follow += found.follow
        new += found.new
    changes += _claims(claims, a, b, frozenset(compared))
    order = list(Group)
    changes.sort(key=lambda each: (order.index(each.group), each.scenario))
    ours, theirs = ([of[name] for name in compared] for of in (first, second))
    return Difference(
        a,
        b,
        changes,
        compared,
        sorted(first.keys() - second.keys()),
        sorted(second.keys() - first.keys()),
        follow,
        new,
        _differing(facts(ours), facts(theirs)),
        _both(seconds(ours), seconds(theirs)),
    )


@dataclass(frozen=True)
class Nights:
    """All that is to be said of two runs, or of two folders of runs, generation by generation.

    Attributes:
        a, b: what the reader calls them.
        pairs: the generations of both, with their names, where there are several.
        only_a, only_b: the generations of one.
        apart: the names of generations of both that have no scenario variant in common.
        broken: how many lines of each cannot be read.
        infrastructure: of each, the folders of its runs → what went wrong there that is not the
            mail server's doing.
    """

    a: str
    b: str
    pairs: Sequence[Difference]
    only_a: Sequence[Run]
    only_b: Sequence[Run]
    apart: Sequence[str]
    broken: tuple[int, int]
    infrastructure: tuple[Mapping[str, Infrastructure], Mapping[str, Infrastructure]]

    @property
    def changes(self) -> list[Change]:
        """Of all generations, in the order of their groups, then by scenario."""
        order = list(Group)
        every = [change for pair in self.pairs for change in pair.changes]
        return sorted(every, key=lambda each: (order.index(each.group), each.scenario))

    @property
    def new(self) -> list[Change]:
        """What was observed in the second one only."""
        return [change for pair in self.pairs for change in pair.new]

    @property
    def follow(self) -> int:
        """How many differences were left out because others explain them."""
        return sum(pair.follow for pair in self.pairs)


def compare_all(a: Sequence[Run], b: Sequence[Run], claims: Sequence[Claim] = ()) -> Nights:
    """What changed in each generation that both have.

    Args:
        a: the generations before, at least one.
        b: the generations after.
        claims: the guide's, whose verdicts are compared as well.

    Raises:
        HarnessError: no generation of both has a scenario variant in common.
    """
    couples = matched([each.made for each in a], [each.made for each in b])
    called = names([made for was, now in couples if (made := now or was)])
    first, second = ({each.made: each for each in side} for side in (a, b))
    pairs: list[Difference] = []
    apart: list[str] = []
    error: HarnessError | None = None
    for (was, now), name in zip(couples, called, strict=True):
        if was is None or now is None:
            continue
        generation = name if len(couples) > 1 else ""
        try:
            found = compare(first[was], second[now], claims)
        except HarnessError as nothing:
            error = nothing
            apart.append(name)
            continue
        pairs.append(_named(found, generation))
    if not pairs:
        raise error or HarnessError(
            f"{a[0].name} and {b[0].name} have no generation in common",
            f"{a[0].name} has {_generations(a)}; {b[0].name} has {_generations(b)}",
        )
    return Nights(
        a[0].name,
        b[0].name,
        pairs,
        [first[was] for was, now in couples if was is not None and now is None],
        [second[now] for was, now in couples if now is not None and was is None],
        apart,
        (sum(each.broken for each in a), sum(each.broken for each in b)),
        (_wrong(a), _wrong(b)),
    )


def _wrong(side: Sequence[Run]) -> dict[str, Infrastructure]:
    return {run: known for each in side for run, known in each.infrastructure.items()}


def _named(found: Difference, generation: str) -> Difference:
    if not generation:
        return found
    return replace(
        found,
        generation=generation,
        changes=[replace(each, generation=generation) for each in found.changes],
        new=[replace(each, generation=generation) for each in found.new],
    )


def _generations(some: Sequence[Run]) -> str:
    return "; ".join(each.generation or names([each.made])[0] for each in some)


def _claims(claims: Sequence[Claim], a: Run, b: Run, compared: frozenset[str]) -> list[Change]:
    """The claims about which the runs say different things, of what both of them deployed."""
    if not claims:
        return []
    sides = [
        judge(claims, deployments(_only(record, compared) for record in run.records))
        for run in (a, b)
    ]
    return [
        Change(
            Group.CLAIMS, "", "claim", was.claim.id, None, _said(was), _said(now), was.claim.quote
        )
        for was, now in zip(*sides, strict=True)
        if _said(was) != _said(now)
    ]


def _only(record: Iterable[Observation], scenarios: frozenset[str]) -> list[Observation]:
    return [seen for seen in record if seen.scenario in scenarios]


def _said(each: ClaimVerdict) -> str:
    """A verdict, with where it does not hold if that is not everywhere."""
    broken = sorted({result.case.when for result in each.broken})
    return f"{each.verdict} (not so: {', '.join(broken)})" if broken and each.held else each.verdict


def _differing(
    first: Mapping[str, Sequence[str]], second: Mapping[str, Sequence[str]]
) -> Mapping[str, tuple[str, str]]:
    said = {
        fact: (
            " and ".join(first.get(fact, ["unknown"])),
            " and ".join(second.get(fact, ["unknown"])),
        )
        for fact in sorted(first.keys() | second.keys())
    }
    return {fact: both for fact, both in said.items() if both[0] != both[1]}


def _both(
    first: Mapping[str, float], second: Mapping[str, float]
) -> Mapping[str, tuple[float, float]]:
    return {phase: (first[phase], second[phase]) for phase in first if phase in second}


def _some(scenarios: Iterable[str]) -> str:
    names = sorted(scenarios)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
