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
import errno
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

WAITING: dict[int, socket.socket] = {}
"""Number → a client that was announced and not yet taken."""
NUMBERS = itertools.count(1)
FULL = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
"""What keeps a client waiting until others have gone; asking again at once would be in vain."""
FULL_FOR = 0.5
"""Seconds until it is tried again."""


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


def line(**what: object) -> bytes:
    """An object in a line."""
    return json.dumps(what).encode() + b"\n"


async def tell(writer: Writer, **what: object) -> None:
    """Send an object, and wait until it is on its way."""
    writer.write(line(**what))
    await writer.drain()


async def pump(reader: Reader, writer: Writer) -> None:
    """Copy until the end of the stream, and pass the end on."""
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()


async def splice(reader: Reader, writer: Writer, far: socket.socket) -> None:
    """Say that it is there, and copy in both directions until both have ended."""
    far_reader, far_writer = await asyncio.open_connection(sock=far)
    try:
        await tell(writer)
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
    await splice(reader, writer, sock)


async def listen(reader: Reader, writer: Writer, asked: Asked) -> None:
    """Announce clients until whoever asked hangs up."""
    numbers: set[int] = set()
    loop = asyncio.get_running_loop()

    # asyncio's own ways to accept keep a client open for ever that comes while they are ended
    # (Server.close and a cancelled sock_accept, both seen with Python 3.11).
    def accept() -> None:
        try:
            client, peer = listening.accept()
        except OSError as error:
            if error.errno in FULL:
                loop.remove_reader(listening)
                loop.call_later(FULL_FOR, go_on)
            return  # or it is gone again
        client.setblocking(False)
        number = next(NUMBERS)
        WAITING[number] = client
        numbers.add(number)
        writer.write(line(client=peer[:2], number=number))

    def go_on() -> None:
        if listening.fileno() >= 0:
            loop.add_reader(listening, accept)

    with bound(socket.SOCK_STREAM, *asked["at"]) as listening:
        listening.listen(128)
        await tell(writer)
        go_on()
        try:
            await reader.read()
        finally:
            loop.remove_reader(listening)
            for number in numbers:
                if number in WAITING:
                    WAITING.pop(number).close()


async def take(reader: Reader, writer: Writer, asked: Asked) -> None:
    """Pass on what a client that was announced has to say."""
    await splice(reader, writer, WAITING.pop(asked["number"]))


class Datagrams(asyncio.DatagramProtocol):
    """Passes on what comes."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        """Called by asyncio."""
        self.writer.write(line(peer=address[:2], data=base64.b64encode(data).decode()))


async def udp(reader: Reader, writer: Writer, asked: Asked) -> None:
    """Pass on datagrams, and the answers to them."""
    sock = bound(socket.SOCK_DGRAM, *asked["at"])
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Datagrams(writer), sock=sock
    )
    try:
        await tell(writer)
        while told := await reader.readline():
            answer = json.loads(told)
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
    # Its file has its name once it listens: whoever sees it can connect.
    soon = path.with_suffix(".new")
    for stale in (path, soon):
        stale.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(serve, soon, limit=1 << 18, backlog=512)
    soon.replace(path)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    os.umask(0o077)
    asyncio.run(main(Path(sys.argv[1])))
