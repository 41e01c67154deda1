"""The ways in which testers and spammers ask a server to relay, as a table.

Sources: nmap's `smtp-open-relay` script (16 forms, to the letter), DSBL's relaytest, the MAPS
relay test, the two-by-two of internal and external sender and recipient, and forms that matter
for a container deployment. Here they are data only; `probes.relay` sends them.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from harness.probes.smtp import Security
    from harness.site import Service

Way = Literal["transaction", "failed login", "early line", "smuggled"]
"""How a form is sent: as a transaction; as one after a failed AUTH; after a line sent before the
greeting (a PROXY header); inside another message's text (SMTP smuggling)."""

USER = "relaytest"

QUOTED = "a quoted local part may be taken as a local name"
ROUTED = "a route or local literal may be rewritten to a local address"
INTERNAL = "the recipient is the server's own"
TEXT = "the text may be taken as one message to the mailbox"


@dataclass(frozen=True, slots=True)
class Form:
    """One attempt.

    Attributes:
        id: unique; what observations and verdicts name it by.
        source: who tests so (`nmap`, `DSBL`, `MAPS`, `two-by-two`, `container`).
        sender: what follows `MAIL FROM:`, as sent, with placeholders.
        recipient: what follows `RCPT TO:`, as sent, with placeholders.
        service: where it is sent.
        security: how the connection is secured.
        helo: the name given in EHLO, with placeholders; None for the client's usual one.
        before: command lines sent after EHLO and before MAIL.
        way: how it is sent.
        separator: for `smuggled`, the false end of the outer message.
        core: whether every vantage sends it, not only those that send the whole table.
        may_be_local: why `250` without an arrival outside is harmless; empty where it is not.
        domestic: whether the recipient is the server's own, so that delivery is right.
    """

    id: str
    source: str
    sender: str
    recipient: str
    service: Service = "smtp"
    security: Security = "plain"
    helo: str | None = None
    before: tuple[str, ...] = ()
    way: Way = "transaction"
    separator: bytes = b""
    core: bool = False
    may_be_local: str = ""
    domestic: bool = False

    @property
    def fails_to_log_in(self) -> bool:
        """Whether it begins with a login that must fail, and makes later logins wait."""
        return self.way == "failed login"

    @property
    def placeholders(self) -> set[str]:
        """The names in braces in all of the form's strings."""
        texts = (self.sender, self.recipient, self.helo or "", *self.before)
        return {name for text in texts for _, name, _, _ in string.Formatter().parse(text) if name}

    def filled(self, values: Mapping[str, str | None]) -> Form | None:
        """The form with every placeholder filled; None where a value is missing here (no alias).

        Args:
            values: `outside` (the outside domain), `server` (the server's name), `domain` (its
                mail domain), `ip` (its address literal without brackets), `mailbox`, `user`
                (the mailbox's local part), `alias`.

        Raises:
            KeyError: a placeholder that is none of these.
        """
        if any(values[name] is None for name in self.placeholders):
            return None
        return replace(
            self,
            sender=self.sender.format_map(values),
            recipient=self.recipient.format_map(values),
            helo=self.helo.format_map(values) if self.helo else None,
            before=tuple(line.format_map(values) for line in self.before),
        )


_OUTSIDE = f"<{USER}@{{outside}}>"
_LITERAL = f"<{USER}@[{{ip}}]>"
_EXTERNAL = f"<{USER}@{{outside}}>"
_INTERNAL = f"<{USER}@{{domain}}>"

_NMAP_PAIRS = (
    ("<>", _OUTSIDE, ""),
    (_EXTERNAL, _OUTSIDE, ""),
    (f"<{USER}@{{server}}>", _OUTSIDE, ""),
    (_LITERAL, _OUTSIDE, ""),
    (_LITERAL, f"<{USER}%{{outside}}@[{{ip}}]>", ROUTED),
    (_LITERAL, f"<{USER}%{{outside}}@{{server}}>", ROUTED),
    (_LITERAL, f'<"{USER}@{{outside}}">', QUOTED),
    (_LITERAL, f'<"{USER}%{{outside}}">', QUOTED),
    (_LITERAL, f"<{USER}@{{outside}}@[{{ip}}]>", ROUTED),
    (_LITERAL, f'<"{USER}@{{outside}}"@[{{ip}}]>', QUOTED),
    (_LITERAL, f"<{USER}@{{outside}}@{{server}}>", ROUTED),
    (_LITERAL, f"<@[{{ip}}]:{USER}@{{outside}}>", ROUTED),
    (_LITERAL, f"<@{{server}}:{USER}@{{outside}}>", ROUTED),
    (_LITERAL, f"<{{outside}}!{USER}>", ROUTED),
    (_LITERAL, f"<{{outside}}!{USER}@[{{ip}}]>", ROUTED),
    (_LITERAL, f"<{{outside}}!{USER}@{{server}}>", ROUTED),
)
NMAP = tuple(
    Form(f"nmap-{number:02}", "nmap", sender, recipient, may_be_local=reason)
    for number, (sender, recipient, reason) in enumerate(_NMAP_PAIRS, 1)
)

