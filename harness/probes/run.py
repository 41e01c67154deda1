"""What all probes of one run share: first contacts, slots, nonces, the log, and the guard.

Frugality is kept here: one greeting per vantage and port, which everybody awaits, and a limit on
how many sessions are open at once, so that a server with two slow cores is not swamped.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from harness.patience import patient
from harness.probes.gate import Gate
from harness.probes.greeting import Greeting, greet
from harness.probes.imap import ImapFailedError
from harness.probes.mail_log import MailLog

if TYPE_CHECKING:
    from harness.site import Service, Site
    from harness.vantage import Vantage

T = TypeVar("T")

PORT_25_AT_ONCE = 20
"""Postfix allows 50 connections per client address, and through a rewriting forwarder every
vantage has the same address; and each new session may cost the server a process."""
OTHERS_AT_ONCE = 60
"""Must have room for all failing logins, which start together, or they would wait in vain."""
THREADS = 32
"""IMAPClient blocks, so each of its sessions holds a thread."""
PROBE_WITHIN = 90.0
"""Seconds for one probe from one vantage, where it sets no deadline of its own."""


class NoAnswerError(Exception):
    """The port gives no greeting from this vantage, so nothing can be tried there."""

    def __init__(self, greeting: Greeting) -> None:
        super().__init__(greeting.outcome)
        self.greeting = greeting


class Run:
    """One pass of the probes over a site. Made by `running`.

    Attributes:
        site: the deployed mail server.
        log: its log, polled once for all who wait for something in it.
        bad_logins: the gate that all failing logins pass together.
        any_certificate: a client context that verifies nothing: only `probes.tls` is about
            certificates, and a wrong one must not hide what the other probes would see.
    """

    def __init__(self, site: Site, threads: ThreadPoolExecutor) -> None:
        self.site = site
        self.record = site.observations.record
        self.log = MailLog(site.mail_log)
        self.bad_logins = Gate()
        self._port_25 = asyncio.Semaphore(PORT_25_AT_ONCE)
        self._others = asyncio.Semaphore(OTHERS_AT_ONCE)
        self.any_certificate = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.any_certificate.check_hostname = False
        self.any_certificate.verify_mode = ssl.CERT_NONE
        self._tasks: set[asyncio.Task[None]] = set()
        self._threads = threads
        self._greetings: dict[tuple[str, int], asyncio.Future[Greeting]] = {}

    def nonce(self, label: str = "n") -> str:
        """A string that occurs nowhere else, fit for a local part and a host name."""
        return f"{label}-{secrets.token_hex(6)}"

    async def greeting(self, vantage: Vantage, port: int) -> Greeting:
        """What a port says first: asked once per vantage, whoever asks.

        On port 25 this is the gate for postscreen's wait on a client's first contact.
        """
        key = (vantage.name, port)
        if key not in self._greetings:
            service = self.site.published.get(port)
            self._greetings[key] = asyncio.create_task(
                greet(vantage, port, service, self.any_certificate, self.site.hostname)
            )
        return await asyncio.shield(self._greetings[key])

    def fell_silent(self, vantage: Vantage, port: int, error: str) -> None:
        """Note that a port that had answered does not any more: nobody else need wait for it."""
        said: asyncio.Future[Greeting] = asyncio.get_running_loop().create_future()
        said.set_result(Greeting("silent", error=error))
        self._greetings[vantage.name, port] = said

    @asynccontextmanager
    async def answering(self, vantage: Vantage, service: Service) -> AsyncIterator[int]:
        """Hold a session slot for a service; gives the service's port.

        Raises:
            NoAnswerError: the port gives no greeting from there, or is not published.
        """
        port = self.site.port_of(service)
        if port is None:
            raise NoAnswerError(Greeting("not published"))
        greeting = await self.greeting(vantage, port)
        if greeting.outcome != "answers":
            raise NoAnswerError(greeting)
        async with self._port_25 if service == "smtp" else self._others:
            yield port

    async def in_thread(self, function: Callable[..., T], *args: object) -> T:
        """Run a blocking function in one of the run's own threads.

        Not `asyncio.to_thread`: its pool has six threads on two cores, and waiting IDLE
        sessions could hold them all.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(function, *args))

    def start(self, probe: Coroutine[Any, Any, None]) -> None:
        """Run something beside the rest, until `settled`. Hand in what is `guarded`."""
        self._tasks.add(asyncio.create_task(probe))

    async def settled(self) -> None:
        """Wait until everything that was started has ended."""
        while self._tasks:
            await asyncio.gather(*(self._tasks.pop() for _ in range(len(self._tasks))))

    async def abandon(self) -> None:
        """Cancel what is still under way; after `settled` there is nothing."""
        left: list[asyncio.Future[Any]] = [*self._tasks, *self._greetings.values()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def guarded(
        self,
        kind: str,
        subject: str,
        vantage: Vantage | None,
        probe: Awaitable[object],
        within: float = PROBE_WITHIN,
    ) -> None:
        """Await a probe; whatever it did not expect becomes an observation of its kind.

        Outcomes: `no answer`, `connection lost`, `error`.
        """
        name = vantage.name if vantage else None
        try:
            async with asyncio.timeout(patient(within)):
                await probe
        except NoAnswerError as none:
            self.record(kind, subject, "no answer", name, **none.greeting.evidence())
        except (ConnectionError, ImapFailedError) as lost:
            self.record(kind, subject, "connection lost", name, error=str(lost) or repr(lost))
        except TimeoutError:
            why = f"not finished within {patient(within):g} s"
            self.record(kind, subject, "error", name, error=why)
        except Exception as surprise:  # one probe's surprise must neither be lost nor end others
            told = "".join(traceback.format_exception(surprise)[-3:])
            self.record(kind, subject, "error", name, error=repr(surprise), traceback=told)

    @asynccontextmanager
    async def timed(self, phase: str) -> AsyncIterator[None]:
        """Record how many seconds a phase took."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.record("seconds", phase, f"{time.monotonic() - began:.2f}")


@asynccontextmanager
async def running(site: Site) -> AsyncIterator[Run]:
    """A run; at its end everything that was started has ended, or is cancelled."""
    threads = ThreadPoolExecutor(THREADS, thread_name_prefix="probe")
    run = Run(site, threads)
    try:
        yield run
        await run.settled()
    finally:
        await run.abandon()
        # Not waited for in this thread: a session that ends may still need the loop.
        await asyncio.to_thread(threads.shutdown)
