"""The outside world of one machine: its DNS, its mail exchanger, and everybody's vantage points."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, get_args

from harness import addresses
from harness.loop import wait_for
from harness.outside import smart_host
from harness.outside.dns import Dns, outside_world
from harness.outside.sink import Sink
from harness.vantage import Family, Turns, Vantage

if TYPE_CHECKING:
    from harness.machines.base import BaseMachine
    from harness.machines.outside import Outside

DOMAIN = "outside.example"
"""The domain whose mail exchanger is the sink."""
EXCHANGER = f"mx.{DOMAIN}"

_FAMILIES: tuple[Family, ...] = get_args(Family)
_AF = {4: socket.AF_INET, 6: socket.AF_INET6}


class Place(Protocol):
    """What has an outside: a machine, or what is known of one from afar."""

    @property
    def address(self) -> Mapping[Family, str]:
        """The address that others reach it by, per family."""

    @property
    def outside(self) -> Outside:
        """The network that it is connected to."""


class World:
    """Serves a machine's outside for as long as the machine lives.

    Args:
        machine: already started, so that its outside exists.
        hostname: the mail server's own name.
        domain: the mail domain that it is responsible for.
        families: the IP versions that the machine has; only its addresses in them are in DNS.

    Attributes:
        dns: the name server, and what was asked of it.
        sink: the mail exchanger, and what arrived there.
        smart_host: the relay host for those who have a login there, and what arrived there.
    """

    def __init__(
        self,
        machine: Place,
        hostname: str,
        domain: str,
        families: Sequence[Family] = _FAMILIES,
    ) -> None:
        self._outside = machine.outside
        self.sink = Sink(hostname=EXCHANGER)
        self.smart_host = smart_host.smart_host()
        self.dns = Dns(
            outside_world(
                hostname=hostname,
                domain=domain,
                addresses=[machine.address[family] for family in families],
                outside_domains=[DOMAIN],
                sink_hostname=EXCHANGER,
                sink_addresses=[addresses.EXCHANGER[family] for family in _FAMILIES],
                clients={
                    client.addresses[family]: f"{client.place.replace('_', '-')}.{DOMAIN}"
                    for client in addresses.CLIENTS
                    for family in _FAMILIES
                },
                hosts={smart_host.HOSTNAME: list(addresses.SMART_HOST.values())},
            )
        )

    def open(self) -> None:
        """Begin to answer.

        Raises:
            OSError: the outside has not the addresses that it should have.
        """
        outside = self._outside
        names = [
            outside.open_socket(_AF[f], kind, (addresses.DNS[f], 53), kind == socket.SOCK_STREAM)
            for f in _FAMILIES
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM)
        ]
        mail, relay = (
            [
                outside.open_socket(_AF[f], socket.SOCK_STREAM, (at[f], port), True)
                for f in _FAMILIES
            ]
            for at, port in (
                (addresses.EXCHANGER, 25),
                (addresses.SMART_HOST, smart_host.PORT),
            )
        )
        wait_for(self.dns.serve(*names))
        wait_for(self.sink.serve(*mail))
        wait_for(self.smart_host.serve(*relay))

    def close(self) -> None:
        """Stop answering."""
        wait_for(self.smart_host.close())
        wait_for(self.sink.close())
        wait_for(self.dns.close())


def vantages(
    machine: BaseMachine, families: Sequence[Family], turns: Turns | None
) -> list[Vantage]:
    """Every place to connect to a machine from, outside and inside.

    Args:
        machine: running.
        families: the IP versions that the machine has.
        turns: given where what forwards the ports cannot take several clients at once.
    """
    outside = [
        Vantage(
            f"{client.place}_v{family}",
            client.place,
            family,
            machine.address[family],
            client.addresses[family],
            machine.outside,
            turns=turns,
        )
        for client in addresses.CLIENTS
        for family in families
    ]
    return outside + [
        Vantage(
            f"{place}_v{family}", place, family, target[family], None, machine.shell, turns=turns
        )
        for place, target in (("localhost", addresses.LOCALHOST), ("self", machine.address))
        for family in families
    ]
