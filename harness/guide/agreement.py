"""Blocks that files of ours have: as they are, or among other settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import takewhile
from pathlib import Path
from typing import Protocol

from harness.errors import GuideError
from harness.guide.drift import Difference, Row
from harness.guide.leaves import Leaf, UnreadableError, leaves
from harness.guide.ours import read
from harness.guide.page import Block

AROUND = 1
"""Equal lines that are shown on each side of those that differ."""


class Agreement(Protocol):
    """A way of agreeing with a block."""

    def likeness(self, block: Block) -> float:
        """How much a block looks like the one that is meant, from 0 to 1."""

    def differences(self, block: Block) -> Iterator[Difference]:
        """Where a block and ours differ."""


class Equal:
    """A file's whole text is the block's."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.lines = read(file).splitlines()

    def likeness(self, block: Block) -> float:
        """The share of lines that both have."""
        return alike(self.lines, block.text.splitlines())

    def differences(self, block: Block) -> Iterator[Difference]:
        """One, with all lines that differ."""
        rows: list[Row] = []
        guide = block.lines
        compared = SequenceMatcher(None, self.lines, [text for _, text in guide], autojunk=False)
        for group in compared.get_grouped_opcodes(AROUND):
            for tag, begin, end, start, stop in group:
                if tag == "equal":
                    pairs = zip(range(begin, end), guide[start:stop], strict=True)
                    rows += [Row(" ", at + 1, number, text) for at, (number, text) in pairs]
                else:
                    rows += [Row("-", at + 1, None, self.lines[at]) for at in range(begin, end)]
                    rows += [Row("+", None, number, text) for number, text in guide[start:stop]]
        if not rows:
            return
        # The first lines that differ; where one side has none there, the equal one above them.
        above = list(takewhile(lambda row: row.sign == " ", rows))
        first = [*takewhile(lambda row: row.sign != " ", rows[len(above) :]), *above[-1:]]
        line = next((row.guide for row in first if row.guide), block.line)
        ours = next((row.ours for row in first if row.ours), 1)
        yield Difference(line, "the file and the block differ", f"{self.file}:{ours}", rows)


class Contained:
    """A file has all that the block sets, and at some paths nothing else."""

    def __init__(self, file: Path, same: Sequence[str]) -> None:
        self.file = file
        self.same = same
        self.lines = dict(enumerate(read(file).splitlines(), 1))
        try:
            self.leaves = leaves(file.name, list(self.lines.items()))
        except UnreadableError as error:
            raise GuideError(f"{file}:{error.line}: {error}", "correct it there") from None
        for path in same:
            if not any(is_at(path, each.path) for each in self.leaves):
                known = ", ".join(dict.fromkeys(each.path for each in self.leaves))
                raise GuideError(f"{file} sets nothing at {path}, which `same` names", known)

    def likeness(self, block: Block) -> float:
        """The share of the block's lines that the file has."""
        lines = [line.strip() for line in block.text.splitlines() if line.strip()]
        ours = {line.strip() for line in self.lines.values()}
        return sum(line in ours for line in lines) / len(lines) if lines else 0.0

    def differences(self, block: Block) -> Iterator[Difference]:
        """One, with all lines that one side lacks."""
        try:
            theirs = leaves(self.file.name, block.lines)
        except UnreadableError as error:
            yield Difference(error.line, str(error), str(self.file))
            return
        ours = [_under(leaf, theirs) for leaf in self.leaves]
        only_theirs = _beyond(ours, theirs)
        only_ours = [
            leaf
            for leaf in _beyond(theirs, ours)
            if any(is_at(path, leaf.path) for path in self.same)
        ]
        if not only_theirs and not only_ours:
            return
        guide = dict(block.lines)
        paths = dict.fromkeys(leaf.path for leaf in (*only_theirs, *only_ours))
        at = [leaf.line for leaf in only_ours] or [x.line for x in ours if x.path in paths]
        yield Difference(
            only_theirs[0].line if only_theirs else block.line,
            f"the file and the block differ in {', '.join(paths)}",
            f"{self.file}:{at[0]}" if at else str(self.file),
            [
                *(Row("-", leaf.line, None, self.lines[leaf.line]) for leaf in only_ours),
                *(Row("+", None, leaf.line, guide[leaf.line]) for leaf in only_theirs),
            ],
        )


def is_at(path: str, leaf: str) -> bool:
    """Whether a leaf's path is one that `same` names, or below it, or that in some section."""
    return f"{leaf}.".startswith(f"{path}.") or leaf.endswith(f".{path}")


def _under(leaf: Leaf, block: Sequence[Leaf]) -> Leaf:
    """A leaf of ours, without its section where the block has such settings under none."""
    bare = leaf.path.rpartition(".")[2]
    if any(each.path == bare for each in block):
        return Leaf(bare, leaf.value, leaf.line)
    return leaf


def _beyond(some: Sequence[Leaf], more: Sequence[Leaf]) -> list[Leaf]:
    """The leaves of `more` that are not in `some`, or not so often."""
    left = Counter((leaf.path, leaf.value) for leaf in some)
    beyond = []
    for leaf in more:
        left[leaf.path, leaf.value] -= 1
        if left[leaf.path, leaf.value] < 0:
            beyond.append(leaf)
    return beyond


def alike(some: Sequence[str], more: Sequence[str]) -> float:
    """The share of lines, or of words, that both have in the same order."""
    return SequenceMatcher(None, some, more, autojunk=False).ratio()
