"""First contact with a port: whether it opens, and whether the service behind it speaks.

An open port of a user-space forwarder proves nothing: rootlessport, slirp4netns and pasta accept
before the mail server is up. Only the protocol's own greeting counts.
"""

from __future__ import annotations

import asyncio
import errno
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.patience import patient

if TYPE_CHECKING:
    import ssl

    from harness.observations import Json
    from harness.site import Service
    from harness.vantage import Vantage

CONNECT_WITHIN = 10.0
"""Seconds for the TCP handshake. Longer than a lost SYN's first retransmissions."""
GREETING_WITHIN = {"smtp": 30.0}
"""Seconds for the whole greeting. postscreen waits 6 s on first contact, more under DNSBL tests."""
GREETING_WITHIN_DEFAULT = 20.0
UNPUBLISHED_WITHIN = 1.0
"""Seconds to listen for a greeting on a port that should not be open at all."""

IMPLICIT_TLS = frozenset({"submissions", "imaps"})
_GOODBYE = {"imap": b"z LOGOUT\r\n", "imaps": b"z LOGOUT\r\n"}


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a port did when it was connected to.

    Attributes:
        outcome: `answers`, `refused`, `timeout` (no TCP handshake), `unreachable`, `open` (a port
            where nothing should be stays open or speaks), `silent` (open, says nothing),
            `closed without a word`, `TLS failed`, `greeting not finished`,
            `unexpected greeting`, `not published`.
        lines: the greeting's lines as they came.
        connected: seconds until the TCP connection stood.
        first: seconds from then until the first line.
        complete: seconds from then until the last line; on port 25, postscreen's wait.
        error: what the operating system or the TLS library said.
    """

    outcome: str
    lines: tuple[str, ...] = ()
    connected: float | None = None
    first: float | None = None
    complete: float | None = None
    error: str = ""

    def evidence(self) -> dict[str, Json]:
        """The details, without those that are missing."""
        details: dict[str, Json] = {
            "greeting": list(self.lines) or None,
            "connected": _rounded(self.connected),
            "first": _rounded(self.first),
            "complete": _rounded(self.complete),
            "error": self.error or None,
        }
        return {key: value for key, value in details.items() if value is not None}


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


async def greet(
    vantage: Vantage,
    port: int,
    service: Service | None,
    context: ssl.SSLContext,
    hostname: str,
) -> Greeting:
    """Connect, read the whole greeting, take leave.

    Args:
        vantage: from where.
        port: the machine's port.
        service: what should answer, or None where nothing should.
        context: for the ports with implicit TLS.
        hostname: the name to ask for in the TLS handshake.
    """
    began = time.monotonic()
    try:
        sock = await vantage.connect(port, patient(CONNECT_WITHIN))
    except TimeoutError as error:
        return Greeting("timeout", error=str(error))
    except OSError as error:
        # asyncio's own text does not say why.
        why = os.strerror(error.errno) if error.errno else str(error)
        return Greeting(_unconnected(error), error=why)
    connected = time.monotonic() - began
    tls = context if service in IMPLICIT_TLS else None
    within = GREETING_WITHIN.get(service or "", GREETING_WITHIN_DEFAULT)
    began = time.monotonic()
    try:
        async with asyncio.timeout(patient(within if service else UNPUBLISHED_WITHIN)):
            reader, writer = await asyncio.open_connection(
                sock=sock, ssl=tls, server_hostname=hostname if tls else None
            )
    except TimeoutError:
        sock.close()
        return Greeting("silent", connected=connected, error="no TLS handshake")
    except (OSError, EOFError) as error:  # ssl.SSLError is an OSError
        sock.close()
        empty = isinstance(error, ConnectionError | EOFError)
        outcome = "closed without a word" if empty else "TLS failed"
        return Greeting(outcome, connected=connected, error=str(error))
    lines: list[str] = []
    times: list[float] = []
    error_text = ""
    try:
        async with asyncio.timeout(patient(within if service else UNPUBLISHED_WITHIN)):
            while line := await reader.readline():
                times.append(time.monotonic() - began)
                lines.append(line.decode(errors="replace").rstrip("\r\n"))
                if not line.startswith(b"220-"):
                    break
    except TimeoutError:
        error_text = "no complete greeting in time"
    except (OSError, ValueError) as error:
        error_text = str(error)
    finally:
        # Said so that the server's log shows a client that left, not one that broke off.
        with suppress(OSError):
            if lines:
                writer.write(_GOODBYE.get(service or "", b"QUIT\r\n"))
                await writer.drain()
        writer.close()
    return Greeting(
        _outcome(service, lines, error_text),
        tuple(lines),
        connected,
        times[0] if times else None,
        times[-1] if times else None,
        error_text,
    )


def _unconnected(error: OSError) -> str:
    if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EACCES):
        return "unreachable"
    return "timeout" if error.errno == errno.ETIMEDOUT else "refused"


def _outcome(service: Service | None, lines: list[str], error: str) -> str:
    if service is None and (lines or error):
        return "open"
    if not lines:
        return "silent" if error.startswith("no complete") else "closed without a word"
    if lines[-1].startswith("220-"):
        return "greeting not finished"
    wanted = "* OK" if service in ("imap", "imaps") else "220 "
    return "answers" if lines[-1].startswith(wanted) else "unexpected greeting"
