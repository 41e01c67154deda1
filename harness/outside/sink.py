"""The outside world's mail exchanger: takes everything, keeps it, and says when it came.

"Relayed" means a message that arrived here. A `250` alone proves nothing.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl

    from aiosmtpd.smtp import Envelope, Session

MESSAGE_SIZE_LIMIT = 64 * 1024 * 1024
"""Bytes; DMS's own default limit is far below."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message as it reached the mail exchanger.

    Attributes:
        at: seconds since the epoch.
        client: the address that the connection came from, without the port.
        helo: the name that the client gave for itself.
        sender: the envelope sender; empty for a bounce.
        recipients: the envelope recipients, in the order in which they were given.
        content: the message in bytes with CRLF line ends, dot-unstuffed.
        login: the user that the client logged in as, or None.
        encrypted: whether it came over TLS.
    """

    at: float
    client: str
    helo: str
    sender: str
    recipients: tuple[str, ...]
    content: bytes
    login: str | None = None
    encrypted: bool = False

    @property
    def header_section(self) -> bytes:
        """Everything before the first empty line."""
        return self.content.partition(b"\r\n\r\n")[0]

    def carries(self, nonce: str) -> bool:
        """Whether the message's own header section has the nonce.

        Not its body: a bounce quotes the message that it is about, and a bounce that reaches
        the outside is no relayed message.
        """
        return nonce.encode() in self.header_section


@dataclass(slots=True)
class _Waiter:
    wanted: Callable[[Arrival], bool]
    future: asyncio.Future[Arrival] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def tell(self, arrival: Arrival) -> None:
        if not self.future.done():
            self.future.set_result(arrival)


class Sink:
    """A mail exchanger that accepts every recipient and records every message.

    Args:
        hostname: the name in its greeting; the MX records' target.
        authenticator: aiosmtpd's authenticator, to play a smart host that wants a login.
        tls: a server context, to offer STARTTLS.

    Attributes:
        put_off: recipients that are told to come again later.
        tell: is told of each message as it arrives, in the loop that serves.
    """

    def __init__(
        self,
        hostname: str = "mx.outside.test",
        *,
        authenticator: Callable[..., Any] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.hostname = hostname
        self._authenticator = authenticator
        self._tls = tls
        self.put_off: set[str] = set()
        self.tell: Callable[[Arrival], None] | None = None
        self._arrivals: list[Arrival] = []
        self._waiters: list[_Waiter] = []
        self._lock = threading.Lock()
        self._servers: list[asyncio.Server] = []
        self._transports: set[asyncio.BaseTransport] = set()

    async def serve(self, *sockets: socket.socket) -> None:
        """Answer on listening stream sockets, in the running loop, until `close`."""
        # Imported here because pytest's start-up imports this module's neighbours.
        from aiosmtpd.smtp import SMTP

        loop = asyncio.get_running_loop()
        transports = self._transports

        class Connection(SMTP):  # one per client
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                transports.add(transport)
                super().connection_made(transport)

            def connection_lost(self, error: Exception | None) -> None:
                if self.transport is not None:
                    transports.discard(self.transport)
                super().connection_lost(error)

        def connection() -> Connection:
            return Connection(
                self,
                hostname=self.hostname,
                ident="harness sink",
                data_size_limit=MESSAGE_SIZE_LIMIT,
                enable_SMTPUTF8=True,
                tls_context=self._tls,
                authenticator=self._authenticator,
                # A smart host in a sealed network namespace may take logins without TLS.
                auth_require_tls=self._tls is not None,
                loop=loop,
            )

        for listening in sockets:
            listening.setblocking(False)
            self._servers.append(await loop.create_server(connection, sock=listening))

    async def handle_MAIL(  # noqa: N802 - aiosmtpd looks its handler's methods up by name
        self,
        server: object,
        session: Session,
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        """Take a sender (called by aiosmtpd), after the login where one is wanted."""
        if self._authenticator is not None and not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802 - likewise
        self,
        server: object,
        session: Session,
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        """Take a recipient (called by aiosmtpd), or not yet."""
        if address in self.put_off:
            return "451 4.3.0 come again later"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802 - likewise
        self, server: object, session: Session, envelope: Envelope
    ) -> str:
        """Keep a message (called by aiosmtpd) and wake whoever waits for it."""
        peer = session.peer
        content = envelope.original_content or b""
        # What the authenticator put there: aiosmtpd's LoginPassword, or anything it likes.
        login = getattr(session.auth_data, "login", None)
        self._keep(
            Arrival(
                at=time.time(),
                # An AF_UNIX peer has no address.
                client=str(peer[0]) if isinstance(peer, tuple) and peer else "",
                helo=session.host_name or "",
                sender=(envelope.mail_from or "").removeprefix("<>"),
                recipients=tuple(envelope.rcpt_tos),
                content=content,
                login=login.decode(errors="replace") if isinstance(login, bytes) else None,
                encrypted=session.ssl is not None,
            )
        )
        return "250 2.0.0 kept"

    def _keep(self, arrival: Arrival) -> None:
        with self._lock:
            self._arrivals.append(arrival)
            woken = [waiter for waiter in self._waiters if waiter.wanted(arrival)]
        if self.tell is not None:
            self.tell(arrival)
        for waiter in woken:
            # Whoever waits may do so in another loop than the one that serves.
            waiter.future.get_loop().call_soon_threadsafe(waiter.tell, arrival)

    @property
    def arrivals(self) -> Sequence[Arrival]:
        """Everything that has arrived, oldest first."""
        return tuple(self._arrivals)

    def find(self, nonce: str) -> list[Arrival]:
        """The messages that carry a nonce in their header section, oldest first."""
        return [arrival for arrival in self.arrivals if arrival.carries(nonce)]

    async def wait_for(self, nonce: str, within: float) -> Arrival:
        """The first message with the nonce in its header section, arrived or still to come.

        Args:
            nonce: the string to look for.
            within: seconds to wait at most.

        Raises:
            TimeoutError: no such message arrived in time.
        """
        with self._lock:
            for arrival in self._arrivals:
                if arrival.carries(nonce):
                    return arrival
            waiter = _Waiter(lambda arrival: arrival.carries(nonce))
            self._waiters.append(waiter)
        try:
            async with asyncio.timeout(within):
                return await waiter.future
        finally:
            with self._lock:
                self._waiters.remove(waiter)

    async def close(self) -> None:
        """Stop answering and drop every connection."""
        for server in self._servers:
            server.close()
        for transport in tuple(self._transports):
            if isinstance(transport, asyncio.Transport):
                transport.abort()
        for server in self._servers:
            with suppress(OSError):
                await server.wait_closed()
        self._servers.clear()
        self._transports.clear()
