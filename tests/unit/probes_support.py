"""Ways to a mail server on loopback, and a whole deployment of one; holds no tests itself.

TLS is trustme's.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import trustme
from mail_server_support import (
    ALICE,
    BOB,
    DOMAIN,
    HOSTNAME,
    OUTSIDE,
    Behaviour,
    ImapServer,
    MailServer,
    smtp_protocol,
)

from harness.machines.execution import Completed
from harness.observations import Observations
from harness.outside.sink import Sink
from harness.site import Service, Site
from harness.vantage import Vantage


class DirectConnector:
    """Connects from this process."""

    async def connect(self, host: str, port: int, source: str | None) -> socket.socket:
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        sock.setblocking(False)
        try:
            if source:
                sock.bind((source, 0))
            await asyncio.get_running_loop().sock_connect(sock, (host, port))
        except BaseException:
            sock.close()
            raise
        return sock


class SocketpairConnector:
    """Connects through a relay, as an SSH tunnel does: the probe's end is an AF_UNIX socket."""

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[None]] = set()

    async def connect(self, host: str, port: int, source: str | None) -> socket.socket:
        far_reader, far_writer = await asyncio.open_connection(host, port)
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=theirs)

        async def pump(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
            try:
                while data := await source.read(65536):
                    to.write(data)
                    await to.drain()
            except ConnectionError:
                pass
            finally:
                to.close()

        for pair in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(pump(*pair))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        return ours


def vantage(name: str = "outside_lan_a_v4", target: str = "127.0.0.1", **more: Any) -> Vantage:
    place, _, family = name.rpartition("_v")
    connector = more.get("connector") or DirectConnector()
    return Vantage(name, place, 6 if family == "6" else 4, target, more.get("source"), connector)


def listening(address: str = "127.0.0.1") -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    sock.bind((address, 0))
    sock.listen(50)
    return sock


def closed_port() -> int:
    with listening() as sock:
        return int(sock.getsockname()[1])


@asynccontextmanager
async def deployment(
    behaviour: Behaviour | None = None,
    vantages: list[Vantage] | None = None,
    certificate_name: str = HOSTNAME,
    execute: Callable[[str], Awaitable[Completed]] | None = None,
) -> AsyncIterator[Site]:
    """A running mail server, its outside world, and the `Site` that describes both."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(certificate_name).configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    sink = Sink()
    outside = listening()
    await sink.serve(outside)
    server = MailServer(behaviour or Behaviour(), outside.getsockname()[1])
    loop = asyncio.get_running_loop()
    published: dict[int, Service] = {}
    servers: list[asyncio.Server] = []
    for kind in ("smtp", "submission", "submissions"):
        sock = listening()
        published[sock.getsockname()[1]] = kind
        servers.append(
            await loop.create_server(
                lambda kind=kind: smtp_protocol(server, context, kind),
                sock=sock,
                ssl=context if kind == "submissions" else None,
            )
        )
    for kind in ("imap", "imaps"):
        sock = listening()
        published[sock.getsockname()[1]] = kind
        implicit = kind == "imaps"
        responder = ImapServer(server, context, implicit=implicit)
        servers.append(
            await asyncio.start_server(
                responder.serve, sock=sock, ssl=context if implicit else None
            )
        )

    async def mail_log() -> str:
        return "\n".join(server.log)

    try:
        yield Site(
            hostname=HOSTNAME,
            domain=DOMAIN,
            address="127.0.0.1",
            accounts=[ALICE, BOB],
            alias="info@example.com",
            published=published,
            unpublished=[closed_port()],
            vantages=vantages or [vantage(), vantage("localhost_v4")],
            outside_domain=OUTSIDE,
            sink=sink,
            smart_host=Sink(),
            tls=trusting,
            mail_log=mail_log,
            execute=execute or nothing_runs,
            observations=Observations("test"),
        )
    finally:
        for one in servers:
            one.close()
        await sink.close()
        for transport in server.transports:
            transport.abort()
        await end_leftovers()


async def nothing_runs(command: str) -> Completed:
    """A container in which no command exists."""
    return Completed(command, "", "not found", 127, 0.0)


async def end_leftovers() -> None:
    """End what the test's own servers still do, so that no socket outlives the loop."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await asyncio.sleep(0.01)  # transports close their sockets in a later turn of the loop
