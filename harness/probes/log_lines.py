"""What Postfix and Dovecot log about a client, read from lines of their log.

Pure functions. They take both the traditional time stamps and rsyslog's ISO ones, since they
look only at what follows `postfix/…[pid]:` and `dovecot:`. Realistic lines are in the tests.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

_POSTFIX = re.compile(r"postfix(?:/(?P<service>[\w-]+))?/(?P<program>\w+)\[\d+\]: (?P<text>.*)")
_CLIENT = re.compile(r"[\w.*-]*\[(?P<address>[0-9a-fA-F:.%\w-]+)\](?::\d+)?")
_REJECT = re.compile(
    rf"(?:NOQUEUE|[0-9A-Za-z]+): (?:reject|milter-reject): \w+ from {_CLIENT.pattern}"
)
_SASL = re.compile(rf"warning: {_CLIENT.pattern}: SASL .* authentication failed")
_QUEUED = re.compile(rf"(?P<id>[0-9A-Za-z]{{6,}}): client={_CLIENT.pattern}")
_ID = re.compile(r"(?P<id>[0-9A-Za-z]{6,}): ")
_MESSAGE_ID = re.compile(r"message-id=<?(?P<id>[^>\s]*)")
_RIP = re.compile(r"\brip=(?P<address>[0-9a-fA-F:.%]+)")
_LIP = re.compile(r"\blip=(?P<address>[0-9a-fA-F:.%]+)")
_RELAY = re.compile(r"relay=(?P<relay>[^,]+), .*status=(?P<status>\w+)")
_BRACKETED = re.compile(r"\[(?:IPv6:)?(?P<address>[0-9a-fA-F:.]+)\]")


@dataclass(frozen=True, slots=True)
class Sighting:
    """A client's address as the server logged it.

    Attributes:
        address: the client's address.
        line: the log line that says so.
        local: the server's own address on that connection, where the line has it.
    """

    address: str
    line: str
    local: str | None = None


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a message, from the log.

    Attributes:
        client: who handed it in.
        deliveries: (relay, status) of each delivery attempt, in order.
        finished: whether no queue entry of it is left.
        lines: the lines that this was read from.
    """

    client: str | None
    deliveries: tuple[tuple[str, str], ...]
    finished: bool
    lines: tuple[str, ...]

    @property
    def settled(self) -> bool:
        """Whether nothing more happens soon: finished, or put off (for 5 minutes by default)."""
        return self.finished or any(status == "deferred" for _, status in self.deliveries)


@dataclass(slots=True)
class _Entry:
    """What the log says of one queue id."""

    client: Sighting | None = None
    message_id: str = ""
    deliveries: list[tuple[str, str]] = field(default_factory=list)
    removed: bool = False
    lines: list[str] = field(default_factory=list)


# Many probes ask about the same text; it is read once.
@lru_cache(maxsize=2)
def _queue(log: str) -> dict[str, _Entry]:
    """Queue id → its entry, in the order in which they appeared."""
    entries: dict[str, _Entry] = {}
    for line in log.splitlines():
        if not (found := _POSTFIX.search(line)) or not (known := _ID.match(found["text"])):
            continue
        text = found["text"]
        if known["id"] == "NOQUEUE":
            continue
        entry = entries.setdefault(known["id"], _Entry())
        entry.lines.append(line)
        if client := _QUEUED.match(text):
            entry.client = Sighting(client["address"], line)
        elif named := _MESSAGE_ID.search(text):
            entry.message_id = named["id"].lower()
        elif sent := _RELAY.search(text):
            entry.deliveries.append((sent["relay"], sent["status"]))
        elif text.endswith(": removed"):
            entry.removed = True
    return entries


def _lines_with(log: str, nonce: str) -> Iterator[str]:
    """The lines in which a nonce occurs; nonces are in lower case, as mail servers leave them."""
    at = log.find(nonce)
    while at >= 0:
        begin, end = log.rfind("\n", 0, at) + 1, log.find("\n", at)
        yield log[begin : end if end >= 0 else len(log)]
        at = log.find(nonce, end) if end >= 0 else -1


def smtp_client(log: str, nonce: str) -> Sighting | None:
    """The client of an SMTP session in which the nonce occurred.

    Looks for a rejection that has the nonce (as recipient, sender or HELO name), a failed login
    that has it as the user's name, and a queued message that has it in its Message-ID or
    recipient (then the client is the one that its queue id came from).
    """
    for line in _lines_with(log, nonce):
        if not (found := _POSTFIX.search(line)):
            continue
        text = found["text"]
        if rejected := _REJECT.match(text) or _SASL.match(text):
            return Sighting(rejected["address"], line)
        if (known := _ID.match(text)) and (entry := _queue(log).get(known["id"])) and entry.client:
            return entry.client
    return None


def imap_client(log: str, nonce: str) -> Sighting | None:
    """The client of a Dovecot login (failed or not) whose user name has the nonce."""
    for line in _lines_with(log, nonce):
        if "dovecot" in line and (remote := _RIP.search(line)):
            local = _LIP.search(line)
            return Sighting(remote["address"], line, local["address"] if local else None)
    return None


def fate(log: str, nonce: str) -> Fate | None:
    """What became of the message whose Message-ID has the nonce; None before it was queued.

    A content filter hands a message back under another queue id but with the same Message-ID;
    all its queue ids are followed. Bounces have a Message-ID of their own and are not.
    """
    entries = [entry for entry in _queue(log).values() if nonce.lower() in entry.message_id]
    if not entries:
        return None
    first = entries[0].client
    return Fate(
        first.address if first else None,
        tuple(attempt for entry in entries for attempt in entry.deliveries),
        all(entry.removed for entry in entries),
        tuple(line for entry in entries for line in entry.lines),
    )


def address_in_received(header: str) -> str | None:
    """The client's address in a Received header: the bracketed one of its `from` part.

    `from HELO (name [address])` is Postfix's; a HELO name may itself be an address literal, so
    the one in parentheses counts.
    """
    inner = re.search(r"\(([^()]*\[[^\]]+\])[^()]*\)", header)
    found = _BRACKETED.search(inner[1] if inner else header)
    return found["address"] if found else None
