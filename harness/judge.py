"""From observations to verdicts: what a mail administrator expects, held against what was seen.

Every function returns quietly where the expectation is met and raises `AssertionError` where it
is not, or where nothing conclusive was seen. The message says what was expected, what was seen
with the evidence, and why it matters.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from harness.observations import Observation, Observations

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

CLOSED = frozenset({"refused", "timeout", "unreachable"})
BEHIND_NOTHING = frozenset({"closed without a word"})
LOST = {
    "changed": "Signatures and attachments break.",
    "deferred": "Mail is held back: its senders try again, for days, and then give up.",
    "refused": "Mail is lost.",
    "accepted, not arrived": "Mail is lost, or stays in the queue.",
}


def fail(expected: str, seen: Observation | list[Observation] | str, why: str) -> NoReturn:
    """Say what was expected, what was seen, and why it matters.

    Raises:
        AssertionError: always.
    """
    shown = (
        seen if isinstance(seen, str) else _shown(seen) if isinstance(seen, list) else _one(seen)
    )
    raise AssertionError(f"expected: {expected}\nseen: {shown}\nwhy it matters: {why}")


def _shown(seen: list[Observation]) -> str:
    """Up to ten observations; the log lines of the first stand for those of the others."""
    shown = [_one(one, lines=not number) for number, one in enumerate(seen[:10])]
    return "".join(f"\n  - {one}" for one in shown) + (
        f"\n  … and {len(seen) - 10} more" if len(seen) > 10 else ""
    )


def _one(seen: Observation, *, lines: bool = True) -> str:
    """An observation with its lists, of log lines or replies, one entry a line."""
    lists = {key: value for key, value in seen.evidence.items() if isinstance(value, list)}
    told = {
        key: value
        for key, value in seen.evidence.items()
        if key not in lists and value not in (None, "")
    }
    entries = [(key, str(entry)) for key in lists if lines for entry in lists[key]]
    return str(replace(seen, evidence=told)) + "".join(
        f"\n      {key}: " + entry.replace("\n", " / ") for key, entry in entries
    )


# Ports


def port_answers(observations: Observations, vantage: str, port: int) -> None:
    """Hold that the service behind a port speaks; an open port alone is a forwarder's doing."""
    seen = observations.one("port", str(port), vantage)
    if seen.outcome != "answers":
        fail(
            f"the service on port {port} greets a client from {vantage}",
            seen,
            "Mail cannot come in, or users cannot log in, over this port.",
        )


def port_is_unanswered(observations: Observations, vantage: str, port: int, outcome: str) -> None:
    """Hold that clients of a vantage do not get through to a published port, in the known way."""
    seen = observations.one("port", str(port), vantage)
    if seen.outcome != outcome:
        fail(
            f"a client from {vantage} does not get through to port {port}: {outcome}",
            seen,
            "The scenario says from where the mail server cannot be reached; somebody relies on it."
            if seen.outcome == "answers"
            else "It is not reached for another reason than the known one.",
        )


def port_is_closed(observations: Observations, vantage: str, port: int) -> None:
    """Hold that nothing can be reached on a port: no TCP connection, or one that ends wordless."""
    seen = observations.one("port", str(port), vantage)
    if seen.outcome not in CLOSED | BEHIND_NOTHING:
        fail(
            f"nothing answers on port {port} from {vantage}",
            seen,
            "What is not meant to be published can be attacked.",
        )


def certificate_verifies(observations: Observations, vantage: str, service: str) -> None:
    """Hold that TLS works and the certificate is the server's own."""
    seen = observations.one("tls", service, vantage)
    if seen.outcome != "verified":
        fail(
            f"TLS on {service} with a certificate that verifies for the server's name",
            seen,
            "Mail clients refuse or warn; passwords could go to somebody else."
            if seen.outcome == "certificate not verified"
            else "Inconclusive: the certificate itself was not seen.",
        )


# Logins


def plaintext_auth_refused(observations: Observations, vantage: str, service: str) -> None:
    """Hold that no login is offered without TLS, and none taken when tried all the same."""
    seen = observations.one("plaintext auth", service, vantage)
    if seen.outcome != "refused":
        fail(
            f"no login on {service} without TLS, neither offered nor taken",
            seen,
            "Passwords would cross the network in clear text."
            if seen.outcome in ("offered", "accepted")
            else "Inconclusive: the server was not seen to refuse it.",
        )


