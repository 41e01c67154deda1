"""What is said of a report: matched, substituted, left out, refused, and not to be matched here."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal

Sort = Literal["matched", "assumed", "substituted", "differs", "left out", "refused", "unmatched"]
TITLES: Final[dict[Sort, str]] = {
    "matched": "matched",
    "assumed": "assumed: the report does not say",
    "substituted": "substituted",
    "differs": "differs here",
    "left out": "left out",
    "refused": "refused",
    "unmatched": "cannot be matched here",
}
"""In the order in which they are shown."""
MOST: Final = 200
"""Notes that are kept; a report with more of them is only made to be tedious."""
LONGEST: Final = 160
"""Characters of a reporter's words that a note quotes."""
_UNSHOWN = re.compile(r"[^\x20-\x7e\xa0-\uffff]+")


@dataclass(frozen=True, slots=True)
class Note:
    """Something that is said of a report.

    Attributes:
        sort: what sort of thing.
        what: what it is about, with the file and key.
        why: the reason, or what stands for it now.
        decides: without it there is nothing that a verdict could be about: nothing is deployed.
    """

    sort: Sort
    what: str
    why: str
    decides: bool = False

    def __str__(self) -> str:
        return f"{self.what}: {self.why}" if self.why else self.what


@dataclass(slots=True)
class Notes:
    """All that is said of one report, each thing once."""

    all: list[Note] = field(default_factory=list)

    def add(self, sort: Sort, what: str, why: str = "", *, decides: bool = False) -> None:
        """Say something, unless it was said."""
        note = Note(sort, shown(what), why, decides)
        if note not in self.all and len(self.all) < MOST:
            self.all.append(note)

    def of(self, sort: Sort) -> list[Note]:
        """What was said of a sort, in order."""
        return [note for note in self.all if note.sort == sort]

    @property
    def obstacles(self) -> list[Note]:
        """Why nothing can be deployed; empty where it can."""
        return [note for note in self.all if note.decides]


def shown(text: str, longest: int = LONGEST) -> str:
    """A reporter's words on one line of a terminal: no control characters, not too long."""
    flat = _UNSHOWN.sub("·", text)
    return flat if len(flat) <= longest else f"{flat[: longest - 1]}…"
