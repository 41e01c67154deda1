"""The addresses of every run: from the ranges for documentation, so that logs read alike.

They live in network namespaces that only the run can reach; any number of runs use them at once.

            the outside                                       the machine
    far, DNS, exchanger: 198.51.100.0/24 ─ gateway ┐
    LAN clients: 203.0.113.51, .52 ────────────────┴── 203.0.113.0/25 ── 203.0.113.10

PERMIT_DOCKER=host trusts the /16 of the container's own address. Where that is the machine's, the
LAN clients are in it and the far client is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from harness.vantage import Family

MACHINE: Final[Mapping[Family, str]] = {4: "203.0.113.10", 6: "2001:db8:0:1::10"}
PREFIX: Final[Mapping[Family, int]] = {4: 25, 6: 64}
GATEWAY: Final[Mapping[Family, str]] = {4: "203.0.113.1", 6: "2001:db8:0:1::1"}
DNS: Final[Mapping[Family, str]] = {4: "198.51.100.53", 6: "2001:db8:ffff::53"}
EXCHANGER: Final[Mapping[Family, str]] = {4: "198.51.100.25", 6: "2001:db8:ffff::25"}
LOCALHOST: Final[Mapping[Family, str]] = {4: "127.0.0.1", 6: "::1"}
INTERFACE: Final = "enp1s0"


@dataclass(frozen=True, slots=True)
class Client:
    """A computer outside: its place's name, its addresses, and whether the machine's LAN is its."""

    place: str
    addresses: Mapping[Family, str]
    on_lan: bool


CLIENTS: Final = (
    Client("outside_lan_a", {4: "203.0.113.51", 6: "2001:db8:0:1::51"}, on_lan=True),
    Client("outside_lan_b", {4: "203.0.113.52", 6: "2001:db8:0:1::52"}, on_lan=True),
    Client("outside_far", {4: "198.51.100.7", 6: "2001:db8:ffff::7"}, on_lan=False),
)


def vantage_names() -> list[str]:
    """The names of all vantages: every client outside, and the machine itself by two addresses."""
    places = [client.place for client in CLIENTS] + ["localhost", "self"]
    return [f"{place}_v{family}" for place in places for family in MACHINE]
