"""From observations to verdicts about fail2ban; see `harness.judge` for those about the rest."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from harness.judge import fail as fail
from harness.probes.bans import MAX_RETRY

if TYPE_CHECKING:
    from harness.observations import Observations

SERVICES = ("submission", "smtp")
"""A ban is for all ports; these are looked at."""


def fail2ban_runs(observations: Observations) -> None:
    """Hold that fail2ban answers: one that does not run bans nobody either."""
    seen = observations.one("fail2ban", "running")
    if seen.outcome != "yes":
        fail("fail2ban runs", seen, "Inconclusive: nobody was kept out because nobody was looking.")


def bad_logins_refused(observations: Observations, vantage: str) -> None:
    """Hold that the bad logins from a vantage were enough for a ban, and none was accepted."""
    seen = observations.one("bad logins", "submission", vantage)
    logged, accepted = seen.evidence.get("logged"), seen.evidence.get("accepted")
    if not isinstance(logged, int) or logged < MAX_RETRY or seen.outcome in ("0", "error"):
        fail(
            f"at least {MAX_RETRY} bad logins are logged, and some are seen to be refused",
            seen,
            "Inconclusive: without an offence, no ban says nothing about fail2ban.",
        )
    if accepted != 0:
        fail("no bad login is accepted", seen, "Anybody gets in.")


def knows_offender_as(observations: Observations, address: str) -> None:
    """Hold that fail2ban took the offender for an address, and for no other.

    It reports that address as banned or ignores it; whether a ban is in force is another matter.

    Args:
        observations: what was seen.
        address: an address, or a network in CIDR notation.
    """
    seen = [observations.one("fail2ban", subject) for subject in ("banned", "ignored")]
    said = {each for one in seen for each in one.outcome.split(", ") if one.outcome != "nobody"}
    network = ipaddress.ip_network(address)
    if not said or not all(ipaddress.ip_address(each) in network for each in said):
        fail(
            f"fail2ban bans or ignores the offender as {address}, and nobody else",
            seen,
            "It stops nobody, or others than who guesses passwords."
            if said
            else "Inconclusive: fail2ban was not seen to notice the bad logins.",
        )


def is_kept_out(observations: Observations, vantage: str) -> None:
    """Hold that a client that was greeted before the bad logins is not any more."""
    for service in SERVICES:
        seen = observations.one("ban", service, vantage)
        if seen.outcome != "kept out":
            fail(
                f"{service} does not greet a client from {vantage} after the bad logins",
                seen,
                "fail2ban does not stop whoever guesses passwords."
                if seen.outcome == "let in"
                else "Inconclusive: it was not greeted before either.",
            )


def is_let_in(observations: Observations, vantage: str) -> None:
    """Hold that a client is greeted after the bad logins as before."""
    for service in SERVICES:
        seen = observations.one("ban", service, vantage)
        if seen.outcome != "let in":
            fail(
                f"{service} greets a client from {vantage} after the bad logins",
                seen,
                "Whoever guesses passwords shuts others out."
                if seen.outcome == "kept out"
                else "Inconclusive: it was not greeted before either.",
            )
