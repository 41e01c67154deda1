"""Streams that pass through something else, as sockets: what probes and servers work with."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TypeAlias

import asyncssh

Reader: TypeAlias = "asyncio.StreamReader | asyncssh.SSHReader[bytes]"
Writer: TypeAlias = "asyncio.StreamWriter | asyncssh.SSHWriter[bytes]"

_running: set[asyncio.Task[None]] = set()
"""The loop itself keeps tasks weakly only."""


async def socket_to(reader: Reader, writer: Writer) -> socket.socket:
    """A non-blocking socket whose other end is a stream; it ends when both directions have."""
    near, far = socket.socketpair()
    far.setblocking(False)
    near.setblocking(False)
    try:
        far_reader, far_writer = await asyncio.open_connection(sock=far)
    except BaseException:
        for each in (near, far, writer):
            each.close()
        raise
    task = asyncio.create_task(_relay(reader, writer, far_reader, far_writer))
    _running.add(task)
    task.add_done_callback(_running.discard)
    return near


async def _relay(
    reader: Reader,
    writer: Writer,
    far_reader: asyncio.StreamReader,
    far_writer: asyncio.StreamWriter,
) -> None:
    """Copy in both directions until both have ended: one end may come long before the other."""
    try:
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
    finally:
        writer.close()
        far_writer.close()


async def _pump(reader: Reader, writer: Writer) -> None:
    """Copy until the end of the stream, and pass the end on."""
    with contextlib.suppress(OSError, asyncssh.Error):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError, asyncssh.Error):
        writer.write_eof()
