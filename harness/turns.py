"""Whose turn it is to start a machine: of all processes that wait, the one that has waited longest.

Without that, a process that has just started one is told so first, and takes the room for its next
one before any other looks: a second run had to wait for minutes, until the first had all that it
wanted. Who waits has a lock on one byte of the file in which memory is set aside, far behind that
(see `memory_locks`), so that a process that dies waits no longer.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

from harness.memory_locks import LINE, lock, locks, opened

_PIDS: Final = 1 << 22
"""More than there are process ids on Linux. A byte's place is a number in the line, then the id."""


class Turn:
    """One process's place in the line.

    Args:
        path: the file in which memory is set aside.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1
        self._place = 0

    def has_come(self, file: int) -> bool:
        """Whether nobody has waited longer, who is not stopped like a job of a shell.

        Args:
            file: a descriptor of the file, with nobody else deciding meanwhile.
        """
        before = [each for each in _line(file) if self._fd < 0 or each < self._place]
        return all(_is_stopped(each % _PIDS) for each in before)

    def wait(self, file: int) -> None:
        """Line up behind all others, if it has not."""
        if self._fd >= 0:
            return
        last = max((each // _PIDS for each in _line(file)), default=0)
        self._place = (last + 1) * _PIDS + os.getpid()
        self._fd = opened(self._path)
        lock(self._fd, fcntl.F_WRLCK, LINE + self._place, 1)

    def leave(self) -> None:
        """Leave the line; without effect where it is in none."""
        if self._fd >= 0:
            # Closed alone, it would still be locked by a child that was forked meanwhile.
            lock(self._fd, fcntl.F_UNLCK, LINE + self._place, 1)
            os.close(self._fd)
            self._fd = -1


def _line(file: int) -> list[int]:
    """The places of all who wait."""
    return [each.start - LINE for each in locks(file, LINE, 1 << 62)]


def _is_stopped(process: int) -> bool:
    try:
        status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] in {"T", "t"}
