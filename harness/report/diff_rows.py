"""Changes put together: what is alike in several places is told once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from harness.judge_relay import CORE_FORMS
from harness.report.diff_meaning import Group
from harness.report.diff_scenario import NOT_OBSERVED, Change
from harness.report.seen import grouped

MOST = 3
"""Subjects or outcomes of a sort that are named."""
WHOLE = (Group.OPENED, Group.CLOSED)
"""Groups in which a variant is told in one row, however many forms of mail it is."""


@dataclass(frozen=True, slots=True)
class Row:
    """Changes that are told in one line.

    Attributes:
        group: their sort.
        scenarios: the scenario variants.
        what: what they are about, in words.
        where: the vantages, in words, or "".
        before: what was seen in the first run.
        after: what was seen in the second one.
        why: what shows it, of one of them.
        changes: how many.
        generations: where, or nothing where there is only one generation.
    """

    group: Group
    scenarios: tuple[str, ...]
    what: str
    where: str
    before: str
    after: str
    why: str
    changes: int
    generations: tuple[str, ...] = ()


def rows(changes: Sequence[Change]) -> list[Row]:
    """All changes, in the order of their groups."""
    by_generation: dict[str, list[Change]] = defaultdict(list)
    for each in changes:
        by_generation[each.generation].append(each)
    # What is told of several generations in the same words is told of all of them at once.
    same: dict[tuple[object, ...], list[Row]] = defaultdict(list)
    for generation, of in by_generation.items():
        for row in _rows(of):
            told = replace(row, generations=(generation,) if generation else ())
            key = (row.group, row.scenarios, row.what, row.where, row.before, row.after)
            same[key].append(told)
    together = [
        replace(
            some[0],
            changes=sum(row.changes for row in some),
            generations=tuple(name for row in some for name in row.generations),
        )
        for some in same.values()
    ]
    order = list(Group)
    return sorted(together, key=lambda row: order.index(row.group))


def _rows(changes: Sequence[Change]) -> list[Row]:
    """Those of one generation."""
    alike: dict[tuple[str, ...], list[Change]] = defaultdict(list)
    for each in changes:
        alike[_alike(each)].append(each)
    # What is told of several variants in the same words is told of all of them at once.
    told: dict[tuple[object, ...], list[Row]] = defaultdict(list)
    for some in by_place(alike.values()):
        row = _row(some)
        told[row.group, row.what, row.where, row.before, row.after].append(row)
    return [_merged(some) for some in told.values()]


def _alike(each: Change) -> tuple[str, ...]:
    if each.after == NOT_OBSERVED and each.group is Group.UNCLEAR:
        return (each.group, each.scenario, NOT_OBSERVED)
    if each.group in WHOLE:
        return (each.group, each.scenario)
    subject = each.subject if each.group is Group.CLAIMS else ""
    return (each.group, each.scenario, each.kind, each.before, each.after, subject)


def by_place(alike: Iterable[Sequence[Change]]) -> Iterable[Sequence[Change]]:
    """The same, split so that what is said of several vantages is true of each."""
    for some in alike:
        if some[0].group in WHOLE or some[0].after == NOT_OBSERVED:
            yield some
            continue
        subjects: dict[str | None, list[Change]] = defaultdict(list)
        for each in some:
            subjects[each.vantage].append(each)
        same: dict[frozenset[str], list[Change]] = defaultdict(list)
        for of in subjects.values():
            same[frozenset(each.subject for each in of)] += of
        yield from same.values()


def _row(some: Sequence[Change]) -> Row:
    first = min(some, key=lambda each: (_place(each.subject), each.vantage or ""))
    vantages = sorted({each.vantage for each in some if each.vantage})
    return Row(
        first.group,
        (first.scenario,) if first.scenario else (),
        what(some),
        ", ".join(grouped(vantages)),
        _outcomes(each.before for each in some),
        _outcomes(each.after for each in some),
        first.why,
        len(some),
    )


def what(some: Sequence[Change]) -> str:
    """What some changes are about, in words: the kind of observation, and its subjects."""
    kinds = Counter(each.kind for each in some)
    if len(kinds) > 1:
        return ", ".join(f"{times} of {kind}" for kind, times in kinds.most_common())
    (kind,) = kinds
    subjects = sorted({each.subject for each in some}, key=_place)
    if kind == "relay":
        kind = "relay form" if len(subjects) == 1 else f"{len(subjects)} relay forms:"
    return f"{kind.replace('_', ' ')} {_some(subjects)}"


def _place(subject: str) -> tuple[bool, int, str]:
    """The plainest forms of mail first, numbers by their size, the same order in every run."""
    return (subject not in CORE_FORMS, int(subject) if subject.isdigit() else 0, subject)


def _outcomes(outcomes: Iterable[str]) -> str:
    counted = Counter(outcomes)
    return _some(sorted(counted, key=lambda one: (-counted[one], one)), " / ")


def _some(words: Sequence[str], between: str = ", ") -> str:
    shown = between.join(words[:MOST])
    return f"{shown} and {len(words) - MOST} more" if len(words) > MOST else shown


def observed_once(changes: Sequence[Change]) -> list[str]:
    """Things that only one run observed, in a line for each kind."""
    kinds: dict[str, list[Change]] = defaultdict(list)
    for each in changes:
        kinds[each.kind].append(each)
    lines = []
    for of in kinds.values():
        outcomes = _outcomes(each.after for each in of)
        scenarios = sorted({each.scenario for each in of})
        number = f"{len(of)} times, " if len(of) > 1 else ""
        told = f"in {_some(scenarios)}: {outcomes}"
        lines.append(f"{what(of)}, {number}{told}")
    return lines


def _merged(some: Sequence[Row]) -> Row:
    first = some[0]
    scenarios = tuple(name for row in some for name in row.scenarios)
    changes = sum(row.changes for row in some)
    return Row(
        first.group,
        scenarios,
        first.what,
        first.where,
        first.before,
        first.after,
        first.why,
        changes,
    )


def by_folder(scenarios: Iterable[str]) -> str:
    """Scenario variants in short: each folder once, with its variants."""
    folders: dict[str, list[str]] = {}
    for name in scenarios:
        folder, _, variant = name.partition("-")
        folders.setdefault(folder, []).append(variant)
    return "; ".join(
        f"{folder}-{variants[0]}" if len(variants) == 1 else f"{folder}: {', '.join(variants)}"
        for folder, variants in folders.items()
    )
