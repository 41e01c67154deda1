"""A starting gate: lets those who hold a ticket go on at the same moment.

Dovecot makes every login of an address wait that has failed before, by 2, 4, 8 and 15 s. Through
a forwarder that replaces addresses, all vantages have one address, so failing logins one after
the other would take minutes. Started together, they take 2 s.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

from harness.patience import patient

LAGGARDS_WITHIN = 4.0
"""Seconds for which those who are ready wait for the rest."""


class Gate:
    """Opens when every ticket's holder has arrived or left."""

    def __init__(self) -> None:
        self._expected = 0
        self._opened = asyncio.Event()

    def ticket(self) -> Ticket:
        """Announce one more; to be called before anybody can have arrived."""
        self._expected += 1
        return Ticket(self)

    def open(self) -> None:
        """Let everybody go on who waits, and whoever comes."""
        self._opened.set()

    async def opened(self) -> None:
        """Wait until it is open, without holding a ticket."""
        await self._opened.wait()

    def _count(self) -> None:
        self._expected -= 1
        if self._expected == 0:
            self.open()

    async def _wait(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(patient(LAGGARDS_WITHIN)):
                await self.opened()
        self.open()


class Ticket:
    """One announced start. As a context manager it is given back if it was not used."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._used = False
        self._loop = asyncio.get_running_loop()

    async def arrive(self) -> None:
        """Be ready, and wait for the others. May be called again, after a failure: no wait then."""
        self.drop()
        await self._gate._wait()

    def arrive_in_thread(self) -> None:
        """Do as `arrive` does, from another thread."""
        waiting = asyncio.run_coroutine_threadsafe(self.arrive(), self._loop)
        # With a limit, so that no thread is held by a loop that has ended.
        waiting.result(patient(LAGGARDS_WITHIN) + 5)

    def drop(self) -> None:
        """Leave without starting."""
        if not self._used:
            self._used = True
            self._gate._count()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.drop()
