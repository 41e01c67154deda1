"""Asks a mail server again and again for its first line, while something happens to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from harness.loop import background
from harness.patience import patient
from harness.probes.banner import banner

if TYPE_CHECKING:
    from harness.vantage import Vantage

EVERY = 0.2
"""Seconds between two questions."""
GREETED_WITHIN = 2.0
"""Seconds for one answer."""


class Watch:
    """What was said so far. Made by `watching`; times are seconds since it began.

    Attributes:
        answers_since: when the answers began that have not ended since, or None.
        last_answer: the first line, as it came last.
        last_error: why there was none, the last time.
    """

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._gone_at: float | None = None
        self._away = 0.0
        self.answers_since: float | None = None
        self.last_answer = ""
        self.last_error = ""

    @property
    def now(self) -> float:
        """Seconds since the watch began."""
        return time.monotonic() - self._began

    @property
    def away(self) -> float:
        """For how many seconds in all nobody answered, from a question's start to an answer's."""
        since = 0.0 if self._gone_at is None else self.now - self._gone_at
        return round(self._away + since, 1)

    async def ask(self, vantage: Vantage, port: int) -> None:
        """Ask until cancelled."""
        while True:
            asked = self.now
            line, error = await banner(vantage, port, patient(GREETED_WITHIN))
            if line:
                self._answered(line)
            else:
                self._failed(asked, error)
            await asyncio.sleep(EVERY)

    def _answered(self, line: str) -> None:
        self.last_answer = line
        if self._gone_at is not None:
            self._away += self.now - self._gone_at
            self._gone_at = None
        if self.answers_since is None:
            self.answers_since = self.now

    def _failed(self, asked: float, error: str) -> None:
        self.last_error = error
        self.answers_since = None
        if self._gone_at is None:
            self._gone_at = asked


@contextmanager
def watching(vantage: Vantage, port: int) -> Iterator[Watch]:
    """A watch that goes on until the block ends."""
    watch = Watch()
    asking = asyncio.run_coroutine_threadsafe(watch.ask(vantage, port), background())
    try:
        yield watch
        if asking.done():
            asking.result()  # it ends by an error only
    finally:
        asking.cancel()
