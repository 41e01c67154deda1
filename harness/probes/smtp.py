"""SMTP sessions from a vantage, through aiosmtplib, with every command said explicitly."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import ssl

    import aiosmtplib

    from harness.probes.run import Run
    from harness.site import Account, Service
    from harness.vantage import Vantage

from harness.patience import patient
from harness.probes.greeting import GREETING_WITHIN_DEFAULT

Security = Literal["plain", "starttls", "implicit"]

REPLY_WITHIN = 30.0
"""Seconds for one reply; Dovecot's answer to a bad login alone takes 2."""

USUAL_SECURITY: dict[str, Security] = {
    "smtp": "plain",
    "submission": "starttls",
    "submissions": "implicit",
}


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's reply: its code, its text (lines joined by newlines), to which command."""

    code: int
    text: str
    to: str = ""

    def __str__(self) -> str:
        return f"{self.code} {self.text}"

    @property
    def positive(self) -> bool:
        """Whether the command was accepted (2xx, or 3xx: go on)."""
        return 200 <= self.code < 400


class LostError(ConnectionError):
    """The server ended the connection, or stopped answering, in the middle."""


class Session:
    """An open SMTP connection whose greeting has been read.

    Attributes:
        extensions: what the last EHLO offered, keyword in lower case → its parameters.
        replies: all that the server has said after its greeting, in order.
    """

    def __init__(self, client: aiosmtplib.SMTP) -> None:
        self._client = client
        self.extensions: dict[str, str] = {}
        self.replies: list[Reply] = []

    async def command(self, line: str) -> Reply:
        """Send one line exactly as it is.

        Raises:
            LostError: no reply came. A `421` is a reply, and the connection is gone after it.
        """
        with _lost(line):
            code, text = await self._client.execute_command(line.encode())
        return self._heard(Reply(code, text, line.split(":")[0][:10]))

    def _heard(self, reply: Reply) -> Reply:
        self.replies.append(reply)
        return reply

    async def ehlo(self, name: str) -> Reply:
        """Say EHLO and note the extensions."""
        reply = await self.command(f"EHLO {name}")
        if reply.code == 250:
            lines = (line.strip().partition(" ") for line in reply.text.split("\n")[1:])
            self.extensions = {word.lower(): rest for word, _, rest in lines}
        return reply

    async def starttls(self, context: ssl.SSLContext, name: str) -> None:
        """Encrypt; the EHLO that must follow is the caller's.

        Raises:
            ssl.SSLError: the handshake failed (also: the certificate does not verify).
            LostError: the server refused STARTTLS or went away.
        """
        import aiosmtplib

        protocol = self._client.protocol
        if protocol is None:
            raise LostError("STARTTLS: not connected")
        try:
            said = await protocol.start_tls(
                context, server_hostname=name, timeout=patient(REPLY_WITHIN)
            )
        except aiosmtplib.SMTPException as error:
            raise LostError(f"STARTTLS: {error}") from error
        self._heard(Reply(said.code, said.message, "STARTTLS"))
        self._client.transport = protocol.transport
        self.extensions = {}

    async def login(self, account: Account) -> Reply:
        """AUTH PLAIN with an initial response, whatever the server offered."""
        secret = f"\0{account.address}\0{account.password}".encode()
        reply = await self.command(f"AUTH PLAIN {base64.b64encode(secret).decode()}")
        return Reply(reply.code, reply.text, "AUTH")

    async def data(self, content: bytes) -> Reply:
        """DATA and the message, dot-stuffed, lines ended by CRLF; the reply to whichever failed."""
        import aiosmtplib

        protocol = self._client.protocol
        if protocol is None:
            raise LostError("DATA: not connected")
        with _lost("DATA"):
            try:
                code, text = await protocol.execute_data_command(
                    content, timeout=patient(REPLY_WITHIN)
                )
            except aiosmtplib.SMTPDataError as refused:
                code, text = refused.code, refused.message
        return self._heard(Reply(code, text, "DATA"))

    async def send(self, sender: str, recipients: list[str], content: bytes) -> Reply:
        """One whole transaction of 8-bit MIME; the last reply, which is the first refusal."""
        body = " BODY=8BITMIME" if "8bitmime" in self.extensions else ""
        reply = await self.command(f"MAIL FROM:<{sender}>{body}")
        for recipient in recipients:
            if not reply.positive:
                return reply
            reply = await self.command(f"RCPT TO:<{recipient}>")
        return await self.data(content) if reply.positive else reply

    @property
    def alive(self) -> bool:
        """Whether the connection still stands."""
        return bool(self._client.is_connected)

    @property
    def tls(self) -> ssl.SSLObject | None:
        """The TLS session, or None."""
        found: ssl.SSLObject | None = self._client.get_transport_info("ssl_object")
        return found


@contextmanager
def _lost(line: str) -> Iterator[None]:
    """Turn aiosmtplib's ways of losing a connection into one."""
    import aiosmtplib

    try:
        yield
    except (
        aiosmtplib.SMTPServerDisconnected,
        aiosmtplib.SMTPTimeoutError,
        aiosmtplib.SMTPResponseException,
        ConnectionError,
    ) as error:
        raise LostError(f"{line[:60]}: {error}") from error


@asynccontextmanager
async def session(
    run: Run,
    vantage: Vantage,
    service: Service,
    *,
    security: Security | None = None,
    helo: str | None = None,
    context: ssl.SSLContext | None = None,
) -> AsyncIterator[Session]:
    """Open a session: greeting, EHLO, and for `starttls` the handshake and EHLO again.

    Args:
        run: whose first contact with the port is awaited before.
        vantage: from where.
        service: `smtp`, `submission` or `submissions`.
        security: the service's usual one where None.
        helo: the name to give; the outside domain where None.
        context: verifies nothing where None.

    Raises:
        NoAnswerError: the port gives no greeting from there.
        LostError: the connection broke.
        ssl.SSLError: the TLS handshake failed.
    """
    import ssl

    import aiosmtplib

    context = context or run.any_certificate
    security = security or USUAL_SECURITY[service]
    name = helo or run.site.outside_domain
    async with run.answering(vantage, service) as port:
        sock = await vantage.connect(port)
        client = aiosmtplib.SMTP(
            sock=sock,
            hostname=run.site.hostname,
            use_tls=security == "implicit",
            start_tls=False,  # never by opportunity
            tls_context=context,
            local_hostname=run.site.outside_domain,  # else it looks this computer's name up
            timeout=patient(REPLY_WITHIN),
        )
        try:
            try:
                await client.connect(timeout=patient(GREETING_WITHIN_DEFAULT))
            except aiosmtplib.SMTPException as error:
                sock.close()
                if isinstance(error, aiosmtplib.SMTPTimeoutError):
                    run.fell_silent(vantage, port, str(error))
                if isinstance(error.__cause__, ssl.SSLError):
                    raise error.__cause__ from None
                raise LostError(f"greeting: {error}") from error
            opened = Session(client)
            await opened.ehlo(name)
            if security == "starttls":
                await opened.starttls(context, run.site.hostname)
                await opened.ehlo(name)
            yield opened
            if opened.alive:
                with suppress(LostError):
                    await opened.command("QUIT")
        finally:
            client.close()
            await asyncio.sleep(0)  # lets the transport close its socket before the slot is free
