"""The outside world of one machine: its DNS, its mail exchanger, and everybody's vantage points."""

from __future__ import annotations

import asyncio
import socket
from collections import defaultdict
from collections.abc import Sequence
from typing import get_args

from harness import addresses
from harness.loop import wait_for
from harness.machines.base import BaseMachine
from harness.outside.dns import Dns, outside_world
from harness.outside.sink import Sink
from harness.vantage import Connector, Family, OneAtATime, Turns, Vantage

DOMAIN = "outside.example"
"""The domain whose mail exchanger is the sink."""
EXCHANGER = f"mx.{DOMAIN}"

_FAMILIES: tuple[Family, ...] = get_args(Family)
_AF = {4: socket.AF_INET, 6: socket.AF_INET6}


class World:
    """Serves a machine's outside for as long as the machine lives.

    Args:
        machine: already started, so that its outside exists.
        hostname: the mail server's own name.
        domain: the mail domain that it is responsible for.

    Attributes:
        dns: the name server, and what was asked of it.
        sink: the mail exchanger, and what arrived there.
    """

    def __init__(self, machine: BaseMachine, hostname: str, domain: str) -> None:
        self.machine = machine
        self.sink = Sink(hostname=EXCHANGER)
        self.dns = Dns(
            outside_world(
                hostname=hostname,
                domain=domain,
                addresses=[machine.address[family] for family in _FAMILIES],
                outside_domains=[DOMAIN],
                sink_hostname=EXCHANGER,
                sink_addresses=[addresses.EXCHANGER[family] for family in _FAMILIES],
                clients={
                    client.addresses[family]: f"{client.place.replace('_', '-')}.{DOMAIN}"
                    for client in addresses.CLIENTS
                    for family in _FAMILIES
                },
            )
        )

    def open(self) -> None:
        """Begin to answer.

        Raises:
            OSError: the outside has not the addresses that it should have.
        """
        outside = self.machine.outside
        names = [
            outside.open_socket(_AF[f], kind, (addresses.DNS[f], 53), kind == socket.SOCK_STREAM)
            for f in _FAMILIES
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM)
        ]
        mail = [
            outside.open_socket(_AF[f], socket.SOCK_STREAM, (addresses.EXCHANGER[f], 25), True)
            for f in _FAMILIES
        ]
        wait_for(self.dns.serve(*names))
        wait_for(self.sink.serve(*mail))

    def close(self) -> None:
        """Stop answering."""
        wait_for(self.sink.close())
        wait_for(self.dns.close())

    def vantages(self, families: Sequence[Family], one_at_a_time: bool) -> list[Vantage]:
        """Every place to connect to the machine from, outside and inside.

        Args:
            families: the IP versions that the machine has.
            one_at_a_time: whether connections must not be opened at the same time.
        """
        outwards: Connector = self.machine.outside
        inwards: Connector = self.machine.shell
        if one_at_a_time:
            turns: Turns = defaultdict(asyncio.Lock)
            outwards, inwards = OneAtATime(outwards, turns), OneAtATime(inwards, turns)
        outside = [
            Vantage(
                f"{client.place}_v{family}",
                client.place,
                family,
                self.machine.address[family],
                client.addresses[family],
                outwards,
            )
            for client in addresses.CLIENTS
            for family in families
        ]
        return outside + [
            Vantage(f"{place}_v{family}", place, family, target[family], None, inwards)
            for place, target in (
                ("localhost", addresses.LOCALHOST),
                ("self", self.machine.address),
            )
            for family in families
        ]
