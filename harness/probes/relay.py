"""Sends the relay forms, past RCPT and DATA, and looks for each message at the sink."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from harness.probes.arrival import arrival
from harness.probes.messages import compose
from harness.probes.places import near_and_far
from harness.probes.raw_smtp import send_early_line, send_smuggled
from harness.probes.relay_forms import CORE, FORMS, Form
from harness.probes.run import NoAnswerError
from harness.probes.smtp import LostError, Reply, Session, session
from harness.site import Account

if TYPE_CHECKING:
    from harness.observations import Json
    from harness.probes.gate import Ticket
    from harness.probes.run import Run
    from harness.site import Site
    from harness.vantage import Vantage

ERRORS_PER_CONNECTION = 8
"""Postfix delays every reply after 10 errors and hangs up after 20: stay below both."""
BATCH_WITHIN = 90.0
"""Seconds for the forms that share a connection, with the wait for a free slot."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of sending a form once.

    Attributes:
        form: the filled form.
        nonce: in the message's headers.
        replies: the replies to what was sent, in order; the last one decided.
        lost: the connection broke, with this text, before a reply decided.
        followed: the nonce that the log is searched for, where it is not the message's own: of
            the outer message where a smuggled one was not taken for a message.
    """

    form: Form
    nonce: str
    replies: tuple[Reply, ...] = ()
    lost: str = ""
    followed: str = ""

    @property
    def outcome(self) -> str:
        """`accepted`, `refused`, `deferred` or `inconclusive`, from the last reply."""
        last = self.replies[-1] if self.replies else None
        if last is not None and 500 <= last.code < 600:
            return "refused"
        if self.lost or last is None or last.code == 421:
            return "inconclusive"
        return "accepted" if last.positive else "deferred"


def values(site: Site, vantage: Vantage) -> dict[str, str | None]:
    """What the forms' placeholders stand for, seen from a vantage."""
    literal = vantage.target if vantage.family == 4 else f"IPv6:{vantage.target}"
    return {
        "outside": site.outside_domain,
        "server": site.hostname,
        "domain": site.domain,
        "ip": literal.partition("%")[0],
        "mailbox": site.recipient.address,
        "user": site.recipient.address.partition("@")[0],
        "alias": site.alias,
    }


def batches(forms: Iterable[Form]) -> list[list[Form]]:
    """Forms that can share a connection, few enough that their refusals do not slow it.

    Forms that are not plain transactions get a connection each.
    """
    out: list[list[Form]] = []
    ordered = sorted(forms, key=lambda form: (form.service, form.security, form.way))
    for (*_, way), group in groupby(ordered, key=lambda one: (one.service, one.security, one.way)):
        weight = 0
        for position, form in enumerate(group):
            costs = 1 + len(form.before)
            if position == 0 or way != "transaction" or weight + costs > ERRORS_PER_CONNECTION:
                out.append([])
                weight = 0
            out[-1].append(form)
            weight += costs
    return out


async def observe_relay(
    run: Run, of_port: Callable[[Form], bool], forms: Sequence[Form] | None = None
) -> None:
    """Record kind `relay` (subject: the form's id), the whole table or the core, per vantage.

    Outcomes: `relayed` (it arrived at the sink), `accepted, not arrived`, `refused` (5xx),
    `deferred` (4xx), `inconclusive` (the connection broke, twice), `no answer`, `error`.

    Args:
        run: the run.
        of_port: which forms to send now; those on port 25 come after postscreen's wait.
        forms: what every vantage sends instead.
    """
    whole = {vantage.name for vantage in near_and_far(run.site)}
    jobs = []
    for vantage in run.site.vantages:
        table = forms or (FORMS if vantage.name in whole else CORE)
        known = values(run.site, vantage)
        chosen = [filled for one in table if of_port(one) and (filled := one.filled(known))]
        chosen = [one for one in chosen if run.site.port_of(one.service) is not None]
        for batch in batches(chosen):
            ticket = run.bad_logins.ticket() if batch[0].fails_to_log_in else None
            names = ", ".join(form.id for form in batch)
            sending = _batch(run, vantage, batch, ticket)
            jobs.append(run.guarded("relay", names, vantage, sending, BATCH_WITHIN))
    await asyncio.gather(*jobs)


async def _batch(run: Run, vantage: Vantage, forms: Sequence[Form], ticket: Ticket | None) -> None:
    """Send some forms over one connection, and once more those that it broke under."""
    left = list(forms)
    told: dict[str, Attempt] = {}
    for last in (False, True):
        try:
            # Every attempt is put into `told` as it is made, so a surprise loses none of them.
            with ticket or nullcontext():
                await _send(run, vantage, left, told, ticket)
        except NoAnswerError as none:
            details = none.greeting.evidence()
            for form in left:
                run.record("relay", form.id, "no answer", vantage.name, **_form(form), **details)
            return
        except (LostError, OSError, TimeoutError) as broken:
            for form in left:
                told.setdefault(form.id, Attempt(form, "", lost=str(broken) or repr(broken)))
        left = [form for form in left if told[form.id].outcome == "inconclusive"]
        done = [
            told.pop(form.id) for form in forms if form.id in told and (last or form not in left)
        ]
        told.clear()
        for attempt in done:
            run.start(
                run.guarded("relay", attempt.form.id, vantage, _conclude(run, vantage, attempt))
            )
        if not left:
            return


