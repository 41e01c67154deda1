"""From observations to verdicts about the smart host; see `harness.judge`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.judge import fail as fail

if TYPE_CHECKING:
    from harness.observations import Observations


def leaves_by_smart_host(
    observations: Observations, vantage: str, service: str, login: str
) -> None:
    """Hold that submitted mail goes to the smart host, there only, encrypted and logged in.

    Args:
        observations: what was seen.
        vantage: from where it was submitted.
        service: `submission` or `submissions`.
        login: the user that the smart host must have known.
    """
    seen = observations.one("way out", service, vantage)
    if seen.outcome != "smart host":
        direct = seen.outcome in ("exchanger", "both")
        fail(
            f"mail submitted on {service} leaves by the smart host and by no other way",
            seen,
            "It comes from an address that may not send mail, and is refused or lost elsewhere."
            if direct
            else "Users cannot send mail.",
        )
    if seen.evidence.get("login") != login or not seen.evidence.get("encrypted"):
        fail(
            f"the server logs in at the smart host as {login}, over TLS",
            seen,
            "The password crosses the network in clear text, or is not the operator's.",
        )
    if seen.evidence.get("differences"):
        fail("the mail arrives at the smart host unchanged", seen, "Signatures break.")
