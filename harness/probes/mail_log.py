"""The mail server's log: one reader for all probes that wait for a line in it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

POLL_SECONDS = 0.3
"""At most this often is the log read, however many wait for it: a read may cost an SSH command
on a machine with two slow cores."""


class MailLog:
    """Waits for something to appear in a log that can only be read whole.

    Args:
        read: returns the whole log so far.
    """

    def __init__(self, read: Callable[[], Awaitable[str]]) -> None:
        self._read = read
        self._reading: asyncio.Task[str] | None = None
        self._last = 0.0

    async def _load(self) -> str:
        await asyncio.sleep(max(0.0, self._last + POLL_SECONDS - time.monotonic()))
        self._last = time.monotonic()
        return await self._read()

    async def text(self) -> str:
        """The whole log, read after this call began or by a reading that others wait for."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._load())
        return await asyncio.shield(self._reading)

    async def wait_for(self, find: Callable[[str], T | None], within: float) -> T | None:
        """The first result of `find` over the log that is not None; None after `within` seconds."""
        deadline = time.monotonic() + within
        while (found := find(await self.text())) is None:
            if time.monotonic() >= deadline:
                return None
        return found
