"""Runs a command over an SSH connection and waits for its end."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass

import asyncssh

ROOM_WITHIN = 5.0
"""Seconds to wait for the SSH server to have room for one more command."""
POLL = 0.03
"""Seconds between two attempts to begin."""


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that ended: what it wrote, how it ended, how many seconds it took."""

    command: str
    stdout: str
    stderr: str
    status: int
    seconds: float


async def execute(
    connection: asyncssh.SSHClientConnection, command: str, within: float, stdin: bytes | None
) -> asyncssh.SSHCompletedProcess:
    """Run a command, once the server has room for it."""
    patience = time.monotonic() + ROOM_WITHIN
    while True:
        try:
            process = await connection.create_process(
                command,
                input=stdin,
                encoding=None,
                # With an input of no bytes, asyncssh would leave the pipe open for ever.
                stdin=asyncssh.PIPE if stdin else asyncssh.DEVNULL,
            )
        except asyncssh.ChannelOpenError:
            # The server counts a session until its last process is gone, a moment after its end.
            if connection.is_closed() or time.monotonic() > patience:
                raise
            await asyncio.sleep(POLL)
        else:
            break
    try:
        return await process.wait(timeout=within)
    except BaseException:
        # Nobody waits for it any more: it must not keep its place among the sessions.
        with contextlib.suppress(OSError):
            process.kill()
        process.close()
        raise


def text_of(data: bytes | str | None) -> str:
    """What a command wrote, whatever the bytes."""
    if data is None:
        return ""
    return data if isinstance(data, str) else data.decode(errors="replace")