def plaintext_auth_taken(observations: Observations, vantage: str, service: str) -> None:
    """Hold that a password is judged that came without TLS: a hole that is expected."""
    seen = observations.one("plaintext auth", service, vantage)
    if seen.outcome != "accepted":
        fail(
            f"{service} takes passwords from {vantage} without TLS (the expected hole)",
            seen,
            "The scenario documents a hole that was not seen: it may have been closed, or the "
            "attempt failed otherwise.",
        )


def login_works(observations: Observations, vantage: str, service: str) -> None:
    """Hold that the right password opens the mailbox."""
    seen = observations.one("login", f"{service} good password", vantage)
    if seen.outcome != "accepted":
        fail(f"a login on {service} with the right password", seen, "Users cannot get in.")


def bad_login_refused(observations: Observations, vantage: str, service: str) -> None:
    """Hold that a wrong password is refused, for good and not by an accident."""
    seen = observations.one("login", f"{service} bad password", vantage)
    if seen.outcome != "refused":
        accepted = seen.outcome == "accepted"
        fail(
            f"a wrong password is refused on {service}",
            seen,
            "Anybody gets in." if accepted else "Inconclusive: no refusal for good was seen.",
        )


# Mail flow


def delivered_unchanged(observations: Observations, vantage: str, subject: str) -> None:
    """Hold that a message reached the mailbox byte for byte (`outside to mailbox`, …)."""
    seen = observations.one("delivery", subject, vantage)
    if seen.outcome != "unchanged":
        fail(
            f"mail ({subject}) is delivered with its headers and body unchanged",
            seen,
            LOST.get(seen.outcome, "Inconclusive: what became of the mail was not seen."),
        )


def submitted_to_outside(observations: Observations, vantage: str, service: str) -> None:
    """Hold that what a logged-in user submits reaches the outside, unchanged."""
    seen = observations.one("outgoing", service, vantage)
    if seen.outcome != "unchanged":
        fail(
            f"mail submitted on {service} arrives at the outside's mail exchanger, unchanged",
            seen,
            "Users cannot send mail." if seen.outcome != "changed" else "Signatures break.",
        )


def unknown_recipient_refused(observations: Observations, vantage: str) -> None:
    """Hold that a recipient who does not exist is refused at once, with a 5xx."""
    seen = observations.one("unknown recipient", "smtp", vantage)
    if seen.outcome != "refused":
        fail(
            "an unknown recipient is refused with 5xx while the sender is connected",
            seen,
            "The server would send bounces to forged senders (backscatter), or hold mail back.",
        )


def vrfy_discloses_nothing(observations: Observations, vantage: str) -> None:
    """Hold that VRFY does not confirm addresses: neither 250 nor 251."""
    seen = observations.one("command", "VRFY", vantage)
    if seen.outcome in ("250", "251") or not seen.outcome.isdigit():
        fail("VRFY confirms no address", seen, "Spammers could collect addresses.")


# The client's address


def client_address_is(
    observations: Observations,
    vantage: str,
    service: str,
    allowed: Collection[str | Network],
) -> None:
    """Hold that the server logged one of the allowed addresses for clients of a vantage.

    Args:
        observations: what was seen.
        vantage: the vantage's name.
        service: `smtp`, `submission`, `imaps`, …
        allowed: addresses, or networks in CIDR notation or as objects.
    """
    seen = observations.one("client_address", service, vantage)
    networks = [ipaddress.ip_network(one) for one in allowed]
    # A link-local address may carry the interface's name.
    address = _address(seen.outcome.partition("%")[0])
    if address is None:
        fail(
            f"the server logs the address of a client from {vantage} on {service}",
            seen,
            "Inconclusive: nothing can be said about relay control and bans.",
        )
    if not any(address in network for network in networks):
        fail(
            f"the client's address on {service} is in {', '.join(map(str, networks))}",
            seen,
            "Postfix trusts by address (mynetworks), SPF and fail2ban judge by address: with a "
            "wrong one the server may relay for anybody, or ban everybody.",
        )


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
