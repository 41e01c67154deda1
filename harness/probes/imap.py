"""IMAP sessions from a vantage, through IMAPClient over the vantage's own socket.

IMAPClient blocks, so its calls run in the run's threads. It has no type information: everything
that the probes use of it passes through `Imap`, whose signatures are what was seen in its source
(4.1.0).
"""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from harness.patience import patient
from harness.probes.greeting import IMPLICIT_TLS

if TYPE_CHECKING:
    from harness.probes.run import Run
    from harness.site import Account, Service
    from harness.vantage import Vantage

T = TypeVar("T")
PeerCertificate = Mapping[str, object]
"""What `ssl.SSLSocket.getpeercert()` returns: empty where nothing was verified."""

REPLY_WITHIN = 30.0
"""Seconds for one response; Dovecot's answer to a bad login alone takes 2 and more."""


class ImapFailedError(Exception):
    """The server said NO or BAD, or the connection broke; the text is the server's."""


class Imap:
    """A blocking IMAP session over a given socket. Use it in a thread only.

    Args:
        sock: a connected stream socket, of any address family.
        hostname: the name that the certificate must have.
        context: for TLS.
        implicit: whether TLS comes first.

    Raises:
        ssl.SSLError: the TLS handshake failed.
        ImapFailedError: no greeting.
    """

    def __init__(
        self, sock: socket.socket, hostname: str, context: ssl.SSLContext, *, implicit: bool
    ) -> None:
        self.hostname = hostname
        self.context = context
        sock.settimeout(patient(REPLY_WITHIN))
        if implicit:
            sock = context.wrap_socket(sock, server_hostname=hostname)
        self._client: Any = self._call(_client, sock, hostname)

    def _call(self, function: Callable[..., Any], *args: object) -> Any:
        """Call into IMAPClient and give its errors one type."""
        import imaplib

        try:
            return function(*args)
        except ssl.SSLError:
            raise
        # IMAPClient's errors are imaplib's; its parser raises ValueError.
        except (imaplib.IMAP4.error, OSError, ValueError) as error:
            raise ImapFailedError(str(error) or repr(error)) from error

    @property
    def peer(self) -> tuple[str | None, PeerCertificate | None]:
        """The TLS version and the peer's certificate, encrypting first where that is to come."""
        if not isinstance(self._client.socket(), ssl.SSLSocket):
            self.starttls()
        sock = self._client.socket()
        certificate: PeerCertificate | None = sock.getpeercert()
        return sock.version(), certificate

    @property
    def capabilities(self) -> list[str]:
        """What the server says that it can do, in upper case."""
        found = self._call(self._client.capabilities)
        return sorted(word.decode().upper() for word in found)

    def starttls(self) -> None:
        """Encrypt.

        Raises:
            ssl.SSLError: the TLS handshake failed.
            ImapFailedError: the server does not offer it.
        """
        self._call(self._client.starttls, self.context)

    def login(self, account: Account) -> str:
        """Log in.

        Raises:
            ImapFailedError: the server refused; its words.
        """
        said = self._call(self._client.login, account.address, account.password)
        return bytes(said).decode(errors="replace")

    def select(self, folder: str = "INBOX") -> None:
        """Open a mailbox."""
        self._call(self._client.select_folder, folder)

    def new_messages(self, above: int) -> dict[int, bytes]:
        """UID → whole message, of all messages whose UID is above the given one."""
        found = self._call(self._client.search, ["UID", f"{above + 1}:*"])
        # `n:*` matches the last message even where its UID is below n (RFC 3501, 6.4.8).
        uids = [uid for uid in found if uid > above]
        if not uids:
            return {}
        fetched = self._call(self._client.fetch, uids, [b"BODY.PEEK[]"])
        return {uid: parts[b"BODY[]"] for uid, parts in fetched.items()}

    def idle_until_news(self, within: float) -> None:
        """IDLE until the server says something, or for `within` seconds."""
        self._call(self._client.idle)
        # Not `idle_check`: it reads without blocking, and of a line that has come in part only it
        # loses that part. What is said is not needed: the mailbox is searched after it.
        sock = self._client.socket()
        if not (isinstance(sock, ssl.SSLSocket) and sock.pending()):
            poll = select.poll()
            poll.register(sock, select.POLLIN)
            poll.poll(within * 1000)
        self._call(self._client.idle_done)

    def interrupt(self) -> None:
        """Make a call that blocks in another thread fail; the session is over."""
        with suppress(OSError):
            self._client.socket().shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Log out if that is still possible, and close."""
        with suppress(ImapFailedError):
            self._call(self._client.logout)
        # Also closes imaplib's buffered reader, which would keep the socket open.
        with suppress(ImapFailedError):
            self._call(self._client.shutdown)


def _client(sock: socket.socket, hostname: str) -> Any:
    """An IMAPClient whose imaplib connection uses a given socket."""
    import imaplib

    import imapclient  # type: ignore[import-untyped]  # it has no py.typed, see the module's text

    class OnSocket(imaplib.IMAP4):
        def _create_socket(self, timeout: float | None) -> socket.socket:
            return sock

    class Client(imapclient.IMAPClient):  # type: ignore[misc]  # a base without types
        def _create_IMAP4(self) -> imaplib.IMAP4:  # noqa: N802 - IMAPClient's name for it
            return OnSocket(hostname)

    # ssl=False: TLS is the caller's, so IMAPClient must not start any of its own.
    return Client(hostname, ssl=False, timeout=patient(REPLY_WITHIN))


async def connect(
    run: Run,
    vantage: Vantage,
    service: Service,
    use: Callable[[Imap], T],
    *,
    context: ssl.SSLContext | None = None,
) -> T:
    """Open a session, run `use` on it in a thread, close it.

    Raises:
        NoAnswerError: the port gives no greeting from there.
        ssl.SSLError: the TLS handshake failed.
        ImapFailedError: as `use` or the greeting raised it.
    """

    def whole() -> T:
        client = Imap(
            sock,
            run.site.hostname,
            context or run.any_certificate,
            implicit=service in IMPLICIT_TLS,
        )
        try:
            return use(client)
        finally:
            client.close()

    async with run.answering(vantage, service) as port:
        sock = await vantage.connect(port)
        try:
            return await run.in_thread(whole)
        except asyncio.CancelledError:
            # The thread must not hold the run up after its deadline.
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            raise
        finally:
            sock.close()
