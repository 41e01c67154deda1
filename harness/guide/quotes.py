"""Finds the claims' quotes in the guide, and what has become of those that are gone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Protocol

from harness.errors import GuideError
from harness.guide.drift import Drift, Kind, Row
from harness.guide.flow import Flow, flow, heading_line, plain
from harness.guide.ours import place_of
from harness.guide.page import Page

LEFT_OUT = 500
"""Characters that `…` in a quote stands for at most."""
NEAR = 0.65
"""How much of its characters a passage has in common with a quote that has become it."""
WINDOW = range(-2, 5)
"""Words that a changed passage may have more than the quote."""

_GAP = re.compile(r"\s*\[?…\]?\s*")


class Quoted(Protocol):
    """A claim, as far as it is looked for: `…` in the quote stands for words left out."""

    @property
    def id(self) -> str:
        """Its name in the claims' file."""

    @property
    def quote(self) -> str:
        """The guide's words."""

    @property
    def section(self) -> str:
        """The heading that they stand under."""


def compare_quotes(page: Page, claims: Iterable[Quoted], file: Path) -> Iterator[Drift]:
    """The claims whose quotes the guide has no more, has changed, or has elsewhere.

    Args:
        page: the guide.
        claims: what to look for.
        file: the claims' file, for whoever reads of a drift.

    Raises:
        GuideError: a quote has no words.
    """
    text = flow(page.lines)
    words = [(found.start(), found.end()) for found in re.finditer(r"\S+", text.text)]
    for claim in claims:
        parts = [part for part in _GAP.split(plain(claim.quote)) if part]
        if not parts:
            place = place_of(file, claim.id)
            raise GuideError(
                f"{place}: {claim.id}.quote: {claim.quote!r} has no words", "quote some"
            )
        found = _found(text, parts)
        under = [plain(text.lines[start].section) for start in found]
        if plain(claim.section) in under:
            continue
        kind: Kind = "changed"
        line: int | None = None
        rows: list[Row] = []
        # The first part that is nowhere; or, where each is somewhere, the whole.
        missing = next((part for part in parts if not _found(text, [part])), None)
        if found:
            kind = "moved"
            line = text.lines[found[0]].number
            says = f"it stands under “{under[0]}” now, not under “{claim.section}”"
        elif missing is None:
            at = [text.lines[_found(text, [part])[0]].number for part in parts]
            line = at[0]
            says = f"its parts are not near each other any more: lines {', '.join(map(str, at))}"
        elif near := _nearest(text, words, missing):
            start, end = near
            line = text.lines[start].number
            says = "the words are others now"
            rows = [Row("-", None, None, missing), Row("+", None, line, text.text[start:end])]
        else:
            kind = "gone"
            line = heading_line(page, claim.section)
            says = f"nothing like “{missing}” is there"
            says += "" if line else f", nor a section “{claim.section}”"
        yield Drift(kind, "quote", claim.id, line, says, place_of(file, claim.id), rows)


def _found(text: Flow, parts: Sequence[str]) -> list[int]:
    """Where a quote begins, everywhere: its parts one after the other, and near."""
    between = rf".{{0,{LEFT_OUT}}}?"
    return [each.start() for each in re.finditer(between.join(map(_bounded, parts)), text.text)]


def _bounded(part: str) -> str:
    """A pattern for a part that does not begin or end within a word or a number."""
    before = r"(?<!\w)" if re.match(r"\w", part) else ""
    after = r"(?!\w|[.,]\d)" if re.search(r"\w$", part) else ""
    return before + re.escape(part) + after


def _nearest(text: Flow, words: Sequence[tuple[int, int]], wanted: str) -> tuple[int, int] | None:
    """Where the passage begins and ends that is most like some words, if it is near enough."""
    bare = [_bare(text.text[start:end]) for start, end in words]
    sought = [_bare(word) for word in wanted.split()]
    best, at = 0.0, 0
    alike = SequenceMatcher(autojunk=False)
    alike.set_seq2(sought)
    for first in range(max(1, len(bare) - len(sought) + 1)):
        alike.set_seq1(bare[first : first + len(sought)])
        if alike.quick_ratio() > best and alike.ratio() > best:
            best, at = alike.ratio(), first
    # Where it begins and ends is a matter of letters: a word may have been put in or taken out.
    best, passage = NEAR, None
    alike = SequenceMatcher(autojunk=False)
    alike.set_seq2(wanted)
    for first in range(max(0, at - 2), min(at + 3, len(words))):
        for more in WINDOW:
            last = min(first + max(1, len(sought) + more), len(words)) - 1
            start, end = words[first][0], words[last][1]
            alike.set_seq1(text.text[start:end])
            if alike.ratio() > best:
                best, passage = alike.ratio(), (start, end)
    return passage


def _bare(word: str) -> str:
    return word.strip(".,;:!?()\"'").lower() or word
