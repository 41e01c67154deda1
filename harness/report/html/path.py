"""A deployment's network path, hop by hop, with the addresses that were observed there.

Only the two ends see a client's address: the client itself, and Postfix in its log. Between them
it is known what listens on the machine's port and which address the container has; firewalld is
asked for nothing. What was not observed is said to be so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from harness.addresses import INSIDE, PEERS
from harness.report.html.facts import Deployed, by_place
from harness.report.seen import named

UNKNOWN = "not observed"
MOST_LISTED = 3
"""Addresses of one lane that are drawn."""
LONGEST = 26
"""Characters that fit into a hop."""
LINE, PADDING, GAP, TOP = 17, 12, 10, 66
"""Pixels: a line of text, the space around a lane's lines, between lanes, above the first."""
LISTENS = re.compile(r"^LISTEN\s+\d+\s+\d+\s+(\S+)")
FATES = {
    "kept": "the client's own address arrives",
    "machine": "an address of the machine's own arrives",
    "replaced": "another address takes the client's place",
    "uncompared": "the client's own address is not noted",
    "unlogged": "what Postfix takes these clients for was not seen",
}
"""What becomes of a client's address: a word for programs, and words for people."""


@dataclass(frozen=True, slots=True)
class Lane:
    """Clients that the mail server takes for the same sort of client.

    Attributes:
        who: `outside IPv4`.
        clients: their addresses.
        target: what they connect to.
        local: the container's own address on these connections.
        logged: what Postfix logs.
        through: whether it goes by the machine's port, and what listens there.
        fate: what becomes of the client's address, a key of `FATES`.
        top: where the lane begins, in pixels.
        height: its height, in pixels.
    """

    who: str
    clients: Sequence[str]
    target: str
    local: str
    logged: Sequence[str]
    through: bool
    fate: str
    top: int
    height: int

    @property
    def middle(self) -> float:
        """Where its arrow is."""
        return self.top + self.height / 2

    @property
    def result(self) -> str:
        """What becomes of the client's address, in words."""
        return FATES[self.fate]

    @property
    def said(self) -> str:
        """The whole lane in words, for who does not see the picture."""
        return (
            f"{self.who} ({', '.join(self.clients)}) connects to {self.target}; the container's"
            f" address is {self.local}; Postfix logs {', '.join(self.logged)}: {self.result}"
        )


@dataclass(frozen=True, slots=True)
class Path:
    """The way from clients to Postfix.

    Attributes:
        forwarder: the process that listens on the machine's port, or that nothing does.
        listens: on which address and port.
        container: podman's network mode.
        networks: Postfix's `mynetworks`.
        lanes: the clients, from outside to inside.
    """

    forwarder: str
    listens: str
    container: str
    networks: str
    lanes: Sequence[Lane]

    @property
    def height(self) -> int:
        """The picture's height, in pixels."""
        last = self.lanes[-1]
        return last.top + last.height + GAP

    @property
    def fates(self) -> dict[str, str]:
        """What becomes of the clients' addresses: of `FATES`, those that occur."""
        occurring = {lane.fate for lane in self.lanes}
        return {fate: text for fate, text in FATES.items() if fate in occurring}

    @property
    def said(self) -> str:
        """Everything in words."""
        return (
            f"firewalld: {UNKNOWN}. Forwarder: {self.forwarder}, listens on {self.listens}."
            f" Container: network mode {self.container}. Postfix trusts {self.networks}. "
            + ". ".join(lane.said for lane in self.lanes)
        )


def path_of(deployed: Deployed) -> Path | None:
    """The path of a deployment; None where no client's address was looked for."""
    lanes = _lanes(deployed)
    if not lanes:
        return None
    forwarder = deployed.latest("forwarder")
    listening = LISTENS.match(str(forwarder["evidence"].get("line", ""))) if forwarder else None
    process = forwarder["outcome"] if forwarder else UNKNOWN
    return Path(
        "no process listens" if process == "nothing" else process,
        listening.group(1) if listening else UNKNOWN,
        _outcome(deployed, "container", "network mode"),
        _outcome(deployed, "mail server", "mynetworks"),
        lanes,
    )


def cut(text: str, longest: int = LONGEST) -> str:
    """A text that fits."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _outcome(deployed: Deployed, kind: str, subject: str) -> str:
    latest = deployed.latest(kind, subject)
    return UNKNOWN if latest is None or latest["outcome"] == "error" else str(latest["outcome"])


def _lanes(deployed: Deployed) -> list[Lane]:
    facts = {str(f["vantage"]): f for f in deployed.of("client_address", "smtp")}
    local = {
        str(fact["vantage"]): str(fact["evidence"]["local"])
        for fact in deployed.of("client_address")
        if fact["evidence"].get("local")
    }
    groups: dict[tuple[str, str, str], list[str]] = {}
    for vantage in sorted(facts, key=by_place):
        place, _, family = vantage.rpartition("_v")
        name = named(str(facts[vantage]["outcome"]), place, family)
        groups.setdefault((place.partition("_")[0], family, name), []).append(vantage)
    lanes = []
    top = TOP
    for (place, family, name), vantages in groups.items():
        evidence = [facts[vantage]["evidence"] for vantage in vantages]
        clients = [str(each.get("source") or "address not noted") for each in evidence]
        logged = [str(facts[vantage]["outcome"]) for vantage in vantages]
        clients, logged = _listed(clients), _listed(logged)
        height = (max(len(clients), len(logged)) + 1) * LINE + 2 * PADDING
        lanes.append(
            Lane(
                f"{place} IPv{family}",
                clients,
                _one([str(each.get("target") or UNKNOWN) for each in evidence]),
                _one([local[vantage] for vantage in vantages if vantage in local]),
                logged,
                place not in PEERS,
                _fate(place, name),
                top,
                height,
            )
        )
        top += height + GAP
    return lanes


def _fate(place: str, name: str) -> str:
    """What an address is for clients of a place, by its name (see `terminal.named`)."""
    if name == "–":
        return "unlogged"
    if place == "outside":
        return "kept" if name == "own" else "replaced"
    if place in INSIDE:
        return "machine" if name in ("machine", "link-local") else "replaced"
    return "uncompared"


def _one(values: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(values)) or UNKNOWN


def _listed(values: Sequence[str]) -> list[str]:
    different = list(dict.fromkeys(values))
    if len(different) > MOST_LISTED:
        return [*different[: MOST_LISTED - 1], f"and {len(different) - MOST_LISTED + 1} more"]
    return different
