"""Generations beside each other: for each scenario variant what all of them saw, or who saw what.

A generation is a machine's kind, its distribution, podman's version and the mail server's image;
its deployments may be from several runs. Where two of them are of the same variant, they are
repetitions: that one of them saw something else is said, and neither of them hides the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.report.generations import Made, names, settled
from harness.report.html.facts import Deployed
from harness.report.html.matrices import Cell, Matrix, Row

Key = tuple[object, ...]


@dataclass(frozen=True)
class Generation:
    """One of the things that the runs are told apart by.

    Attributes:
        number: from 1.
        name: what it is called, in few words.
        made: what it is.
        deployed: its deployments.
        skipped: scenario variant → why it is not applicable there.
    """

    number: int
    name: str
    made: Made
    deployed: Sequence[Deployed] = field(default_factory=list)
    skipped: Mapping[str, str] = field(default_factory=dict)

    @property
    def runs(self) -> list[str]:
        """The names of the runs that it is from."""
        return list(dict.fromkeys(each.run for each in self.deployed))

    @property
    def variants(self) -> dict[str, list[Deployed]]:
        """Each scenario variant's deployments; several are repetitions."""
        found: dict[str, list[Deployed]] = {}
        for each in self.deployed:
            found.setdefault(each.scenario, []).append(each)
        return found


Skipped = Sequence[tuple[str, str, str, Made]]
"""Variants that were not applicable: the run, the scenario variant, why, and on what, if known."""


def generations(deployed: Sequence[Deployed], skipped: Skipped) -> list[Generation]:
    """The generations of some deployments, in the order of their names.

    Args:
        deployed: of all runs.
        skipped: what was not applicable in these runs, or in others that deployed nothing at all.
    """
    made = settled([each.run for each in deployed], [each.made for each in deployed])
    by_made: dict[Made, list[Deployed]] = {}
    for each, of in zip(deployed, made, strict=True):
        by_made.setdefault(of, []).append(each)
    why: dict[Made, dict[str, str]] = {}
    for run, scenario, reason, on in skipped:
        of_run = [each for each, some in by_made.items() if run in {one.run for one in some}]
        alike = [each for each in by_made if each.is_like(on)]
        for each_made in of_run or alike or [_filled(on, by_made)]:
            why.setdefault(each_made, {})[scenario] = reason
    ordered = sorted(by_made.keys() | why.keys(), key=lambda each: each.order)
    found = []
    for number, (each_made, name) in enumerate(zip(ordered, names(ordered), strict=True), 1):
        of_it = by_made.get(each_made, [])
        seen = {each.scenario for each in of_it}
        reasons = {s: reason for s, reason in why.get(each_made, {}).items() if s not in seen}
        found.append(Generation(number, name, each_made, of_it, reasons))
    return found


def _filled(on: Made, others: Iterable[Made]) -> Made:
    """A generation that deployed nothing, with what is the same in all others."""
    known = [*others]
    kinds, images = {each.kind for each in known}, {each.image for each in known}
    return replace(
        on,
        kind=on.kind or (kinds.pop() if len(kinds) == 1 else ""),
        image=on.image or (images.pop() if len(images) == 1 else ""),
    )


@dataclass(frozen=True, slots=True)
class Share:
    """How many of a generation's repetitions of a variant a line is about."""

    generation: Generation
    deployed: Sequence[Deployed]
    of: int

    @property
    def is_flaky(self) -> bool:
        """Whether other repetitions of the same generation saw something else."""
        return len(self.deployed) < self.of


@dataclass(frozen=True, slots=True)
class Line:
    """The same cells, and who saw them.

    Attributes:
        cells: in the order of the matrix's vantages.
        shares: the generations, in their order.
        differing: the numbers of the columns that other lines of the variant disagree about.
    """

    cells: Sequence[Cell]
    shares: Sequence[Share]
    differing: frozenset[int]

    @property
    def deployed(self) -> list[Deployed]:
        """All deployments that saw this."""
        return [each for share in self.shares for each in share.deployed]

    @property
    def first(self) -> Deployed:
        """The one that stands for all of them."""
        return self.shares[0].deployed[0]


