"""Every resource is written down before it is created, so that nothing can be forgotten.

A ledger is a JSON lines file that belongs to one keeper process, which holds a lock on it for as
long as it lives. A ledger that nobody holds is that of a dead keeper: whoever finds it removes
what it still lists. Removers are idempotent, since a crash can fall between any two steps:
written but not yet created, created, removed but not yet struck out.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

NEWBORN = 60.0
"""Seconds in which an empty ledger is taken for one that is just being made."""

Remover = Callable[[str], bool]
"""Removes the resource of that name if it is there; tells whether it was."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One resource: its kind (which names the remover) and its name (which finds it)."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Ledger:
    """A ledger that this process owns.

    Args:
        folder: where the ledgers of all runs lie.
        owner: the name of this one, unique among the runs of this computer.

    Raises:
        BlockingIOError: another process owns a ledger of that name.
    """

    def __init__(self, folder: Path, owner: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{owner}.jsonl"
        while True:
            self._file = self.path.open("ab")
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._file.close()
                raise
            # A sweeper may have removed the file before the lock was taken: what is written into
            # a deleted file is not written down.
            if self.is_current():
                break
            self._file.close()
        self.entries: list[Entry] = list(_read(self.path))
        if self.entries and not self.path.read_bytes().endswith(b"\n"):
            # A crash cut the last line off: what is written next must not become a part of it.
            os.write(self._file.fileno(), b"\n")
        self._lock = threading.Lock()  # machines are removed by several threads at once

    def note(self, kind: str, name: str) -> Entry:
        """Write a resource down. Call it before the resource is created."""
        entry = Entry(kind, name)
        with self._lock:
            if entry not in self.entries:
                self._append("+", entry)
                self.entries.append(entry)
        return entry

    def strike(self, entry: Entry) -> None:
        """Cross a resource out. Call it after the resource is gone."""
        with self._lock:
            if entry in self.entries:
                self._append("-", entry)
                self.entries.remove(entry)

    def remove(self, entry: Entry, removers: Mapping[str, Remover]) -> bool:
        """Remove a resource and cross it out; tell whether it was there."""
        was_there = removers[entry.kind](entry.name)
        self.strike(entry)
        return was_there

    def is_current(self) -> bool:
        """Whether the file of that name still is the one that this process holds the lock on."""
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self._file.fileno()))
        except FileNotFoundError:
            return False

    def close(self) -> None:
        """Give the ledger up. It disappears where nothing is left in it."""
        if not self.entries and self.is_current():
            self.path.unlink(missing_ok=True)
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _append(self, sign: str, entry: Entry) -> None:
        line = json.dumps([sign, entry.kind, entry.name]).encode() + b"\n"
        if os.write(self._file.fileno(), line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        # A resource outlives this process but not a crash of the computer, which also takes
        # processes, mounts, links and cgroups with it; what is left then is a snapshot, and
        # snapshots that no ledger lists are removed as well. So no fsync, which can take 50 ms.


def _read(path: Path) -> Iterator[Entry]:
    """What a ledger still lists, oldest first. A line that a crash cut off is not an entry."""
    listed: dict[Entry, None] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            sign, kind, name = json.loads(line)
        except (ValueError, TypeError):
            continue
        if sign == "+":
            listed[Entry(kind, name)] = None
        else:
            listed.pop(Entry(kind, name), None)
    yield from listed


def _is_being_made(path: Path) -> bool:
    """Whether a ledger may be that of a keeper that has not taken its lock yet, or is gone."""
    try:
        shown = path.stat()
    except FileNotFoundError:
        return True
    return shown.st_size == 0 and time.time() - shown.st_mtime < NEWBORN


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did: what it removed, and what it could not remove and why."""

    removed: list[Entry] = field(default_factory=list)
    failed: list[tuple[Entry, str]] = field(default_factory=list)


def sweep(folder: Path, removers: Mapping[str, Remover]) -> Swept:
    """Remove what dead runs left behind, newest first within each run.

    What cannot be removed stays listed for the next sweep.
    """
    swept = Swept()
    for path in sorted(folder.glob("*.jsonl")):
        if _is_being_made(path):
            continue
        try:
            ledger = Ledger(folder, path.stem)
        except BlockingIOError:
            continue  # its run is alive, or another sweeper was faster
        with ledger:
            for entry in reversed(ledger.entries.copy()):
                try:
                    if ledger.remove(entry, removers):
                        swept.removed.append(entry)
                except (OSError, KeyError) as error:
                    swept.failed.append((entry, str(error)))
    return swept
