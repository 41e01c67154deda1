"""Waits for an accepted message to arrive outside, or to be known not to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from harness.patience import patient
from harness.probes.log_lines import Fate, fate

if TYPE_CHECKING:
    from harness.outside.sink import Arrival
    from harness.probes.run import Run

ARRIVAL_WITHIN = 45.0
"""Seconds in which an accepted message must reach the sink. All wait at the same time, and less
where the log says that the message has gone elsewhere or is put off."""
LOGGED_WITHIN = 20.0
"""Seconds in which the log must tell of a message that has arrived."""


async def arrival(run: Run, nonce: str, followed: str = "") -> tuple[Arrival | None, Fate | None]:
    """What arrived at the sink, and what the log says of it.

    Args:
        run: the run.
        nonce: in the message's headers.
        followed: another nonce that the log is searched for where it has not the first one.
    """

    def known_fate(log: str) -> Fate | None:
        return fate(log, nonce) or (fate(log, followed) if followed else None)

    def settled(log: str) -> bool | None:
        known = known_fate(log)
        return True if known and known.settled else None

    at_sink = asyncio.create_task(run.site.sink.wait_for(nonce, patient(ARRIVAL_WITHIN)))
    elsewhere = asyncio.create_task(run.log.wait_for(settled, patient(ARRIVAL_WITHIN)))
    try:
        await asyncio.wait({at_sink, elsewhere}, return_when=asyncio.FIRST_COMPLETED)
        # The sink keeps a message before it says 250, so what the log calls sent is there.
        if elsewhere.done() and not elsewhere.exception() and not elsewhere.result():
            await asyncio.wait({at_sink})
    finally:
        for task in (at_sink, elsewhere):
            if not task.done():
                task.cancel()
        await asyncio.gather(at_sink, elsewhere, return_exceptions=True)
    arrived = run.site.sink.find(nonce)
    if arrived:
        # The log comes over a slower way than the message: what is known here may not be read yet.
        return arrived[0], await run.log.wait_for(known_fate, patient(LOGGED_WITHIN))
    return None, known_fate(await run.log.text())
