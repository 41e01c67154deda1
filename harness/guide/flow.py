"""Text as its reader sees it, without Markdown, with the line that each character comes from."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from harness.guide.page import Line, Page

# What each finds is replaced by its group `keep`.
_MARKUP = (
    # [text](address), [text][name], and the same for images
    re.compile(
        r"!?\[(?P<keep>(?:[^\[\]]|\[[^\[\]]*\])+)\]"
        r"(?:\((?:[^()\s]|\([^()\s]*\))*(?:\s+\"[^\"]*\")?\)|\[[^\[\]]*\])"
    ),
    # code ticks, emphasis (not the underscores of names_like_this), escapes
    re.compile(r"(?P<keep>)(?:`+|\*+|~~|(?<!\w)_+|_+(?!\w)|\\(?=[!-/:-@\[-`{-~]))"),
    re.compile(r"(?P<keep>\s)\s+"),
)
_BEGINNING = re.compile(
    r"[ >]*(?:(?:[-*+]|\d+[.)])\s+|#{1,6}\s+|(?:!!!|\?\?\?\+?) +[\w -]+|===[!+]* +)?"
)
_DEFINITION = re.compile(r"\s*\[[^\]]+\]:\s+\S+.*")
_COMMENT = re.compile(r"\s*#*\s*")
_SAME = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "\n": " ", "\u00a0": " "})


@dataclass(frozen=True, slots=True)
class Flow:
    """Running text.

    Attributes:
        text: the words, a space between each two.
        lines: the page's line for every character.
    """

    text: str
    lines: tuple[Line, ...]

    def sub(self, pattern: re.Pattern[str]) -> Flow:
        """The text with everything that a pattern finds replaced by its group `keep`."""
        text: list[str] = []
        lines: list[Line] = []
        end = 0
        for found in pattern.finditer(self.text):
            for start, stop in ((end, found.start()), found.span("keep")):
                text.append(self.text[start:stop])
                lines += self.lines[start:stop]
            end = found.end()
        return Flow("".join((*text, self.text[end:])), (*lines, *self.lines[end:]))


def flow(lines: Iterable[Line]) -> Flow:
    """The running text of some lines: prose, and code with its comments."""
    text: list[str] = []
    of: list[Line] = []
    for line in lines:
        if not line.code and _DEFINITION.fullmatch(line.text):
            continue
        beginning = (_COMMENT if line.code else _BEGINNING).match(line.text)
        kept = line.text[beginning.end() if beginning else 0 :] + "\n"
        text.append(kept)
        of += [line] * len(kept)
    made = Flow("".join(text), tuple(of))
    for pattern in _MARKUP:
        made = made.sub(pattern)
    return Flow(made.text.translate(_SAME), made.lines)


def plain(text: str) -> str:
    """A short text, such as a quote or a heading, as `flow` would have it."""
    return flow([Line(0, text, "", code=False)]).text.strip()


def heading_line(page: Page, section: str) -> int | None:
    """The line of a section's heading, if there is one."""
    return next((at for at, text in page.headings if plain(text) == plain(section)), None)
