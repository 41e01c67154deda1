"""Generations at one glance: what each is, and which variants it sees unlike most others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.report.generations import parts
from harness.report.html.deployment import Deployment
from harness.report.html.differences import Section
from harness.report.html.side_by_side import Block, Generation, absent

WORDS: Mapping[str, str] = {
    "odd": "unlike others",
    "most": "like most others, unlike some",
    "alike": "alike wherever it was run",
    "na": "not applicable",
    "none": "not run",
}
"""How a generation saw a variant: a word for programs, and words for people."""


@dataclass(frozen=True, slots=True)
class Card:
    """A generation in numbers.

    Attributes:
        generation: which.
        differs: variants that it sees unlike others; not those that it sees as most do.
        open: deployments with strangers' mail relayed although nobody expects that.
        failing: tests that failed.
        not_run: variants that others deployed.
    """

    generation: Generation
    differs: int
    open: int
    failing: int
    not_run: int

    @property
    def rest(self) -> list[str]:
        """What it is beside its name."""
        named = self.generation.name.split(", ")
        return [part for part in parts(self.generation.made) if part not in named]


@dataclass(frozen=True, slots=True)
class Strip:
    """How a generation saw each variant: its name, and pairs of a scenario and a key of `WORDS`."""

    name: str
    states: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Overview:
    """All generations."""

    cards: Sequence[Card]
    strips: Sequence[Strip]
    differing: int
    variants: int

    @property
    def words(self) -> Mapping[str, str]:
        """The states in words."""
        return WORDS

    @property
    def said(self) -> str:
        """The picture in words."""
        parts = [
            f"{strip.name}: "
            + ", ".join(
                f"{number} {words}"
                for state, words in WORDS.items()
                if (number := sum(each == state for _, each in strip.states))
            )
            for strip in self.strips
        ]
        return f"{self.differing} of {self.variants} variants differ. {'. '.join(parts)}."


def overview(
    among: Sequence[Generation],
    deployments: Sequence[Deployment],
    blocks: Iterable[Block],
    sections: Iterable[Section],
) -> Overview:
    """All generations at one glance.

    Args:
        among: the generations.
        deployments: of all of them.
        blocks: the variants in both pictures.
        sections: what differs by its meaning.
    """
    scenarios = list(dict.fromkeys(each.deployed.scenario for each in deployments))
    odd = _odd(blocks, sections)
    strips = [
        Strip(each.name, [(scenario, _state(scenario, each, odd)) for scenario in scenarios])
        for each in among
    ]
    cards = []
    for each, strip in zip(among, strips, strict=True):
        ids = {id(one) for one in each.deployed}
        of_it = [one for one in deployments if id(one.deployed) in ids]
        cards.append(
            Card(
                each,
                sum(state == "odd" for _, state in strip.states),
                sum("open" in {state for state, _ in one.alarms} for one in of_it),
                sum(len(one.bad_tests) for one in of_it),
                sum(state == "none" for _, state in strip.states),
            )
        )
    return Overview(cards, strips, len(odd), len(scenarios))


def _odd(blocks: Iterable[Block], sections: Iterable[Section]) -> dict[str, set[int]]:
    """Each variant that generations differ about → the numbers of those not like most of them.

    Where as many see one thing as another, nobody is like most.
    """
    odd: dict[str, set[int]] = {}
    for block in blocks:
        if block.is_different and block.seen > 1:
            every = {share.generation.number for line in block.lines for share in line.shares}
            steady = [
                {share.generation.number for share in line.shares if not share.is_flaky}
                for line in block.lines
            ]
            odd.setdefault(block.scenario, set()).update(every - _most(steady))
    for section in sections:
        for row in section.rows:
            alike: dict[int, set[int]] = {}
            for number, value in enumerate(row.values, 1):
                if value.rank is not None:
                    alike.setdefault(value.rank, set()).add(number)
            for scenario in row.scenarios:
                of_all = set().union(*alike.values())
                odd.setdefault(scenario, set()).update(of_all - _most([*alike.values()]))
    return odd


def _most(alike: Sequence[set[int]]) -> set[int]:
    """The largest of some sets; none where there are two of that size."""
    first, *others = sorted(alike, key=len, reverse=True)
    return set() if others and len(others[0]) == len(first) else first


def _state(scenario: str, generation: Generation, odd: Mapping[str, set[int]]) -> str:
    missing = absent(scenario, [generation])
    if missing:
        return "na" if missing[0].why else "none"
    if scenario not in odd:
        return "alike"
    return "odd" if generation.number in odd[scenario] else "most"
