"""Follows a text that grows in a container, by one command that stays."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import asyncssh

Connect = Callable[[], AbstractAsyncContextManager[asyncssh.SSHClientConnection]]


class Follower:
    """What a command has written so far. Reading it costs nothing, so it may be read often.

    Args:
        session: a connection to run the command on.
        command: prints the text, and what is added to it later, for example `tail -F`.
    """

    def __init__(self, session: Connect, command: str) -> None:
        self._session = session
        self._command = command
        self._chunks: list[str] = []
        self._begun = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def text(self) -> str:
        """All that was written so far; waits for the first of it only."""
        if self._task is None:
            self._task = asyncio.create_task(self._follow())
        await self._begun.wait()
        return "".join(self._chunks)

    async def _follow(self) -> None:
        try:
            async with (
                self._session() as connection,
                connection.create_process(
                    self._command, encoding="utf-8", errors="replace", stdin=asyncssh.DEVNULL
                ) as process,
            ):
                while chunk := await process.stdout.read(1 << 16):
                    self._chunks.append(chunk)
                    self._begun.set()
        finally:
            self._begun.set()

    def close(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
