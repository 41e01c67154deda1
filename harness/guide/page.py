"""Reads a page of MkDocs Material: its headings, its fenced code blocks, and its lines.

Code stands within admonitions, tabs and lists there, indented by four or eight spaces, which
readers of plain CommonMark take for indented code. So this looks for fences at any depth, and for
nothing else: code without a fence, and headings underlined with `===`, are prose to it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import GuideError

PAGE = Path("docs/content/config/advanced/podman.md")
"""Where the guide is in a checkout of docker-mailserver."""

_FENCE = re.compile(r"(?P<before>[ >]*)(?P<fence>`{3,}(?=[^`]*$)|~{3,})(?P<info>.*)")
_ITEM = re.compile(r"(?P<before>[ >]*(?:[-*+]|\d+[.)])[ ]+)(?=`{3}|~{3})")
_HEADING = re.compile(
    r"(?P<before> *)(?P<level>#{1,6})\s+(?P<text>.+?)(?:\s+#+)?(?:\s+\{.*\})?\s*$"
)
_CONTAINER = re.compile(
    r"(?P<before> *)(?:(?:!!!|\?\?\?\+?) +(?P<type>[\w-]+)[^\"]*|===[!+]* +)(?:\"(?P<title>.*)\")?"
)
_LANGUAGE = re.compile(r"\{?\s*\.?(?P<language>[\w+#.-]*)")
_TITLE = re.compile(r"""title=(?P<quote>["'])(?P<title>.*?)(?P=quote)""")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced code block.

    Attributes:
        language: its info string's first word, or nothing.
        title: its `title="…"`, or nothing.
        section: the heading that it stands under, or nothing.
        within: the titles of the admonitions and tabs that it is in, the outermost first.
        line: the number of the line that opens it; its text begins on the next.
        text: its lines without the block's own indentation, each with its newline.
    """

    language: str
    title: str
    section: str
    within: tuple[str, ...]
    line: int
    text: str

    @property
    def lines(self) -> list[tuple[int, str]]:
        """The lines of its text, each with its number in the page."""
        return list(enumerate(self.text.splitlines(), self.line + 1))


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the page that readers see; `code` says that it is one of a code block."""

    number: int
    text: str
    section: str
    code: bool


@dataclass(frozen=True, slots=True)
class Page:
    """A page: what it is called, its code blocks, its headings with their lines, its lines."""

    name: str
    blocks: Sequence[Block]
    headings: Sequence[tuple[int, str]]
    lines: Sequence[Line]


def read_page(path: Path) -> Page:
    """The page in a file.

    Raises:
        GuideError: it cannot be read, is no text, or has no code block or one that never ends.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except IsADirectoryError:
        page = path / PAGE
        raise GuideError(
            f"{path} is a folder",
            f"dms-harness guide {page}" if page.exists() else f"name its page, such as {PAGE}",
        ) from None
    except OSError as error:
        raise GuideError(
            f"{path}: {(error.strerror or str(error)).lower()}",
            f"name DMS's guide for Podman: {PAGE} of a checkout of docker-mailserver",
        ) from None
    except UnicodeDecodeError as error:
        raise GuideError(
            f"{path} is no text in UTF-8: byte {error.start} is {error.object[error.start]:#04x}",
            f"name a page in Markdown, such as {PAGE}",
        ) from None
    return scan(text, path.name)


def scan(text: str, name: str) -> Page:
    """The page with some text; `name` is what errors call it.

    Raises:
        GuideError: it has no code block, or one that never ends.
    """
    scanner = _Scanner(name)
    for number, line in enumerate(text.split("\n"), 1):
        scanner.take(number, _spaced(line.rstrip("\r")))
    return scanner.finished()


def _spaced(line: str) -> str:
    """A line whose indentation is spaces only."""
    bare = line.lstrip(" \t")
    return line[: len(line) - len(bare)].expandtabs(4) + bare


class _Scanner:
    """Takes a page's lines, one after the other."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.blocks: list[Block] = []
        self.headings: list[tuple[int, str]] = []
        self.lines: list[Line] = []
        self.hidden = ""  # what ends the front matter or the comment that the lines are in
        self.containers: list[tuple[int, str]] = []  # indentation and title
        self.opened: Block | None = None
        self.before = self.fence = ""  # of the block that is open
        self.inside: list[str] = []

    @property
    def section(self) -> str:
        return self.headings[-1][1] if self.headings else ""

    def take(self, number: int, line: str) -> None:
        if self.opened:
            self._take_code(self.opened, number, line)
        elif self.hidden:
            _, end, rest = line.partition(self.hidden)
            if end:
                self.hidden = ""
                self._take_prose(number, rest)
        elif number == 1 and line.rstrip() == "---":
            self.hidden = "---"
        else:
            self._take_prose(number, line)

    def _take_prose(self, number: int, line: str) -> None:
        line = re.sub(r"<!--.*?-->", "", line)
        line, comment, _ = line.partition("<!--")
        if comment:
            self.hidden = "-->"
        if not line.strip():
            return
        indent = len(line) - len(line.lstrip())
        while self.containers and self.containers[-1][0] >= indent:
            self.containers.pop()
        # An item may begin with a fence; what is in it is indented as what follows the bullet.
        item = _ITEM.match(line)
        bare = " " * item.end() + line[item.end() :] if item else line
        if fence := _FENCE.fullmatch(bare):
            self._open(number, fence)
            return
        if container := _CONTAINER.fullmatch(line.rstrip()):
            title = container["title"]
            kind = (container["type"] or "").capitalize()
            self.containers.append((indent, kind if title is None else title))
        heading = _HEADING.fullmatch(line)
        if heading and indent <= (self.containers[-1][0] + 4 if self.containers else 0) + 3:
            self.headings.append((number, heading["text"]))
        self.lines.append(Line(number, line, self.section, code=False))

    def _open(self, number: int, fence: re.Match[str]) -> None:
        info = fence["info"].strip()
        language, title = _LANGUAGE.match(info), _TITLE.search(info)
        self.before, self.fence, self.inside = fence["before"], fence["fence"], []
        self.opened = Block(
            language["language"] if language else "",
            title["title"] if title else "",
            self.section,
            tuple(title for _, title in self.containers),
            number,
            "",
        )

    def _take_code(self, block: Block, number: int, line: str) -> None:
        depth = 0
        while depth < min(len(self.before), len(line)) and line[depth] in " >":
            depth += 1
        if depth < len(self.before) and line[depth:].strip():
            raise self._unclosed(block)
        line = line[depth:]
        mark = line.strip()
        closes = len(mark) >= len(self.fence) and set(mark) == {self.fence[0]}
        if closes and len(line) - len(line.lstrip()) < 4:
            text = "".join(f"{each}\n" for each in self.inside)
            done = Block(block.language, block.title, block.section, block.within, block.line, text)
            self.blocks.append(done)
            self.opened = None
            return
        self.inside.append(line)
        if mark:
            self.lines.append(Line(number, line, self.section, code=True))

    def _unclosed(self, block: Block) -> GuideError:
        return GuideError(
            f"{self.name}:{block.line}: this code block is never closed",
            f"end it with {self.fence}, indented as it begins",
        )

    def finished(self) -> Page:
        if self.opened:
            raise self._unclosed(self.opened)
        if not self.blocks:
            raise GuideError(
                f"{self.name} has no code block, so it is not DMS's guide for Podman",
                f"name {PAGE} of a checkout of docker-mailserver",
            )
        return Page(self.name, self.blocks, self.headings, self.lines)
