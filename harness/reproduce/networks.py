"""A container's network mode, as compose, Quadlet and `podman run` write it."""

from __future__ import annotations

import re
from typing import Final

from harness.reproduce.allowed import NAME
from harness.reproduce.model import Net
from harness.reproduce.notes import Notes

INTERFACE: Final = re.compile(r"[a-z][a-z0-9]{1,14}")
_SLIRP: Final = re.compile(
    r"port_handler=(rootlesskit|slirp4netns)|enable_ipv6=(true|false)|mtu=[0-9]{3,5}"
    r"|cidr=[0-9./]{7,18}|allow_host_loopback=(true|false)"
)
_PASTA: Final = re.compile(
    r"--ns-ifname|--ipv4-only|--ipv6-only|-4|-6|--mtu|-m|-I|--map-gw|--no-map-gw|--no-tcp|--no-udp"
    r"|--no-dhcp|--no-dhcpv6|--no-ndp|--no-ra|[a-z][a-z0-9]{1,14}|[0-9]{3,5}"
)
_ELSEWHERE: Final = {
    "host": "the container would share the machine's own network, in which the harness's SSH "
    "server is and nothing is published; no scenario shows that",
    "none": "a mail server without a network answers nobody",
    "container": "it shares the network of another container, which is not deployed",
    "service": "it shares the network of another service, which is not deployed",
    "ns": "it joins a network namespace of the reporter's host",
    "private": "no scenario has it",
}
_DRIVERS: Final = ("macvlan", "ipvlan", "overlay")


def take_mode(net: Net, notes: Notes, text: str, where: str) -> None:
    """Take in a network mode, with its options, or a network's name.

    What no machine here can show is said, as that which decides.
    """
    kind, _, options = text.strip().partition(":")
    words = tuple(one.strip() for one in options.split(",") if one.strip())
    match kind:
        case "slirp4netns":
            net.kind, net.options = "slirp4netns", _known(words, _SLIRP, notes, text, where)
        case "pasta":
            net.kind, net.options = "pasta", _known(words, _PASTA, notes, text, where)
        case "bridge" | "default" | "":
            net.kind = "bridge"
            if words:
                notes.add("left out", f"{where}: {text}", "a bridge's options")
        case _ if kind in _ELSEWHERE:
            notes.add("unmatched", f"{where}: {text}", _ELSEWHERE[kind], decides=True)
        case _ if NAME.fullmatch(kind):
            if net.name and net.name != kind:
                notes.add("left out", f"{where}: {text}", f"a second network beside {net.name}")
                return
            net.kind, net.name = "bridge", kind
            if words:
                notes.add("left out", f"{where}: {text}", "options of the network's attachment")
        case _:
            notes.add("refused", f"{where}: {text}", "no network", decides=True)


def take_driver(net: Net, notes: Notes, driver: str, where: str) -> None:
    """Take in the driver of a network that the report defines."""
    if driver in ("", "bridge", "default"):
        return
    why = (
        "the container would be on the network of the host's interface"
        if driver in _DRIVERS
        else "no driver of podman's that is known here"
    )
    notes.add("unmatched", f"{where}: {driver}", why, decides=True)


def _known(
    words: tuple[str, ...], known: re.Pattern[str], notes: Notes, text: str, where: str
) -> tuple[str, ...]:
    kept = []
    for word in words:
        if known.fullmatch(word):
            kept.append(word)
        else:
            notes.add("refused", f"{where}: {text}: {word}", "an option that is not known here")
    return tuple(kept)
