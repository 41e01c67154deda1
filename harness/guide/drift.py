"""What is said where the guide and the scenarios have parted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["changed", "gone", "new", "moved", "not run"]
"""Changed: the guide has something else now. Gone: it has nothing like it. New: no scenario shows
it. Moved: it stands under another heading. Not run: nothing of ours runs it any more."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a comparison.

    Attributes:
        sign: `-` for what only ours has, `+` for what only the guide has, a space for both.
        ours: its number in our file, or None.
        guide: its number in the guide, or None.
        text: the line.
    """

    sign: Literal["-", "+", " "]
    ours: int | None
    guide: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a block and one of our files differ.

    Attributes:
        line: the guide's line that differs first.
        says: what is different, in a few words.
        ours: our file and line.
        rows: the lines that differ, with what is around them.
    """

    line: int
    says: str
    ours: str
    rows: Sequence[Row] = ()


@dataclass(frozen=True, slots=True)
class Drift:
    """One thing that the guide and the scenarios do not agree on.

    Attributes:
        kind: in what way.
        what: a code block or a quote.
        name: the block's in `guide.toml` (nothing for a new one), or the claim's id.
        line: where in the guide, or None where it has no place there any more.
        says: what is the matter.
        ours: which file and line of ours it is about.
        rows: the lines that differ.
    """

    kind: Kind
    what: Literal["block", "quote"]
    name: str
    line: int | None
    says: str
    ours: str
    rows: Sequence[Row] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """A comparison: the guide's name, how much of it was compared, and what does not agree."""

    guide: str
    blocks: int
    quotes: int
    drift: Sequence[Drift]