_DSBL_SENDERS = {
    "user": f"<{USER}@{{domain}}>",
    "bare": f"<{USER}>",
    "bang": f"<{{domain}}!{USER}>",
    "null": "<>",
}
_DSBL_RECIPIENTS = {
    "plain": (_OUTSIDE, ""),
    "quoted": (f'<"{USER}@{{outside}}">', QUOTED),
    "unbracketed": (f"{USER}@{{outside}}", ""),
    "bang": (f"<{{outside}}!{USER}>", ROUTED),
}
DSBL = tuple(
    Form(f"dsbl-{who}-{whom}", "DSBL", sender, recipient, may_be_local=reason)
    for (who, sender), (whom, (recipient, reason)) in product(
        _DSBL_SENDERS.items(), _DSBL_RECIPIENTS.items()
    )
)

# Senders and recipients of the MAPS relay test that neither nmap nor DSBL has.
MAPS = (
    Form("maps-sender-localhost", "MAPS", f"<{USER}@localhost>", _OUTSIDE),
    Form("maps-sender-bare", "MAPS", f"<{USER}>", _OUTSIDE),
    Form("maps-sender-loopback-literal", "MAPS", f"<{USER}@[127.0.0.1]>", _OUTSIDE),
    Form(
        "maps-percent-localhost",
        "MAPS",
        f"<{USER}@localhost>",
        f"<{USER}%{{outside}}@localhost>",
        may_be_local=ROUTED,
    ),
    Form(
        "maps-quoted-percent-host",
        "MAPS",
        f"<{USER}@{{server}}>",
        f'<"{USER}%{{outside}}"@{{server}}>',
        may_be_local=QUOTED,
    ),
    Form(
        "maps-quoted-unseparated-literal",
        "MAPS",
        _LITERAL,
        f'<"{USER}@{{outside}}"[{{ip}}]>',
        may_be_local=QUOTED,
    ),
    Form(
        "maps-double-at",
        "MAPS",
        f"<{USER}@{{server}}>",
        f"<{USER}@{{outside}}@{{domain}}>",
        may_be_local=ROUTED,
    ),
    Form(
        "maps-source-route-domain",
        "MAPS",
        f"<{USER}@{{server}}>",
        f"<@{{domain}}:{USER}@{{outside}}>",
        may_be_local=ROUTED,
    ),
)

_MAILBOX = "<{mailbox}>"
TWO_BY_TWO = (
    Form("external-to-external", "two-by-two", _EXTERNAL, "<other@{outside}>", core=True),
    Form("internal-to-external", "two-by-two", _INTERNAL, _OUTSIDE, core=True),
    Form(
        "external-to-internal",
        "two-by-two",
        _EXTERNAL,
        _MAILBOX,
        may_be_local=INTERNAL,
        domestic=True,
    ),
    Form(
        "internal-to-internal",
        "two-by-two",
        _INTERNAL,
        _MAILBOX,
        may_be_local=INTERNAL,
        domestic=True,
    ),
)

SEPARATORS = {"lf-dot-lf": b"\n.\n", "lf-dot-crlf": b"\n.\r\n", "crlf-dot-lf": b"\r\n.\n"}
"""Ends of a message that only careless servers take as one (SMTP smuggling, 2023)."""


def _container() -> tuple[Form, ...]:
    def form(name: str, sender: str, **options: object) -> Form:
        return replace(Form(f"container-{name}", "container", sender, _OUTSIDE), **options)  # type: ignore[arg-type]  # replace() checks the names at run time, the tests call it

    spoofed = "127.0.0.1"
    return (
        form("mailbox", _MAILBOX),
        form("postmaster", "<postmaster@{domain}>"),
        form("user-tag", "<{user}+tag@{domain}>"),
        form("alias", "<{alias}>"),
        form("helo-localhost", _EXTERNAL, helo="localhost"),
        form("helo-server", _EXTERNAL, helo="{server}"),
        form("helo-literal", _EXTERNAL, helo="[{ip}]"),
        form("xclient", _EXTERNAL, before=(f"XCLIENT ADDR={spoofed} NAME=localhost",)),
        form("xclient-login", _MAILBOX, before=("XCLIENT LOGIN={mailbox}",)),
        form("xforward", _EXTERNAL, before=(f"XFORWARD ADDR={spoofed} NAME=localhost",)),
        form(
            "proxy-v1",
            _EXTERNAL,
            way="early line",
            before=(f"PROXY TCP4 {spoofed} {spoofed} 40000 25",),
        ),
        *(
            form(
                f"smuggled-{name}",
                _EXTERNAL,
                way="smuggled",
                separator=separator,
                may_be_local=TEXT,
            )
            for name, separator in SEPARATORS.items()
        ),
        form(
            "after-failed-login",
            _MAILBOX,
            way="failed login",
            service="submission",
            security="starttls",
        ),
        *(
            form(f"{service}-{security}-{who}", sender, service=service, security=security)
            for service, security in (
                ("smtp", "starttls"),
                ("submission", "plain"),
                ("submission", "starttls"),
                ("submissions", "implicit"),
            )
            for who, sender in (("external", _EXTERNAL), ("internal", _MAILBOX))
        ),
    )


CONTAINER = _container()
FORMS = (*NMAP, *DSBL, *MAPS, *TWO_BY_TWO, *CONTAINER)
CORE = tuple(form for form in FORMS if form.core)
BY_ID = {form.id: form for form in FORMS}
PLAIN = "external-to-external"
"""The form that must be answered with exactly `554 5.7.1` on port 25."""
