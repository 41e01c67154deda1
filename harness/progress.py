"""What a run is doing right now, from all its processes, for whoever shows it.

Each process appends a line to the run's `progress.jsonl` when something begins; the process that
has the terminal reads them all. So a worker of xdist's needs no way to it but the run's folder.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

FILE: Final = "progress.jsonl"
MACHINE: Final = "machine"
"""What an event is about that happens before there is a deployment: building, provisioning."""

WAITS: Final = "waits its turn"
FOR_MEMORY: Final = "waits for memory"
UP: Final = "up"
FAILED: Final = "failed"
ERROR: Final = "error"
GONE: Final = "gone"
KEPT: Final = "kept"
ENDS: Final = (UP, FAILED, ERROR, GONE, KEPT)
"""What a deployment does not stay at: nothing is on its way any more."""
SAYS: Final = "says"
"""A notice for the user, which is not about anything that takes long."""
PLANS: Final = "plans"
"""How many deployments a process will make at most, in the text."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that begins, or has come to an end.

    Attributes:
        of: what it is about: a scenario variant's id, `MACHINE`, or nothing.
        doing: the phase that begins, or one of `ENDS`, `SAYS`, `PLANS`.
        text: the notice, or why it failed.
        by: the process: xdist's name for it, or nothing.
        at: seconds since the epoch.
    """

    of: str
    doing: str
    text: str = ""
    by: str = ""
    at: float = 0.0


class Progress:
    """Writes down what one process is doing.

    Args:
        folder: the run's, or None to write nothing.
        by: xdist's name for the process, or nothing.
    """

    def __init__(self, folder: Path | None = None, by: str = "") -> None:
        self._path = folder / FILE if folder else None
        self._by = by
        self._lock = threading.Lock()

    def note(self, of: str, doing: str, text: str = "") -> None:
        """Write down that something begins, or has come to an end; see `Event`."""
        if self._path is None:
            return
        line = json.dumps(asdict(Event(of, doing, text, self._by, time.time()))) + "\n"
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            file.write(line)

    def say(self, text: str) -> None:
        """Write a notice for the user."""
        self.note("", SAYS, text)


class Spoken(Progress):
    """Tells a user of each phase as it begins, where nobody reads the file.

    Args:
        say: tells it.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__()
        self._tell = say

    def note(self, of: str, doing: str, text: str = "") -> None:
        """Tell that a phase begins."""
        if of and doing not in (WAITS, *ENDS):
            self._tell(f"{of}: {doing}")


class Reader:
    """Reads what has been written since it was last asked.

    Args:
        folder: the run's.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._read = 0
        self._rest = b""

    def new(self) -> list[Event]:
        """The events that came since, in the order in which they were written."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._read)
                told = file.read()
        except FileNotFoundError:
            return []
        self._read += len(told)
        *lines, self._rest = (self._rest + told).split(b"\n")
        events = []
        for line in lines:
            # A process that is killed may leave half a line, which the next one's is written to.
            with contextlib.suppress(ValueError, TypeError):
                events.append(Event(**json.loads(line)))
        return events
