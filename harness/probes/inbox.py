"""A mailbox that is watched with IMAP IDLE, so that a delivery is an event and not a poll."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from harness.probes.greeting import IMPLICIT_TLS
from harness.probes.imap import Imap, ImapFailedError

if TYPE_CHECKING:
    from harness.probes.run import Run
    from harness.site import Account, Service
    from harness.vantage import Vantage

IDLE_AT_MOST = 5.0
"""Seconds after which the mailbox is searched even if the server announced nothing: a lost
announcement then shows as a delay, not as lost mail."""


class Inbox:
    """What has arrived in one account's INBOX since the watch began, and what arrives next."""

    def __init__(self) -> None:
        self._messages: list[bytes] = []
        self._news = asyncio.Condition()
        self.failure: Exception | None = None
        self.ready = asyncio.Event()

    async def add(self, messages: list[bytes]) -> None:
        """Take messages in and wake those who wait."""
        async with self._news:
            self._messages.extend(messages)
            self.ready.set()
            self._news.notify_all()

    async def fail(self, failure: Exception) -> None:
        """End every wait: the watch is over."""
        async with self._news:
            self.failure = failure
            self.ready.set()
            self._news.notify_all()

    def find(self, nonce: str) -> bytes | None:
        """The first message that has the nonce in its header section."""
        wanted = nonce.encode()
        for message in self._messages:
            if wanted in message.partition(b"\r\n\r\n")[0]:
                return message
        return None

    async def wait_for(self, nonce: str, within: float) -> bytes:
        """The first message with the nonce in its header section, there or still to come.

        Raises:
            TimeoutError: it did not come within so many seconds.
            ImapFailedError: the watch itself failed, so nothing can be said.
        """
        async with asyncio.timeout(within), self._news:
            await self._news.wait_for(lambda: self.failure or self.find(nonce) is not None)
        found = self.find(nonce)
        if found is None:
            raise ImapFailedError(f"the mailbox cannot be read: {self.failure}")
        return found


@asynccontextmanager
async def watching(run: Run, vantage: Vantage, account: Account) -> AsyncIterator[Inbox]:
    """Watch an account's INBOX from a vantage, through the port with implicit TLS if there is one.

    Where that does not answer, through the other one, or from localhost: a mailbox that one
    client cannot reach may well have got its mail.

    The block begins at once; `Inbox.ready` says when the login is done and the watch stands.
    One connection and one login serve every delivery that the run waits for.
    """
    inbox = Inbox()
    stop = threading.Event()
    opened: list[Imap] = []

    def tell(messages: list[bytes]) -> None:
        asyncio.run_coroutine_threadsafe(inbox.add(messages), loop).result(10)

    def watch(sock: object, service: Service) -> None:
        import socket

        assert isinstance(sock, socket.socket)
        implicit = service in IMPLICIT_TLS
        client = Imap(sock, run.site.hostname, run.any_certificate, implicit=implicit)
        opened.append(client)
        try:
            if not implicit:
                client.starttls()
            client.login(account)
            client.select()
            last = 0  # what came before the watch stood counts too: nonces are unique
            while not stop.is_set():
                fetched = client.new_messages(last)
                last = max([last, *fetched])
                tell(list(fetched.values()))
                # What arrives between the search and IDLE is announced at once by the server.
                client.idle_until_news(IDLE_AT_MOST)
        except ImapFailedError:
            if not stop.is_set():
                raise
        finally:
            client.close()

    async def whole() -> None:
        try:
            place, service = await way_in(run, vantage)
            async with run.answering(place, service) as port:
                sock = await place.connect(port)
            await run.in_thread(watch, sock, service)
        except Exception as failure:  # whoever waits for mail must hear that none can be seen
            await inbox.fail(failure)

    loop = asyncio.get_running_loop()
    task = asyncio.create_task(whole())
    try:
        yield inbox
    finally:
        stop.set()
        for client in opened:
            client.interrupt()
        await asyncio.wait([task], timeout=5)


async def way_in(run: Run, first: Vantage) -> tuple[Vantage, Service]:
    """From where, and through which service, a mailbox can be read; the first that answers."""
    services: list[Service] = [
        service for service in ("imaps", "imap") if run.site.port_of(service) is not None
    ]
    inside = [vantage for vantage in run.site.vantages if vantage.place == "localhost"]
    for vantage in (first, *inside):
        for service in services:
            port = run.site.port_of(service)
            if port is not None and (await run.greeting(vantage, port)).outcome == "answers":
                return vantage, service
    return first, services[0] if services else "imaps"
