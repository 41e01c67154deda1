"""What is set aside for machines, as locks on one file in the cache.

What a machine takes is set aside by a lock on that many bytes of that file, a byte for
each megabyte: the kernel adds them up, and gives them back when their process ends, however it
does. A lock for writing is of a machine that starts, whose memory is not in use yet; one for
reading is of a machine that has started. Further behind in the file are the locks of machines that
outlive their runs: whoever serves those has the lock's file open, and so goes on to hold it.

"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.errors import HostError

FILE: Final = "memory.lock"
_FLOCK: Final = "hhqqi4x"
"""The kernel's `struct flock`, on computers of 64 bits: type, whence, start, length, pid."""
KEPT: Final = 1 << 40
"""Where the locks of machines begin that outlive their runs."""
LINE: Final = 1 << 50
"""Where those behind are that tell who waits; see `turns`."""


@dataclass(frozen=True, slots=True)
class Held:
    """What is set aside for a machine: where in the file, megabytes, whether it still starts."""

    start: int
    megabytes: int
    is_starting: bool

    @property
    def is_kept(self) -> bool:
        """Whether its machine outlives its run, so that nobody can wait for its memory."""
        return self.start >= KEPT


def held(cache: Path) -> list[Held]:
    """What is set aside in a cache, by all processes that live."""
    with alone(cache / FILE) as file:
        return locks(file)


def opened(path: Path) -> int:
    """A descriptor of the file, by itself: its locks are given back when it is closed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


@contextmanager
def alone(path: Path) -> Iterator[int]:
    """The file, with nobody else deciding meanwhile."""
    try:
        file = opened(path)
    except OSError as error:
        raise HostError(f"{path}: {error.strerror}", "make the cache writable") from error
    try:
        fcntl.fcntl(file, fcntl.F_OFD_SETLKW, _flock(fcntl.F_WRLCK, 0, 1))
        yield file
    finally:
        os.close(file)


def lock(file: int, kind: int, start: int, length: int) -> None:
    """Lock a part of the file: `F_WRLCK` or `F_RDLCK`; or unlock it: `F_UNLCK`."""
    fcntl.fcntl(file, fcntl.F_OFD_SETLK, _flock(kind, start, length))


def _flock(kind: int, start: int, length: int) -> bytes:
    return struct.pack(_FLOCK, kind, os.SEEK_SET, start, length, 0)


def locks(file: int, start: int = 1, end: int = LINE) -> list[Held]:
    """All locks in a part of the file: the kernel tells any one, not the first."""
    if start >= end:
        return []
    told = fcntl.fcntl(file, fcntl.F_OFD_GETLK, _flock(fcntl.F_WRLCK, start, end - start))
    kind, _, found, length, _ = struct.unpack(_FLOCK, told)
    if kind == fcntl.F_UNLCK:
        return []
    one = Held(found, length, kind == fcntl.F_WRLCK)
    return [*locks(file, start, found), one, *locks(file, found + length, end)]
