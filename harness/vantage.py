"""Where a connection is made from.

A vantage opens sockets; every probe takes a vantage and does not care which. The two makers of
sockets are a network namespace (outside) and an SSH connection into the machine (inside).
"""

from __future__ import annotations

import asyncio
import socket
from collections import defaultdict
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import Literal, Protocol

Family = Literal[4, 6]

GREETED_WITHIN = 0.05
"""Seconds for which the next connection waits for the last one to be greeted."""


class Connector(Protocol):
    """Opens TCP connections from one place."""

    async def connect(self, host: str, port: int, source: str | None) -> socket.socket:
        """Return a connected, non-blocking stream socket.

        Args:
            host: the address to connect to (a literal, never a name).
            port: the TCP port.
            source: the address to connect from, or None for the place's own choice.

        Raises:
            OSError: as the place's kernel said it (`ConnectionRefusedError`, `EHOSTUNREACH`, …).
        """


Turns = defaultdict[int, asyncio.Lock]
"""For each port, what is held while a connection to it is opened; shared by a site's vantages.

slirp4netns listens with a backlog of one (seen: TcpExtListenOverflows). Of several clients at once
it leaves some connected to nothing, until the kernel tries again after 1, 3, 7 … s: no way to
treat a mail server's clients, but it would hide what the connections are made for.
"""


@dataclass(frozen=True, slots=True)
class Vantage:
    """A place to connect from, and the address of the mail host as seen from there.

    Attributes:
        name: `PLACE_vFAMILY`, for example `outside_lan_a_v4` or `localhost_v6`.
        place: the name without the family.
        family: 4 or 6.
        target: the address that a client there connects to.
        source: the address that the client has, or None where the machine chooses it.
        connector: what opens the socket.
        ports: the machine's port → the one to connect to, where the target is not the machine.
        turns: given where what forwards the ports cannot take several clients at once.
    """

    name: str
    place: str
    family: Family
    target: str
    source: str | None
    connector: Connector
    ports: Mapping[int, int] | None = None
    turns: Turns | None = None

    def leads_to(self, port: int) -> bool:
        """Whether a port of the machine has a counterpart on the target."""
        return self.ports is None or port in self.ports

    @property
    def is_outside(self) -> bool:
        """Whether the client is on another computer, as the mail server should see it."""
        return self.place.startswith("outside")

    async def connect(self, port: int, within: float = 10.0) -> socket.socket:
        """Open a connection to `port` of the mail host.

        Raises:
            TimeoutError: nothing answered within `within` seconds.
            OSError: the connection was refused or there is no way to the host.
        """
        there = port if self.ports is None else self.ports[port]
        # The wait for one's turn says nothing about the mail host.
        async with self.turns[there] if self.turns is not None else nullcontext():
            async with asyncio.timeout(within):
                sock = await self.connector.connect(self.target, there, self.source)
            if self.turns is not None:
                # Whoever was greeted was accepted. Behind implicit TLS the client speaks first.
                with suppress(TimeoutError):
                    async with asyncio.timeout(GREETED_WITHIN):
                        await _readable(sock)
        return sock


async def _readable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    there = loop.create_future()
    loop.add_reader(sock, there.cancel)
    try:
        await asyncio.wait([there])
    finally:
        loop.remove_reader(sock)
