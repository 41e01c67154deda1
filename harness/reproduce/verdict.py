"""Holds a reporter's claims against observations; nothing else decides."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from harness.addresses import vantages_of
from harness.observations import Observation
from harness.reproduce.claim import Claim
from harness.vantage import Family

Answer = Literal["reproduced", "not reproduced", "not comparable"]
STATUS: Final[dict[Answer, int]] = {"reproduced": 0, "not reproduced": 1, "not comparable": 3}
"""The exit status for each answer; 2 is an error's."""
PLAIN: Final = ("external-to-external", "internal-to-external")
"""The relay forms that a stranger would try first; others are the harness's own invention."""
SHOWN: Final = 6
"""Observations that a reader is shown for a claim."""


@dataclass(frozen=True, slots=True)
class Held:
    """A claim, held against what was seen.

    Attributes:
        claim: the claim.
        seen: True, False, or None where nothing conclusive was seen.
        what: what was seen instead, or as well, in words.
        evidence: the observations that decided.
    """

    claim: Claim
    seen: bool | None
    what: str
    evidence: Sequence[Observation] = ()


@dataclass(slots=True)
class Outcome:
    """What was seen of a deployment.

    Attributes:
        observations: all of them.
        failure: why the mail server did not come up, or nothing.
        logs: file name → text, of the evidence.
        container: the addresses of the container.
        gateway: of the container's network, or nothing.
    """

    observations: Sequence[Observation] = ()
    failure: str = ""
    logs: dict[str, str] = field(default_factory=dict)
    container: Sequence[str] = ()
    gateway: Sequence[str] = ()

    def find(self, kind: str, subject: str = "", where: str = "") -> list[Observation]:
        """Observations of a kind, a subject and some vantages."""
        places = vantages_of(where) if where else ()
        return [
            one
            for one in self.observations
            if one.kind == kind
            and (not subject or one.subject == subject)
            and (not where or one.vantage in places)
        ]


def hold(claim: Claim, outcome: Outcome) -> Held:
    """Hold one claim against what was seen."""
    if claim.kind == "start":
        return _start(claim, outcome)
    if claim.kind == "log":
        return _log(claim, outcome)
    if outcome.failure:
        return Held(claim, None, "the mail server did not come up, so that nobody could look")
    match claim.kind:
        case "relay":
            return _relay(claim, outcome)
        case "client address":
            return _address(claim, outcome)
        case "port":
            tried = outcome.find("port", claim.subject, claim.where)
            return _all(claim, tried, [one.outcome == claim.is_ for one in tried])
        case "login":
            tried = outcome.find("login", f"{claim.subject} good password")
            return _works(claim, tried, ("accepted",), ("refused", "no answer"))
        case "delivery":
            tried = outcome.find("delivery", "outside to mailbox")
            bad = ("refused", "accepted, not arrived", "no answer")
            return _works(claim, tried, ("unchanged", "changed"), bad)
    tried = outcome.find("outgoing")
    bad = ("refused", "accepted, not arrived", "no answer")
    return _works(claim, tried, ("unchanged", "changed"), bad)


def _start(claim: Claim, outcome: Outcome) -> Held:
    said = outcome.failure
    if claim.yes:
        return Held(claim, not said, "it does not come up" if said else "it comes up")
    if not said:
        return Held(claim, False, "it comes up")
    if not claim.is_:
        return Held(claim, True, "it does not come up")
    there = [name for name, text in {"": said, **outcome.logs}.items() if claim.is_ in text]
    if there:
        return Held(claim, True, f"it does not come up, and says: {claim.is_}")
    # Another reason than the reporter's says nothing about the reporter's.
    return Held(claim, None, f"it does not come up, and does not say: {claim.is_}")


def _log(claim: Claim, outcome: Outcome) -> Held:
    there = [name for name, text in outcome.logs.items() if claim.is_ in text]
    if there:
        return Held(claim, True, f"in {', '.join(there)}")
    if not any(outcome.logs.values()):
        return Held(claim, None, "there are no logs")
    return Held(claim, False, f"in none of {', '.join(sorted(outcome.logs))}")


