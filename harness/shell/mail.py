"""Sends one message and looks where it arrives, and reads a mailbox: with all that is said."""

from __future__ import annotations

import ssl
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message
from typing import TYPE_CHECKING

from harness.patience import patient
from harness.probes.arrival import arrival
from harness.probes.imap import Imap, ImapFailedError, connect
from harness.probes.inbox import watching, way_in
from harness.probes.log_lines import address_in_received, fate
from harness.probes.mail_flow import DELIVERY_WITHIN
from harness.probes.messages import changes, compose, received_from
from harness.probes.run import NoAnswerError, Run, running
from harness.probes.smtp import LostError, Reply, Session, session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.probes.inbox import Inbox
    from harness.site import Account, Service, Site
    from harness.vantage import Vantage

FAILURES = (NoAnswerError, ImapFailedError, LostError, ssl.SSLError, OSError, TimeoutError)
"""What a mail server may do to a session instead of an answer."""


@dataclass
class Sent:
    """What became of a message.

    Attributes:
        sender: in MAIL FROM.
        recipient: in RCPT TO.
        greeting: the server's first lines.
        replies: all its replies after them, in order.
        accepted: whether the last reply that counts was positive.
        arrived: whether it was seen where it should come to.
        outcome: what was seen, in a sentence.
        log: what the mail server logged of a message that did not arrive.
    """

    sender: str
    recipient: str
    greeting: Sequence[str] = ()
    replies: list[Reply] = field(default_factory=list)
    accepted: bool = False
    arrived: bool = False
    outcome: str = ""
    log: Sequence[str] = ()


def mailbox_of(site: Site, recipient: str) -> Account | None:
    """The mailbox that mail for an address comes to, as far as is known here."""
    user, _, domain = recipient.partition("@")
    plain = f"{user.partition('+')[0]}@{domain}"
    known = next((each for each in site.accounts if each.address == plain), None)
    return site.recipient if known is None and recipient == site.alias else known


async def send(site: Site, vantage: Vantage, recipient: str, service: Service) -> Sent:
    """Send one message, as a stranger on port 25 and with a login elsewhere, and look for it."""
    stranger = service == "smtp"
    sent = Sent(f"probe@{site.outside_domain}" if stranger else site.sender.address, recipient)
    account = mailbox_of(site, recipient)
    async with AsyncExitStack() as stack:
        run = await stack.enter_async_context(running(site))
        inbox = None
        if account is not None:
            inbox = await stack.enter_async_context(watching(run, vantage, account))
            await inbox.ready.wait()
        nonce = run.nonce("shell")
        content = compose(nonce, sent.sender, recipient)
        try:
            port = site.port_of(service)
            if port is not None:
                sent.greeting = (await run.greeting(vantage, port)).lines
            async with session(run, vantage, service) as opened:
                sent.replies = opened.replies
                await _say(opened, site, sent, content, with_login=not stranger)
        except FAILURES as failure:
            if not sent.accepted:
                sent.outcome = _words_of(failure)
                return sent
        if sent.accepted:
            await _look(run, inbox, sent, nonce, content)
    return sent


async def _say(
    opened: Session, site: Site, sent: Sent, content: bytes, *, with_login: bool
) -> None:
    reply = await opened.login(site.sender) if with_login else None
    if reply is None or reply.positive:
        reply = await opened.send(sent.sender, [sent.recipient], content)
    sent.accepted = reply.positive
    if not reply.positive:
        sent.outcome = f"not accepted: {reply.to}: {reply}"


async def _look(run: Run, inbox: Inbox | None, sent: Sent, nonce: str, content: bytes) -> None:
    """Wait for an accepted message, and say what was seen."""
    began = time.monotonic()
    try:
        found, where = await (_outside(run, nonce) if inbox is None else _inside(run, inbox, nonce))
    except TimeoutError:
        known = fate(await run.log.text(), nonce)
        sent.log = known.lines if known else ()
        sent.outcome = "accepted, and not seen to arrive"
        return
    except ImapFailedError as failure:
        sent.outcome = f"accepted; whether it arrived is not known: {failure}"
        return
    differences = changes(content, found)
    sent.arrived = True
    sent.outcome = (
        f"arrived {where}, after {time.monotonic() - began:.1f} s,"
        f" {'changed: ' + '; '.join(differences) if differences else 'unchanged'}"
    )


async def _inside(run: Run, inbox: Inbox, nonce: str) -> tuple[bytes, str]:
    """A message in its mailbox, and who sent it as the mail server says."""
    found = await inbox.wait_for(nonce, patient(DELIVERY_WITHIN))
    received = received_from(found, run.site.hostname)
    client = address_in_received(received) if received else None
    return found, f"in the mailbox{f', received from {client}' if client else ''}"


async def _outside(run: Run, nonce: str) -> tuple[bytes, str]:
    """A message at the mail exchanger outside."""
    came, _ = await arrival(run, nonce)
    if came is None:
        raise TimeoutError
    return came.content, f"outside, for {', '.join(came.recipients)}, from {came.client}"


@dataclass(frozen=True)
class Mailbox:
    """What is in a mailbox: the messages by UID, or why it cannot be read."""

    way: str
    messages: dict[int, Message] = field(default_factory=dict)
    failure: str = ""


async def fetch(site: Site, vantage: Vantage, account: Account) -> Mailbox:
    """Read an account's INBOX, from a vantage or, where that gets no answer, from localhost."""

    def read(client: Imap) -> dict[int, bytes]:
        if service == "imap":
            client.starttls()
        client.login(account)
        client.select()
        return client.new_messages(0)

    async with running(site) as run:
        place, service = await way_in(run, vantage)
        way = f"{service} from {place.name}"
        try:
            found = await connect(run, place, service, read)
        except FAILURES as failure:
            return Mailbox(way, failure=_words_of(failure))
    return Mailbox(way, {uid: message_from_bytes(content) for uid, content in found.items()})


def header(message: Message, name: str) -> str:
    """A header's text, decoded and on one line; empty where there is none."""
    text = str(make_header(decode_header(str(message.get(name, "")))))
    return " ".join(text.split())


def _words_of(failure: BaseException) -> str:
    if isinstance(failure, NoAnswerError):
        error = failure.greeting.error
        return f"no answer: {failure.greeting.outcome}{f' ({error})' if error else ''}"
    return f"the session broke: {str(failure) or repr(failure)}"
