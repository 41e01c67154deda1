"""Which way a logged-in user's mail leaves: by the smart host, or to its exchanger directly."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from harness.patience import patient
from harness.probes.log_lines import fate
from harness.probes.mail_flow import refusal
from harness.probes.messages import changes, compose
from harness.probes.places import main_client
from harness.probes.run import running
from harness.probes.smtp import session

if TYPE_CHECKING:
    from harness.observations import Json
    from harness.probes.log_lines import Fate
    from harness.probes.run import Run
    from harness.site import Service, Site

LOGGED_WITHIN = 45.0
"""Seconds until the log must say what became of an accepted message."""


async def observe_smart_host(site: Site) -> None:
    """Record kind `way out` (subjects: the submission services) of mail to the outside domain.

    Outcomes: `smart host`, `exchanger` (directly), `both`, `nowhere` (accepted, and the log does
    not say that it was sent), `refused`, `deferred`, `no answer`, `connection lost`, `error`. The
    details have the login and whether it was encrypted, as the smart host saw it.
    """
    services: tuple[Service, ...] = ("submission", "submissions")
    async with running(site) as run, run.timed("all probes"):
        await asyncio.gather(
            *(
                run.guarded("way out", service, main_client(site), _way_out(run, service))
                for service in services
                if site.port_of(service) is not None
            )
        )


async def _way_out(run: Run, service: Service) -> None:
    site = run.site
    vantage = main_client(site)
    sender, recipient = site.sender.address, f"probe@{site.outside_domain}"
    nonce = run.nonce("relay")
    content = compose(nonce, sender, recipient)
    async with session(run, vantage, service) as opened:
        reply = await opened.login(site.sender)
        if reply.positive:
            reply = await opened.send(sender, [recipient], content)
    details: dict[str, Json] = {"recipient": recipient, "nonce": nonce, "reply": str(reply)}
    if not reply.positive:
        run.record("way out", service, refusal(reply), vantage.name, **details)
        return

    def settled(log: str) -> Fate | None:
        known = fate(log, nonce)
        return known if known and known.settled else None

    # Both keep a message before they say 250, so what the log calls sent is there, and a message
    # whose queue entry is gone will not come by the other way later.
    known = await run.log.wait_for(settled, patient(LOGGED_WITHIN))
    details["log"] = list(known.lines) if known else []
    relayed, direct = site.smart_host.find(nonce), site.sink.find(nonce)
    if relayed:
        first = relayed[0]
        details |= {
            "login": first.login,
            "encrypted": first.encrypted,
            "client": first.client,
            "recipients": list(first.recipients),
            "differences": list(changes(content, first.content)),
        }
    outcome = {
        (True, False): "smart host",
        (False, True): "exchanger",
        (True, True): "both",
        (False, False): "nowhere",
    }[bool(relayed), bool(direct)]
    run.record("way out", service, outcome, vantage.name, **details)
