"""The addresses of every run: from the ranges for documentation, so that logs read alike.

They live in network namespaces that only the run can reach; any number of runs use them at once.

            the outside                                       the machine
    far, DNS, exchanger,
    smart host: 198.51.100.0/24 ────────── gateway ┐
    LAN clients: 203.0.113.51, .52 ────────────────┴── 203.0.113.0/25 ── 203.0.113.10

PERMIT_DOCKER=host trusts the /16 of the container's own address. Where that is the machine's, the
LAN clients are in it and the far client is not.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, get_args

from harness.vantage import Family

MACHINE: Final[Mapping[Family, str]] = {4: "203.0.113.10", 6: "2001:db8:0:1::10"}
PREFIX: Final[Mapping[Family, int]] = {4: 25, 6: 64}
GATEWAY: Final[Mapping[Family, str]] = {4: "203.0.113.1", 6: "2001:db8:0:1::1"}
DNS: Final[Mapping[Family, str]] = {4: "198.51.100.53", 6: "2001:db8:ffff::53"}
EXCHANGER: Final[Mapping[Family, str]] = {4: "198.51.100.25", 6: "2001:db8:ffff::25"}
SMART_HOST: Final[Mapping[Family, str]] = {4: "198.51.100.26", 6: "2001:db8:ffff::26"}
LOCALHOST: Final[Mapping[Family, str]] = {4: "127.0.0.1", 6: "::1"}
INTERFACE: Final = "enp1s0"

# A machine may have a second interface, on a network of its own that leads nowhere else.
SECOND: Final[Mapping[Family, str]] = {4: "192.0.2.10", 6: "2001:db8:0:2::10"}
SECOND_PREFIX: Final[Mapping[Family, int]] = {4: 24, 6: 64}
SECOND_NEIGHBOUR: Final[Mapping[Family, str]] = {4: "192.0.2.1", 6: "2001:db8:0:2::1"}


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


@dataclass(frozen=True, slots=True)
class Outside:
    """The addresses that belong to a machine's outside.

    Attributes:
        lan: on the machine's network, with prefix lengths; the gateway's first.
        far: what the machine reaches through the gateway.
        second_lan: on the machine's other network, where it has one, with prefix lengths.
    """

    lan: list[str]
    far: list[str]
    second_lan: list[str]


def outside_of(families: Sequence[Family]) -> Outside:
    """The outside of a machine that has these IP versions; what is far has both all the same."""
    every: tuple[Family, ...] = get_args(Family)
    near = [GATEWAY, *(client.addresses for client in CLIENTS if client.on_lan)]
    away = [DNS, EXCHANGER, SMART_HOST]
    away += [client.addresses for client in CLIENTS if not client.on_lan]
    return Outside(
        [f"{each[f]}/{PREFIX[f]}" for each in near for f in families],
        [each[f] for each in away for f in every],
        [f"{SECOND_NEIGHBOUR[f]}/{SECOND_PREFIX[f]}" for f in families],
    )


PEERS: Final = ("peer", "neighbour")
"""Containers on the machine: on the mail server's own network, and on another one."""
INSIDE: Final = ("localhost", "self")
"""The machine itself, by two addresses."""
PLACES: Final = (*(client.place for client in CLIENTS), *INSIDE, *PEERS)
"""Where connections come from."""
GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "outside": tuple(client.place for client in CLIENTS),
    "outside_lan": tuple(client.place for client in CLIENTS if client.on_lan),
    "inside": INSIDE,
    **{place: (place,) for place in PLACES},
}
"""Words that an expectation may use for one place or several, with or without `_v4` or `_v6`."""


def vantage_names(families: Sequence[Family] = (4, 6), peers: Sequence[str] = ()) -> list[str]:
    """The names of all vantages of a machine.

    Args:
        families: the IP versions that it has.
        peers: its containers that connect as well; podman's networks have IPv4 only.
    """
    places = [place for place in PLACES if place not in PEERS]
    names = [f"{place}_v{family}" for place in places for family in families]
    return names + [f"{peer}_v4" for peer in PEERS if peer in peers]


@cache  # asked thousands of times while tests are collected
def vantages_of(word: str) -> tuple[str, ...]:
    """The vantages that a word of an expectation stands for, whether a machine has them or not.

    Raises:
        ValueError: there is no such word; the text names the nearest ones.
    """
    group, _, family = word.rpartition("_v")
    families: tuple[Family, ...] = get_args(Family)
    if group and family in ("4", "6"):
        families = (4,) if family == "4" else (6,)
    else:
        group = word
    if group not in GROUPS:
        near = difflib.get_close_matches(group, GROUPS, 3, 0.4) or GROUPS
        raise ValueError(f"{word!r} is no vantage; {', '.join(near)} are, also with _v4 or _v6")
    return tuple(f"{place}_v{each}" for place in GROUPS[group] for each in families)
