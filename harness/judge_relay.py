"""Whether a mail server relays for strangers, from observations to a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.judge import fail

if TYPE_CHECKING:
    from harness.observations import Observation, Observations

PLAIN_FORM = "external-to-external"
"""The relay form that must be answered with exactly `554 5.7.1` (see `probes.relay_forms`)."""
CORE_FORMS = (PLAIN_FORM, "internal-to-external")
CONTROLS = "Without the positive controls a refusal may only mean that no mail flows at all."


def positive_controls(observations: Observations) -> None:
    """Hold that mail flows: from outside to a mailbox, and from a logged-in user to the outside."""
    incoming = [
        seen
        for seen in observations.find("delivery", "outside to mailbox")
        if seen.outcome in ("unchanged", "changed")
    ]
    outgoing = [
        seen for seen in observations.find("outgoing") if seen.outcome in ("unchanged", "changed")
    ]
    if not incoming:
        fail(
            "mail from outside is delivered to a mailbox",
            observations.find("delivery", "outside to mailbox") or "nothing",
            f"Inconclusive. {CONTROLS}",
        )
    if not outgoing:
        fail(
            "mail that a logged-in user submits arrives outside",
            observations.find("outgoing") or "nothing",
            f"Inconclusive. {CONTROLS}",
        )


def no_relay(observations: Observations, vantage: str) -> None:
    """Hold that no stranger's mail is relayed from a vantage.

    Every form that was tried must have been refused with 5xx, the plain one on port 25 with
    exactly `554 5.7.1`; or taken for a local recipient, where the form can be that. A 4xx, a lost
    connection, an error or a form that was not tried is inconclusive, and never passes.
    """
    tried = observations.find("relay", vantage=vantage)
    relayed = [one for one in tried if one.outcome == "relayed"]
    relayed.sort(key=lambda one: one.subject not in CORE_FORMS)  # the plainest are shown first
    if relayed:
        fail(
            f"no mail of a stranger at {vantage} is relayed",
            relayed,
            "An open relay: these messages arrived outside. Spammers will find it within hours.",
        )
    positive_controls(observations)
    for form in CORE_FORMS:
        seen = observations.one("relay", form, vantage)
        if seen.outcome != "refused":
            fail(
                f"{form} from {vantage} is refused with 5xx",
                seen,
                "Inconclusive: the server took the message, and it was not seen to arrive outside. "
                "It may be an open relay whose mail is stuck."
                if seen.outcome == "accepted, not arrived"
                else "Inconclusive: not a refusal for good. A 4xx invites to try again.",
            )
    plain = observations.one("relay", PLAIN_FORM, vantage)
    code, text = plain.evidence.get("code"), str(plain.evidence.get("text", ""))
    if code != 554 or not text.startswith("5.7.1"):
        fail(
            "the plain relay attempt is answered with 554 5.7.1 Relay access denied",
            plain,
            "Another refusal may be about something else (a sender, a name), and go away with it.",
        )
    unclear = [
        one
        for one in tried
        if one.outcome != "refused"
        and not (one.outcome == "accepted, not arrived" and one.evidence.get("may_be_local"))
    ]
    if unclear:
        fail(
            f"every relay form from {vantage} is refused, or taken for a local recipient",
            unclear,
            "Inconclusive: these forms were neither refused for good nor harmless.",
        )


def relays(observations: Observations, vantage: str) -> None:
    """Hold that the server does relay for strangers from a vantage: a hole that is expected.

    It passes only with both halves of the proof: the message arrived outside, and the server
    logged for whom it took it.
    """
    seen = observations.one("relay", PLAIN_FORM, vantage)
    if seen.outcome != "relayed":
        fail(
            f"mail of a stranger at {vantage} is relayed (the expected hole)",
            seen,
            "The scenario documents a hole that was not seen: it may have been closed, or the "
            "attempt failed otherwise.",
        )
    if not seen.evidence.get("client"):
        fail(
            "the server's log has the client's address of the relayed message",
            seen,
            "Inconclusive: without it, it is not shown that the address was the cause.",
        )


def accepted_as_local(observations: Observations, vantage: str) -> list[Observation]:
    """The relay forms that were accepted and arrived nowhere outside, for the report."""
    return observations.find("relay", vantage=vantage, outcome="accepted, not arrived")