def _relay(claim: Claim, outcome: Outcome) -> Held:
    tried = [one for one in outcome.find("relay", where=claim.where) if one.subject in PLAIN]
    relayed = [one for one in tried if one.outcome == "relayed"]
    if relayed:
        places = sorted({str(one.vantage) for one in relayed})
        what = f"a stranger's mail from {', '.join(places)} arrived outside"
        return Held(claim, claim.yes, what, relayed[:SHOWN])
    flows = any(
        one.outcome in ("unchanged", "changed")
        for one in [*outcome.find("outgoing"), *outcome.find("delivery", "outside to mailbox")]
    )
    if not tried or not all(one.outcome == "refused" for one in tried):
        return Held(claim, None, "not every attempt was refused for good", tried[:SHOWN])
    if not flows:
        return Held(claim, None, "refused; but no mail flows at all", tried[:SHOWN])
    what = f"refused from {claim.where}: {tried[0].evidence.get('code')} "
    return Held(claim, not claim.yes, what + str(tried[0].evidence.get("text", "")), tried[:SHOWN])


def _address(claim: Claim, outcome: Outcome) -> Held:
    tried = outcome.find("client_address", "smtp", claim.where)
    known: list[bool] = []
    usable: list[Observation] = []
    for one in tried:
        try:
            logged = ipaddress.ip_address(one.outcome.partition("%")[0])
        except ValueError:
            continue
        is_ = _is(claim, logged, one, outcome)
        if is_ is not None:
            usable.append(one)
            known.append(is_)
    return _all(claim, usable, known)


def _is(
    claim: Claim,
    logged: ipaddress.IPv4Address | ipaddress.IPv6Address,
    seen: Observation,
    outcome: Outcome,
) -> bool | None:
    from harness.addresses import CLIENTS, LOCALHOST, MACHINE

    family: Family = 4 if str(seen.vantage).endswith("4") else 6
    place = str(seen.vantage).rpartition("_v")[0]
    match claim.is_:
        case "container":
            return str(logged) in outcome.container if outcome.container else None
        case "gateway":
            return str(logged) in outcome.gateway if outcome.gateway else None
        case "machine":
            return str(logged) == MACHINE[family]
        case "own":
            own = {client.place: client.addresses[family] for client in CLIENTS}
            own |= {"localhost": LOCALHOST[family], "self": MACHINE[family]}
            return str(logged) == own.get(place)
    return logged in ipaddress.ip_network(claim.is_, strict=False)


def _all(claim: Claim, tried: Sequence[Observation], fits: Sequence[bool]) -> Held:
    if not tried:
        return Held(claim, None, "nothing of the sort was observed")
    what = ", ".join(sorted({f"{one.vantage}: {one.outcome}" for one in tried}))
    if all(fits) or not any(fits):
        return Held(claim, all(fits), what, tried[:SHOWN])
    return Held(claim, None, f"from some of the places only: {what}", tried[:SHOWN])


def _works(
    claim: Claim, tried: Sequence[Observation], good: Sequence[str], bad: Sequence[str]
) -> Held:
    if not tried:
        return Held(claim, None, "nothing of the sort was observed")
    what = ", ".join(sorted({f"{one.vantage or one.subject}: {one.outcome}" for one in tried}))
    if all(one.outcome in good for one in tried):
        return Held(claim, claim.yes, what, tried[:SHOWN])
    if all(one.outcome in bad for one in tried):
        return Held(claim, not claim.yes, what, tried[:SHOWN])
    return Held(claim, None, what, tried[:SHOWN])


def answer(held: Sequence[Held], refused: int) -> tuple[Answer, str]:
    """The answer, and the reason.

    Args:
        held: every claim.
        refused: how many of the things that the report asks for were refused: without them, what
            was not seen may only not have been there.
    """
    if not held:
        return "not comparable", "the report makes no claim that can be held against observations"
    if any(each.seen is False for each in held):
        if refused:
            return (
                "not comparable",
                f"it was not seen, but {refused} things that the report asks for were refused",
            )
        return "not reproduced", "what the report says was not seen"
    open_ones = [each for each in held if each.seen is None]
    if open_ones:
        return "not comparable", f"{open_ones[0].claim}: {open_ones[0].what}"
    unsaid = any(
        each.claim.kind == "start" and not each.claim.yes and not each.claim.is_ for each in held
    )
    if refused and unsaid:
        return (
            "not comparable",
            f"it does not come up, but {refused} things that the report asks for were refused",
        )
    return "reproduced", "everything that the report says was seen"
