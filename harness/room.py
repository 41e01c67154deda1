"""Room for machines: as many at a time as memory and cores allow, over all processes and runs.

Nobody can wait for ever: a process gets its places in the order in which it will need them, and
never waits for another one on behalf of a deployment that has one; so the first place that any
process holds is always one that its tests go on with, and then give back. Of all processes the one
that has waited longest is next, also where another's smaller machine would fit. Machines that
outlive their runs leave room for another one; where they do not, that is an error, and nobody
waits.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from harness.errors import HostError
from harness.memory import ENVIRONMENT, MEGABYTE, available_memory, lacking
from harness.memory_locks import FILE, KEPT, Held, alone, lock, locks, opened
from harness.turns import Turn

LOOK: Final = 0.2
"""Seconds between two looks whether there is room: other processes do not tell of their end."""
TOLD_AFTER: Final = 1.0
"""Seconds: what is taken down at the moment makes room sooner."""


class Place:
    """What one machine has, or waits for."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._fd = -1
        self._held: Held | None = None
        self.is_starting = False
        """Whether it has been let in, and keeps a core busy."""

    def wait(
        self, megabytes: int, tell: Callable[[str], None], is_over: Callable[[], bool]
    ) -> bool:
        """Wait until there is room; tell whether there is, or nobody needs it any more.

        Args:
            megabytes: what the machine takes.
            tell: is told once why it waits, where it waits for memory.
            is_over: whether waiting makes no sense any more.

        Raises:
            HostError: it takes more than all machines together may, or than those leave that are
                kept.
        """
        self._room.check(megabytes)
        return self._room.let_in(self, megabytes, tell, is_over)

    def now(self, megabytes: int) -> bool:
        """Take the room if it is there; otherwise give the place up. Tell which."""
        return self._room.let_in(self, megabytes, lambda _: None, lambda: True)

    def hurry(self) -> None:
        """Come before all others of this process."""
        self._room.first(self)

    def settle(self) -> None:
        """The machine has started: it takes memory now, and others may start."""
        self._room.settle(self)

    def keep(self, megabytes: int) -> str:
        """Hold the memory for a machine that outlives the run; why not, or nothing.

        Another process goes on to hold it by having `file` open.

        Args:
            megabytes: what another machine takes, for which there must be room beside it.
        """
        return self._room.keep(self, megabytes)

    @property
    def file(self) -> int | None:
        """The descriptor whose copies hold the memory as well, if it has any."""
        return self._fd if self._fd >= 0 else None

    def leave(self) -> None:
        """Give back what it has, or wait no longer; a second call does nothing."""
        self._room.leave(self)


