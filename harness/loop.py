"""The process's event loop, in a thread of its own.

Probes, SSH connections and the outside world's servers are asynchronous and share this loop;
pytest, launchers and people at a prompt are not, and wait for it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")


@cache
def background() -> asyncio.AbstractEventLoop:
    """The loop; started on first use, and a daemon, so that it never keeps the process alive."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="harness-loop", daemon=True).start()
    return loop


def wait_for(work: Coroutine[Any, Any, T], within: float | None = None) -> T:
    """Run a coroutine in the background loop and wait for its result.

    Raises:
        TimeoutError: it took longer than `within` seconds; it is cancelled then.
    """

    async def limited() -> T:
        async with asyncio.timeout(within):
            return await work

    future = asyncio.run_coroutine_threadsafe(limited(), background())
    try:
        return future.result()
    except KeyboardInterrupt:
        future.cancel()
        raise


def begin(work: Coroutine[Any, Any, T]) -> Future[T]:
    """Start a coroutine in the background loop; its result is for whoever waits for it."""
    return asyncio.run_coroutine_threadsafe(work, background())


def cancel_all() -> None:
    """Cancel everything that the loop is at: whoever waits for it is told so."""
    loop = background()

    def cancel() -> None:
        for task in asyncio.all_tasks(loop):
            task.cancel()

    loop.call_soon_threadsafe(cancel)
