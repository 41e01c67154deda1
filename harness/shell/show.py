"""What the shell's commands say of what was seen, and whether it is good news."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Final

from harness.shell.mail import Mailbox, Sent, header

if TYPE_CHECKING:
    from email.message import Message

    from harness.observations import Observation

LISTED: Final = 20
"""How many messages of a mailbox are listed."""
BODY_LINES: Final = 20
"""How many lines of the newest message's text are shown."""
FORMS_NAMED: Final = 4
"""How many forms that ended alike are named."""
TWO_WORDS: Final = ("MAIL FROM", "RCPT TO", "AUTH PLAIN")

Lines = list[str]


def ports(seen: Sequence[Observation]) -> tuple[Lines, bool]:
    """What each port did; good where all published ones answer and no other does."""
    lines, good = [], True
    for vantage, group in groupby(_by_vantage(seen), key=lambda one: one.vantage):
        lines.append(f"{vantage}:")
        for one in sorted(group, key=lambda one: int(one.subject)):
            service = one.evidence.get("service")
            answers = one.outcome in ("answers", "open")
            good = good and answers == bool(service)
            why = one.evidence.get("error")
            lines.append(
                f"  {one.subject:>5} {service or '(not published)':15} {one.outcome}"
                + (f" ({why})" if why else "")
            )
    return lines, good and bool(seen)


def who(seen: Sequence[Observation]) -> tuple[Lines, bool]:
    """Whom the mail server took each client for; good where it logged all of them."""
    lines, good = [], bool(seen)
    for one in _by_vantage(seen):
        logged = "line" in one.evidence and one.evidence["line"] is not None
        good = good and logged
        source = one.evidence.get("source")
        lines.append(
            f"{one.vantage}{f' ({source})' if source else ''}:"
            f" {'the server logs ' if logged else ''}{one.outcome}"
        )
        lines += _indented(one.evidence, "line") if logged else _indented(one.evidence, "error")
    return lines, good


def relay(seen: Sequence[Observation]) -> tuple[Lines, bool]:
    """What became of strangers' mail; good where none of it can have got out.

    Of several forms, those that were refused are only counted, and the others put together where
    they ended alike.
    """
    lines, good, refused = [], bool(seen), False
    for vantage, group in groupby(_by_vantage(seen), key=lambda one: one.vantage):
        every = list(group)
        no = [one for one in every if one.outcome == "refused"]
        refused = refused or bool(no)
        good = good and all(one in no or _is_harmless(one) for one in every)
        if len(every) == 1:
            lines.append(f"{vantage}: {_fate(every[0])}")
            continue
        lines.append(f"{vantage}: {len(no)} of {len(every)} forms are refused for good")
        others: dict[str, list[str]] = defaultdict(list)
        for one in every:
            if one not in no:
                others[_fate(one)].append(one.subject)
        for fate, forms in others.items():
            more = f" and {len(forms) - FORMS_NAMED} more" if len(forms) > FORMS_NAMED else ""
            lines.append(f"  {', '.join(forms[:FORMS_NAMED])}{more}: {fate}")
    if refused:
        lines.append("(a refusal proves something only where mail otherwise flows: see `send`)")
    return lines, good


def _is_harmless(one: Observation) -> bool:
    """Whether it was accepted and rightly went nowhere outside."""
    return one.outcome == "accepted, not arrived" and bool(one.evidence.get("may_be_local"))


def _fate(one: Observation) -> str:
    """What became of one stranger's message, and what the server said."""
    said = f"{one.evidence.get('code') or ''} {one.evidence.get('text', '')}".strip()
    said = " / ".join(said.splitlines())
    answer = f" ({one.evidence.get('to')}: {said})" if said else ""
    match one.outcome:
        case "relayed":
            came = ", ".join(map(str, _list(one.evidence, "sink_recipients")))
            client = one.evidence.get("client")
            took = f"took it for a client at {client}" if client else "logged no client for it"
            return f"RELAYED: it arrived outside, for {came}; the server {took}"
        case "refused":
            return f"refused{answer}"
        case "accepted, not arrived":
            local = one.evidence.get("may_be_local")
            return f"accepted, not arrived outside{f': {local}' if local else ''}{answer}"
    why = one.evidence.get("lost") or one.evidence.get("error")
    return f"inconclusive: {one.outcome}{answer}{f' ({why})' if why else ''}"


def _by_vantage(seen: Sequence[Observation]) -> list[Observation]:
    return sorted(seen, key=lambda one: one.vantage or "")


def sent(message: Sent) -> tuple[Lines, bool]:
    """The whole conversation, and where the message came to; good where it arrived."""
    lines = [f"from {message.sender} to {message.recipient}"]
    lines += [f"  greeting: {line}" for line in message.greeting]
    for reply in message.replies:
        first, *others = reply.text.splitlines() or [""]
        # Of longer lines the reply knows only the beginning.
        to = reply.to if reply.to in TWO_WORDS else reply.to.split()[0]
        lines.append(f"  {to}: {reply.code} {first}")
        lines += [f"  {'':{len(to)}}  {reply.code} {other}" for other in others]
    lines += [f"  log: {line}" for line in message.log]
    return [*lines, message.outcome], message.arrived


def mailbox(account: str, found: Mailbox) -> tuple[Lines, bool]:
    """The messages of a mailbox, and the newest one; good where it could be read."""
    if found.failure:
        return [f"{account} cannot be read ({found.way}): {found.failure}"], False
    number = len(found.messages)
    lines = [f"{account} has {number} message{'' if number == 1 else 's'} ({found.way})"]
    newest = sorted(found.messages.items())[-LISTED:]
    if number > LISTED:
        lines.append(f"  … {number - LISTED} older ones")
    lines += [
        f"  {uid:>4}  {header(message, 'From')}  {header(message, 'Subject')}"
        for uid, message in newest
    ]
    if newest:
        lines += ["", *_text(newest[-1][1])]
    return lines, True


def _text(message: Message) -> Iterator[str]:
    for name in ("Date", "From", "To", "Subject", "Return-Path", "Received"):
        for value in message.get_all(name, []):
            yield f"{name}: {' '.join(str(value).split())}"
    yield ""
    for part in message.walk():
        if part.get_content_type() == "text/plain":
            payload = part.get_payload(decode=True)
            text = payload.decode(errors="replace") if isinstance(payload, bytes) else ""
            lines = text.splitlines()
            yield from (line[:200] for line in lines[:BODY_LINES])
            if len(lines) > BODY_LINES:
                yield f"… {len(lines) - BODY_LINES} more lines"
            return
    yield f"(no text: {message.get_content_type()})"


def _indented(evidence: Mapping[str, object], name: str) -> Lines:
    value = evidence.get(name)
    return [f"  {value}"] if value else []


def _list(evidence: Mapping[str, object], name: str) -> list[object]:
    value = evidence.get(name)
    return value if isinstance(value, list) else []