@dataclass(frozen=True, slots=True)
class Absent:
    """Generations in which a variant was not seen, and why: `not run`, or `not applicable`."""

    what: str
    why: str
    generations: Sequence[Generation]


@dataclass(frozen=True, slots=True)
class Block:
    """A scenario variant in all generations.

    Attributes:
        scenario: its id.
        lines: what was seen, each once.
        absent: the generations that did not see anything of it.
    """

    scenario: str
    lines: Sequence[Line]
    absent: Sequence[Absent] = ()

    @property
    def folder(self) -> str:
        """The scenario's folder."""
        return self.scenario.partition("-")[0]

    @property
    def variant(self) -> str:
        """The variant's own name."""
        return self.scenario.partition("-")[2] or self.scenario

    @property
    def flaky(self) -> list[Generation]:
        """The generations whose repetitions saw different things."""
        found = [share.generation for line in self.lines for share in line.shares if share.is_flaky]
        return list({each.number: each for each in found}.values())

    @property
    def is_different(self) -> bool:
        """Whether two deployments of it saw different things."""
        return len(self.lines) > 1

    @property
    def seen(self) -> int:
        """In how many generations something was seen."""
        return len({share.generation.number for line in self.lines for share in line.shares})

    @property
    def repeated(self) -> list[Share]:
        """The generations that deployed it several times and saw the same each time."""
        return [
            share
            for line in self.lines
            for share in line.shares
            if share.of > 1 and not share.is_flaky
        ]


NOT_RUN = "not run"
NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, slots=True)
class Folder:
    """A scenario's variants.

    Attributes:
        name: of the folder.
        blocks: its variants; what is absent from all of them is not in them.
        absent: where none of them was seen, and why.
    """

    name: str
    blocks: Sequence[Block]
    absent: Sequence[Absent]

    @property
    def is_different(self) -> bool:
        """Whether one of its variants is."""
        return any(block.is_different for block in self.blocks)


def folders(of: Sequence[Block]) -> list[Folder]:
    """Variants by their folders, in which what is absent from all of them is told once."""
    by_name: dict[str, list[Block]] = {}
    for block in of:
        by_name.setdefault(block.folder, []).append(block)
    made = []
    for name, some in by_name.items():
        common = [each for each in some[0].absent if all(each in one.absent for one in some)]
        rest = [
            replace(block, absent=[each for each in block.absent if each not in common])
            for block in some
        ]
        made.append(Folder(name, rest, common))
    return made


def blocks(matrix: Matrix, among: Sequence[Generation]) -> list[Block]:
    """A matrix with the generations of each variant put together."""
    rows = {id(row.deployed): row for row in matrix.rows}
    return [
        Block(scenario, _lines(scenario, rows, among), absent(scenario, among))
        for scenario in dict.fromkeys(row.deployed.scenario for row in matrix.rows)
    ]


def absent(scenario: str, among: Sequence[Generation]) -> list[Absent]:
    """Where a variant was not deployed, put together by why."""
    reasons: dict[tuple[str, str], list[Generation]] = {}
    for each in among:
        if scenario not in each.variants:
            why = each.skipped.get(scenario, "")
            reasons.setdefault((NOT_APPLICABLE if why else NOT_RUN, why), []).append(each)
    return [Absent(what, why, of) for (what, why), of in sorted(reasons.items())]


def _lines(scenario: str, rows: Mapping[int, Row], among: Sequence[Generation]) -> list[Line]:
    alike: dict[Key, list[Share]] = {}
    cells: dict[Key, Sequence[Cell]] = {}
    for generation in among:
        every = generation.variants.get(scenario, [])
        parts: dict[Key, list[Deployed]] = {}
        for each in every:
            row = rows[id(each)]
            key: Key = tuple((cell.state, cell.detail) for cell in row.cells)
            parts.setdefault(key, []).append(each)
            cells.setdefault(key, row.cells)
        for key, of in parts.items():
            alike.setdefault(key, []).append(Share(generation, of, len(every)))
    columns = list(zip(*alike, strict=True))
    differing = frozenset(number for number, of in enumerate(columns) if len(set(of)) > 1)
    return [Line(cells[key], shares, differing) for key, shares in alike.items()]