async def _send(
    run: Run,
    vantage: Vantage,
    forms: Sequence[Form],
    told: dict[str, Attempt],
    ticket: Ticket | None,
) -> None:
    first = forms[0]
    if first.way in ("early line", "smuggled"):
        nonce = run.nonce("relay")
        outer = run.nonce("outer") if first.way == "smuggled" else ""
        message = _message(first, nonce)
        replies, lost = await (
            send_smuggled(run, vantage, first, message, outer)
            if outer
            else send_early_line(run, vantage, first, message)
        )
        told[first.id] = Attempt(first, nonce, tuple(replies), lost, outer)
        return
    async with session(run, vantage, first.service, security=first.security) as opened:
        for form in forms:
            told[form.id] = await _transaction(run, opened, form, ticket)
            if not opened.alive:
                gone = LostError("the server had hung up")
                for other in forms:
                    told.setdefault(other.id, Attempt(other, "", lost=str(gone)))
                return


async def _transaction(run: Run, opened: Session, form: Form, ticket: Ticket | None) -> Attempt:
    """Send one form, ending with RSET unless the connection is gone."""
    nonce = run.nonce("relay")
    replies: list[Reply] = []
    try:
        if form.helo:
            replies.append(await opened.ehlo(form.helo))
        if ticket:
            await ticket.arrive()
        if form.fails_to_log_in:
            nobody = Account(f"{nonce}@{run.site.domain}", "not-a-password")
            replies.append(await opened.login(nobody))
        for line in form.before:
            replies.append(await opened.command(line))
            if replies[-1].code == 220:  # XCLIENT worked: the session begins anew
                replies.append(await opened.ehlo(run.site.outside_domain))
        replies.append(await opened.command(f"MAIL FROM:{form.sender}"))
        if replies[-1].positive:
            replies.append(await opened.command(f"RCPT TO:{form.recipient}"))
        if replies[-1].positive:
            replies.append(await opened.data(_message(form, nonce)))
        elif opened.alive and replies[-1].code != 421:
            await opened.command("RSET")
    except LostError as broken:
        # After a 5xx to MAIL, RCPT or DATA the form is decided, whatever RSET's reply was.
        decided = replies and replies[-1].to in ("MAIL FROM", "RCPT TO", "DATA")
        return Attempt(form, nonce, tuple(replies) if decided else (), str(broken))
    return Attempt(form, nonce, tuple(replies))


def _message(form: Form, nonce: str) -> bytes:
    return compose(
        nonce,
        form.sender.strip("<>") or "null@harness.test",
        form.recipient.strip("<>"),
        rich=False,
    )


def _form(form: Form) -> Mapping[str, Json]:
    """What a reader of the observation must know of the form."""
    shown = asdict(form)
    kept = ("source", "sender", "recipient", "service", "security", "way")
    also = ("helo", "may_be_local", "domestic")
    return {key: shown[key] for key in kept} | {key: shown[key] for key in also if shown[key]}


async def _conclude(run: Run, vantage: Vantage, attempt: Attempt) -> None:
    """Record the outcome; an accepted message is waited for at the sink first."""
    last = attempt.replies[-1] if attempt.replies else None
    details: dict[str, Json] = {
        **_form(attempt.form),
        "code": last.code if last else None,
        "text": last.text if last else "",
        "to": last.to if last else "",
        "replies": [f"{reply.to}: {reply}" for reply in attempt.replies[:-1]],
        "nonce": attempt.nonce,
    }
    outcome = attempt.outcome
    if attempt.lost:
        details["lost"] = attempt.lost
    if outcome == "accepted":
        outcome, found = await _arrival(run, attempt)
        details |= found
    run.record("relay", attempt.form.id, outcome, vantage.name, **details)


async def _arrival(run: Run, attempt: Attempt) -> tuple[str, dict[str, Json]]:
    """Wait for the message at the sink, or for the log to say that it does not come."""
    arrived, known = await arrival(run, attempt.nonce, attempt.followed)
    found: dict[str, Json] = {
        "client": known.client if known else None,
        "log": list(known.lines) if known else [],
    }
    if arrived is None:
        return "accepted, not arrived", found
    found |= {"sink_recipients": list(arrived.recipients), "sink_client": arrived.client}
    return "relayed", found
