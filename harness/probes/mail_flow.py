"""Mail flow: in from outside, out to the outside, and between mailboxes, unchanged.

These are also the positive controls of the relay verdicts: where mail does not flow, a refusal
proves nothing.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from harness.patience import patient
from harness.probes.arrival import arrival
from harness.probes.imap import ImapFailedError
from harness.probes.log_lines import address_in_received, fate
from harness.probes.messages import changes, compose, received_from
from harness.probes.places import first_of_each_family, main_client
from harness.probes.smtp import session

if TYPE_CHECKING:
    from harness.observations import Json
    from harness.probes.inbox import Inbox
    from harness.probes.run import Run
    from harness.probes.smtp import Reply
    from harness.site import Service
    from harness.vantage import Vantage

DELIVERY_WITHIN = 45.0
"""Seconds from the server's 250 to the mailbox."""


def refusal(reply: Reply) -> str:
    """The outcome that a negative reply stands for."""
    return "deferred" if 400 <= reply.code < 500 else "refused"


async def observe_incoming(run: Run, inbox: Inbox) -> None:
    """Record kind `delivery` from the outside, over both families, and `unknown recipient`.

    Subjects of `delivery`: `outside to mailbox`, `outside to user+tag`, `outside to alias`.
    Outcomes: `unchanged`, `changed`, `refused`, `deferred`, `accepted, not arrived`, `accepted,
    mailbox not readable`, `no answer`, `connection lost`, `error`.
    """
    site = run.site
    user, _, domain = site.recipient.address.partition("@")
    jobs = []
    for vantage in first_of_each_family(site):
        if not vantage.is_outside:
            continue
        recipients = {"outside to mailbox": site.recipient.address}
        if vantage == main_client(site):
            recipients["outside to user+tag"] = f"{user}+harness@{domain}"
            if site.alias:
                recipients["outside to alias"] = site.alias
            unknown = _unknown(run, vantage)
            jobs.append(run.guarded("unknown recipient", "smtp", vantage, unknown))
        # A session for each: what breaks one of them says nothing about the others.
        for subject, recipient in recipients.items():
            incoming = _incoming(run, vantage, inbox, subject, recipient)
            jobs.append(run.guarded("delivery", subject, vantage, incoming))
    await asyncio.gather(*jobs)


async def _incoming(run: Run, vantage: Vantage, inbox: Inbox, subject: str, recipient: str) -> None:
    sender = f"probe@{run.site.outside_domain}"
    nonce = run.nonce("in")
    content = compose(nonce, sender, recipient)
    async with session(run, vantage, "smtp") as opened:
        reply = await opened.send(sender, [recipient], content)
    details: dict[str, Json] = {"recipient": recipient, "nonce": nonce, "reply": str(reply)}
    if reply.positive:
        arriving = _in_mailbox(run, vantage, inbox, subject, nonce, content, details)
        run.start(run.guarded("delivery", subject, vantage, arriving))
    else:
        run.record("delivery", subject, refusal(reply), vantage.name, **details)


async def _in_mailbox(
    run: Run,
    vantage: Vantage,
    inbox: Inbox,
    subject: str,
    nonce: str,
    content: bytes,
    details: dict[str, Json],
) -> None:
    began = time.monotonic()
    try:
        arrived = await inbox.wait_for(nonce, patient(DELIVERY_WITHIN))
    except TimeoutError:
        known = fate(await run.log.text(), nonce)
        details["log"] = list(known.lines) if known else []
        run.record("delivery", subject, "accepted, not arrived", vantage.name, **details)
        return
    except ImapFailedError as failure:
        details["error"] = str(failure)
        run.record("delivery", subject, "accepted, mailbox not readable", vantage.name, **details)
        return
    differences = changes(content, arrived)
    received = received_from(arrived, run.site.hostname)
    run.record(
        "delivery",
        subject,
        "changed" if differences else "unchanged",
        vantage.name,
        **details,
        seconds=round(time.monotonic() - began, 2),
        differences=list(differences),
        received=received,
        client=address_in_received(received) if received else None,
    )


async def _unknown(run: Run, vantage: Vantage) -> None:
    recipient = f"{run.nonce('unknown')}@{run.site.domain}"
    async with session(run, vantage, "smtp") as opened:
        await opened.command(f"MAIL FROM:<probe@{run.site.outside_domain}>")
        reply = await opened.command(f"RCPT TO:<{recipient}>")
    outcome = "accepted" if reply.positive else refusal(reply)
    details: dict[str, Json] = {"code": reply.code, "reply": str(reply), "recipient": recipient}
    run.record("unknown recipient", "smtp", outcome, vantage.name, **details)


async def observe_submission(run: Run, inbox: Inbox) -> None:
    """Record kinds `delivery` and `outgoing` of what a logged-in user submits, from outside.

    Subjects of `delivery`: `submission to mailbox`, `submissions to mailbox`. Subjects of
    `outgoing`: `submission`, `submissions`. Outcomes as for `observe_incoming`.
    """
    vantage = main_client(run.site)
    outside = f"probe@{run.site.outside_domain}"
    services: tuple[Service, ...] = ("submission", "submissions")
    await asyncio.gather(
        *(
            run.guarded(
                kind, subject, vantage, _submit(run, inbox, service, kind, subject, recipient)
            )
            for service in services
            if run.site.port_of(service) is not None
            for kind, subject, recipient in (
                ("outgoing", service, outside),
                ("delivery", f"{service} to mailbox", run.site.recipient.address),
            )
        )
    )


async def _submit(
    run: Run, inbox: Inbox, service: Service, kind: str, subject: str, recipient: str
) -> None:
    vantage = main_client(run.site)
    sender = run.site.sender.address
    nonce = run.nonce("out")
    content = compose(nonce, sender, recipient)
    details: dict[str, Json] = {"recipient": recipient, "nonce": nonce}
    async with session(run, vantage, service) as opened:
        reply = await opened.login(run.site.sender)
        if reply.positive:
            reply = await opened.send(sender, [recipient], content)
    details |= {"reply": str(reply), "to": reply.to}
    if not reply.positive:
        run.record(kind, subject, refusal(reply), vantage.name, **details)
        return
    arriving = (
        _at_sink(run, vantage, service, nonce, content, details)
        if kind == "outgoing"
        else _in_mailbox(run, vantage, inbox, subject, nonce, content, details)
    )
    run.start(run.guarded(kind, subject, vantage, arriving))


async def _at_sink(
    run: Run,
    vantage: Vantage,
    service: Service,
    nonce: str,
    content: bytes,
    details: dict[str, Json],
) -> None:
    began = time.monotonic()
    arrived, known = await arrival(run, nonce)
    if arrived is None:
        details["log"] = list(known.lines) if known else []
        run.record("outgoing", service, "accepted, not arrived", vantage.name, **details)
        return
    differences = changes(content, arrived.content)
    run.record(
        "outgoing",
        service,
        "changed" if differences else "unchanged",
        vantage.name,
        **details,
        seconds=round(time.monotonic() - began, 2),
        differences=list(differences),
        sink_client=arrived.client,
        sink_sender=arrived.sender,
    )
