"""Run on a machine, in the network namespace that is its outside: opens that one's sockets.

Whoever may connect to the unix socket sends one JSON object in a line, and is answered with one:
`{}` where it was done, or `errno` and `text`.

    {"do": "connect", "to": [HOST, PORT], "from": ADDRESS or null}     then: the connection's bytes
    {"do": "listen", "at": [HOST, PORT]}          then: a line {"client": […], "number": N} for each
    {"do": "take", "number": N}                         then: the bytes of that client's connection
    {"do": "udp", "at": [HOST, PORT]}                   then: lines {"peer": […], "data": BASE64}

Standard library only, for every Python since 3.9: it runs where the mail server does.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

Asked = dict[str, Any]
Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter

WAITING: dict[int, tuple[Reader, Writer]] = {}
"""Number → the reader and writer of a client that was announced and not yet taken."""
NUMBERS = itertools.count(1)


def family_of(host: str) -> socket.AddressFamily:
    """The family of an address."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def bound(kind: socket.SocketKind, host: str, port: int) -> socket.socket:
    """A socket that is bound to an address, for a server where there is a port."""
    sock = socket.socket(family_of(host), kind)
    sock.setblocking(False)
    try:
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
    except BaseException:
        sock.close()
        raise
    return sock


async def tell(writer: Writer, **what: object) -> None:
    """Send an object in a line."""
    writer.write(json.dumps(what).encode() + b"\n")
    await writer.drain()


async def pump(reader: Reader, writer: Writer) -> None:
    """Copy until the end of the stream, and pass the end on."""
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()


async def splice(reader: Reader, writer: Writer, far_reader: Reader, far_writer: Writer) -> None:
    """Copy in both directions until both have ended."""
    try:
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))
    finally:
        far_writer.close()


async def connect(reader: Reader, writer: Writer, asked: Asked) -> None:
    """Open a connection and pass on what goes through it."""
    host, port = asked["to"]
    source = asked.get("from")
    if source:
        sock = bound(socket.SOCK_STREAM, source, 0)
    else:
        sock = socket.socket(family_of(host), socket.SOCK_STREAM)
        sock.setblocking(False)
    opening = asyncio.ensure_future(asyncio.get_running_loop().sock_connect(sock, (host, port)))
    # Whoever does not wait any more hangs up; before the answer nothing else comes from there.
    hung_up = asyncio.ensure_future(reader.read(1))
    try:
        await asyncio.wait([opening, hung_up], return_when=asyncio.FIRST_COMPLETED)
        if not opening.done():
            opening.cancel()
            sock.close()
            return
        hung_up.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await hung_up
        opening.result()
    except OSError:
        sock.close()
        raise
    far = await asyncio.open_connection(sock=sock)
    await tell(writer)
    await splice(reader, writer, *far)


async def listen(reader: Reader, writer: Writer, asked: Asked) -> None:
    """Announce clients until whoever asked hangs up."""
    numbers: set[int] = set()

    async def accepted(client_reader: Reader, client_writer: Writer) -> None:
        number = next(NUMBERS)
        WAITING[number] = (client_reader, client_writer)
        numbers.add(number)
        await tell(writer, client=client_writer.get_extra_info("peername")[:2], number=number)

    sock = bound(socket.SOCK_STREAM, *asked["at"])
    server = await asyncio.start_server(accepted, sock=sock, backlog=128)
    try:
        await tell(writer)
        await reader.read()
    finally:
        server.close()
        for number in numbers:
            if number in WAITING:
                WAITING.pop(number)[1].close()


async def take(reader: Reader, writer: Writer, asked: Asked) -> None:
    """Pass on what a client that was announced has to say."""
    client = WAITING.pop(asked["number"])
    await tell(writer)
    await splice(reader, writer, *client)


class Datagrams(asyncio.DatagramProtocol):
    """Passes on what comes."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        """Called by asyncio."""
        line = {"peer": address[:2], "data": base64.b64encode(data).decode()}
        self.writer.write(json.dumps(line).encode() + b"\n")


async def udp(reader: Reader, writer: Writer, asked: Asked) -> None:
    """Pass on datagrams, and the answers to them."""
    sock = bound(socket.SOCK_DGRAM, *asked["at"])
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Datagrams(writer), sock=sock
    )
    try:
        await tell(writer)
        while line := await reader.readline():
            answer = json.loads(line)
            transport.sendto(base64.b64decode(answer["data"]), tuple(answer["peer"]))
    finally:
        transport.close()


VERBS = {"connect": connect, "listen": listen, "take": take, "udp": udp}


async def serve(reader: Reader, writer: Writer) -> None:
    """Do what one asks for."""
    try:
        asked = json.loads(await reader.readline())
        try:
            await VERBS[asked["do"]](reader, writer, asked)
        except OSError as error:
            await tell(writer, errno=error.errno or 0, text=str(error))
    except (OSError, ValueError, KeyError):
        pass  # it hung up, or is nobody who knows how to ask
    finally:
        writer.close()


async def main(path: Path) -> None:
    """Serve at a unix socket until the process is ended."""
    server = await asyncio.start_unix_server(serve, path, limit=1 << 18, backlog=512)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    where = Path(sys.argv[1])
    where.unlink(missing_ok=True)
    os.umask(0o077)
    asyncio.run(main(where))