class Room:
    """One process's part in who may start a machine.

    Args:
        cache: the folder whose users share the memory; None for a process by itself.
        budget: megabytes for all machines of all runs together; 0 for what is available.
        starting: how many machines of this process may start at a time.
        cores: how many of all processes may.
        available: tells how many bytes there are.
    """

    def __init__(
        self,
        cache: Path | None = None,
        budget: int = 0,
        starting: int = 1,
        cores: int | None = None,
        available: Callable[[], int] = available_memory,
    ) -> None:
        self.budget = budget
        self._path = cache / FILE if cache else None
        self._turn = Turn(cache / FILE) if cache else None
        self._starting = starting
        self._cores = cores or os.cpu_count() or 1
        self._available = available
        self._queue: list[Place] = []
        self._inside: list[Place] = []
        self._changed = threading.Condition()

    def check(self, megabytes: int) -> None:
        """See that a machine can have room at all.

        Raises:
            HostError: it takes more than all machines together may.
        """
        if self.budget and megabytes > self.budget:
            raise HostError(
                f"--memory-budget {self.budget}: a machine takes {megabytes} MB",
                f"give {megabytes} or more, or leave it out (or {ENVIRONMENT}, if that is set)",
            )

    def ask(self) -> Place:
        """Line up; places are given in the order in which they are asked for."""
        place = Place(self)
        with self._changed:
            self._queue.append(place)
        return place

    def first(self, place: Place) -> None:
        """Let one of those that wait come before the others."""
        with self._changed:
            if place in self._queue and self._queue[0] is not place:
                self._drop(place)
                self._lose_turn()
                self._queue.insert(0, place)
                self._changed.notify_all()

    def let_in(
        self,
        place: Place,
        megabytes: int,
        tell: Callable[[str], None],
        is_over: Callable[[], bool],
    ) -> bool:
        """See `Place.wait`."""
        has_told, began = False, time.monotonic()
        with self._changed:
            while place in self._queue:
                why: str | None = ""
                if self._queue[0] is place and self._may_start():
                    why = self._try(place, megabytes)
                if why is None:
                    self._drop(place)
                    self._inside.append(place)
                    place.is_starting = True
                    self._changed.notify_all()
                    break
                if why and not has_told and time.monotonic() - began > TOLD_AFTER:
                    has_told = True
                    tell(why)
                if is_over():
                    self._drop(place)
                    break
                self._changed.wait(LOOK)
        return place in self._inside

    def settle(self, place: Place) -> None:
        """See `Place.settle`."""
        with self._changed:
            if place.is_starting and place._held is not None:
                lock(place._fd, fcntl.F_RDLCK, place._held.start, place._held.megabytes)
            place.is_starting = False
            self._changed.notify_all()

    def keep(self, place: Place, megabytes: int) -> str:
        """See `Place.keep`."""
        free = self._free()
        if free < megabytes:
            return f"there are {free} MB of memory left"
        if self._path is None or place._held is None:
            return ""
        own = place._held
        with self._changed, alone(self._path) as file:
            kept = [each for each in locks(file) if each.is_kept]
            taken = sum(each.megabytes for each in kept) + own.megabytes
            if self.budget and taken + megabytes > self.budget:
                return (
                    f"with it, machines that are kept would have {taken} of the {self.budget} MB"
                    f" that all may have together, and one more takes {megabytes}"
                )
            start = max((each.start + each.megabytes for each in kept), default=KEPT)
            place._held = Held(start, own.megabytes, is_starting=False)
            lock(place._fd, fcntl.F_RDLCK, start, own.megabytes)
            lock(place._fd, fcntl.F_UNLCK, own.start, own.megabytes)
        return ""

    def leave(self, place: Place) -> None:
        """See `Place.leave`."""
        with self._changed:
            if place in self._queue:
                self._drop(place)
            if place in self._inside:
                self._inside.remove(place)
            place.is_starting = False
            fd, place._fd = place._fd, -1
            if fd >= 0:
                os.close(fd)  # and the lock with it
            self._changed.notify_all()

    def _may_start(self) -> bool:
        return sum(each.is_starting for each in self._inside) < self._starting

    def _try(self, place: Place, megabytes: int) -> str | None:
        """Set memory aside for a place.

        Returns:
            None where it is; otherwise why not, which is empty while others start.
        """
        if self._path is None or self._turn is None:
            return None
        with alone(self._path) as file:
            held = locks(file)
            starting = sum(each.is_starting for each in held)
            why: str | None = ""
            if self._turn.has_come(file) and starting < self._cores:
                why = lacking(megabytes, held, self.budget, self._free()) or None
            if why is not None:
                self._turn.wait(file)
                return why
            others = (each.start + each.megabytes for each in held if not each.is_kept)
            start = max(others, default=1)
            place._fd = opened(self._path)
            place._held = Held(start, megabytes, is_starting=True)
            lock(place._fd, fcntl.F_WRLCK, start, megabytes)
        return None

    def _free(self) -> int:
        return self._available() // MEGABYTE

    def _drop(self, place: Place) -> None:
        """Let a place wait no longer."""
        if self._queue[0] is place:
            self._lose_turn()
        self._queue.remove(place)

    def _lose_turn(self) -> None:
        """Whoever waits next lines up anew."""
        if self._turn:
            self._turn.leave()
