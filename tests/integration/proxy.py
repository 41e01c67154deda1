"""A proxy, as offices have one, for a machine that has no other way out.

It is a plain HTTP proxy: `CONNECT` for what is encrypted, and requests as they are for the rest. It
listens in the machine's outside and connects from this computer.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from harness.loop import wait_for
from harness.machines.outside import Outside

CONNECT_WITHIN = 20.0
"""Seconds until a server of the real network must have answered."""


@contextmanager
def proxy_at(outside: Outside, address: str, port: int = 3128) -> Iterator[str]:
    """Run it while the block lasts; yield its URL.

    Args:
        outside: the machine's.
        address: one that the outside has, IPv4.
        port: where it listens there.
    """
    line = outside.open_socket(socket.AF_INET, socket.SOCK_STREAM, (address, port), listen=True)
    server = wait_for(asyncio.start_server(_serve, sock=line))
    try:
        yield f"http://{address}:{port}"
    finally:
        server.close()


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError, ValueError):
        head = await reader.readuntil(b"\r\n\r\n")
        method, target = head.decode("latin-1").split()[:2]
        is_tunnel = method == "CONNECT"
        where = urlsplit(f"//{target}" if is_tunnel else target)
        async with asyncio.timeout(CONNECT_WITHIN):
            far_reader, far_writer = await asyncio.open_connection(where.hostname, where.port or 80)
        if is_tunnel:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            far_writer.write(head)
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
    writer.close()


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(1 << 16):
            target.write(data)
            await target.drain()
    target.close()
