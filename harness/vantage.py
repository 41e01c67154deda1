"""Where a connection is made from.

A vantage opens sockets; every probe takes a vantage and does not care which. The two makers of
sockets are a network namespace (outside) and an SSH connection into the machine (inside).
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from typing import Literal, Protocol

Family = Literal[4, 6]


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
    """

    name: str
    place: str
    family: Family
    target: str
    source: str | None
    connector: Connector

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
        async with asyncio.timeout(within):
            return await self.connector.connect(self.target, port, self.source)
