"""What not all generations saw, by what it means: the words of `dms-harness diff`, side by side."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.observations import Observation
from harness.report.diff_meaning import Group, settled_relay
from harness.report.diff_rows import by_place, what
from harness.report.diff_run import Key, Run, Scenario, Scenarios
from harness.report.diff_scenario import Change, changes_of, said
from harness.report.html.side_by_side import NOT_RUN, Generation
from harness.report.seen import grouped, named

TITLES: Mapping[Group, str] = {
    Group.OPENED: "Strangers can relay in some only",
    Group.UNCLEAR: "Inconclusive in some only",
    Group.UNSTEADY: "Repetitions disagree",
    Group.START: "Comes up in some only",
    Group.ADDRESS: "Client addresses",
}
"""Groups that are called otherwise where nothing is before or after."""
SAME_AS = {Group.CLOSED: Group.OPENED, Group.CLEAR: Group.UNCLEAR}
"""Groups that only differ in which side came first."""
WHOLE = (Group.OPENED,)
"""Groups whose outcomes are told without their details."""
DOWN = "did not come up"
NOTHING = {NOT_RUN, DOWN}
"""What is said of a generation that could see nothing of the sort."""


@dataclass(frozen=True, slots=True)
class Value:
    """What a generation saw.

    Attributes:
        text: in words.
        rank: 0 for what most generations saw, 1 for the next, …; None where nothing could be.
    """

    text: str
    rank: int | None


@dataclass(frozen=True, slots=True)
class Told:
    """Differences that are told in one line.

    Attributes:
        scenarios: the scenario variants.
        what: what it is about, in words.
        where: the vantages, in words, or "".
        values: one for each generation, in their order.
    """

    scenarios: Sequence[str]
    what: str
    where: str
    values: Sequence[Value]


@dataclass(frozen=True, slots=True)
class Section:
    """Differences of one sort."""

    title: str
    group: Group
    rows: Sequence[Told]

    @property
    def is_relaying(self) -> bool:
        """Whether it is about strangers who can relay."""
        return self.group is Group.OPENED

    @property
    def scenarios(self) -> set[str]:
        """The variants that they are about."""
        return {name for row in self.rows for name in row.scenarios}


def differences(among: Sequence[Generation]) -> list[Section]:
    """All differences between generations, the most serious sort first."""
    if len(among) < 2:
        return []
    seen = [Run(each.name, _by_run(each)).scenarios for each in among]
    found: dict[tuple[Group, tuple[str, ...], str], list[Change]] = defaultdict(list)
    for scenario in sorted({name for of in seen for name in of}):
        for change, values in _of(scenario, seen):
            found[change.group, values, f"{scenario} {change.kind}"].append(change)
    told: dict[tuple[Group, str, str, tuple[str, ...]], list[str]] = defaultdict(list)
    for (group, values, _), alike in found.items():
        for some in by_place([alike]):
            vantages = sorted({each.vantage for each in some if each.vantage})
            key = (group, what(some), ", ".join(grouped(vantages)), values)
            told[key].append(some[0].scenario)
    sections: dict[Group, list[Told]] = defaultdict(list)
    for (group, about, where, values), scenarios in told.items():
        sections[group].append(Told(scenarios, about, where, _ranked(values)))
    return [
        Section(TITLES.get(group, group.capitalize()), group, sections[group])
        for group in Group
        if sections[group]
    ]


def _by_run(generation: Generation) -> list[list[Observation]]:
    runs: dict[str, list[Observation]] = {}
    for each in generation.deployed:
        runs.setdefault(each.run, []).extend(Observation(**fact) for fact in each.facts)
    return list(runs.values())


def _of(scenario: str, seen: Sequence[Scenarios]) -> list[tuple[Change, tuple[str, ...]]]:
    """What generations differ in about a variant, and what each of them saw."""
    having = [number for number, of in enumerate(seen) if scenario in of]
    if len(having) < 2:
        return []
    # Nothing can be said of what did not come up but that: others are not held against it.
    first = next((n for n in having if not _is_down(seen[n][scenario])), having[0])
    base = seen[first][scenario]
    changes: dict[Key, dict[int, Change]] = defaultdict(dict)
    for number in having:
        if number != first:
            for change in changes_of(scenario, base, seen[number][scenario]):
                changes[change.kind, change.subject, change.vantage][number] = change
    made = []
    order = list(Group)
    for key, by_number in changes.items():
        groups = [SAME_AS.get(each.group, each.group) for each in by_number.values()]
        group = min(groups, key=order.index)
        some = next(iter(by_number.values()))
        values = []
        for number, of in enumerate(seen):
            if number not in having:
                values.append(NOT_RUN)
            elif key[0] != "deployment" and _is_down(of[scenario]):
                values.append(DOWN)
            elif number in by_number:
                values.append(_told(by_number[number].after, group, key))
            else:
                own = said(of[scenario], key)
                same = own == said(base, key)
                values.append(_told(some.before if same else own, group, key))
        if len(set(values) - NOTHING) > 1:
            change = Change(group, scenario, some.kind, some.subject, some.vantage, "", "")
            made.append((change, tuple(values)))
    return made


def _is_down(scenario: Scenario) -> bool:
    start = scenario.seen.get(("deployment", "start", None))
    return start is not None and start.outcome == "failed"


def _told(outcome: str, group: Group, key: Key) -> str:
    if group in WHOLE:
        return settled_relay(outcome)
    if key[0] == "client_address":
        # In these words it is the same for clients from everywhere.
        place, _, family = str(key[2]).rpartition("_v")
        name = named(outcome, place, family)
        return outcome if name == "–" else f"{name} address" if name == "own" else name
    return outcome


def _ranked(values: Sequence[str]) -> list[Value]:
    counts = Counter(value for value in values if value not in NOTHING)
    ranks = {value: rank for rank, (value, _) in enumerate(counts.most_common())}
    return [Value(value, ranks.get(value)) for value in values]
