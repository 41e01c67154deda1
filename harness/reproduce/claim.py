"""What a reporter says to have seen, in a form that observations can be held against.

relays from outside                        does not relay from localhost
client address outside = container         (or own, machine, gateway, an address, a network)
port 993 from outside refused              (or answers, timeout, unreachable, …)
login imaps works                          login submission fails
mail arrives                               mail does not arrive
sending works                              sending fails
does not come up                           does not come up: Device "eth0" does not exist
comes up                                   log has: fatal: no SASL authentication mechanisms
"""

from __future__ import annotations

import difflib
import ipaddress
import re
import tomllib
from dataclasses import dataclass
from typing import Final, Literal

from harness.addresses import vantages_of
from harness.reproduce import limits
from harness.reproduce.intake import ReportError

Kind = Literal["relay", "client address", "port", "login", "delivery", "sending", "start", "log"]
PORT_OUTCOMES: Final = (
    "answers",
    "refused",
    "timeout",
    "unreachable",
    "closed without a word",
    "silent",
)
SERVICES: Final = ("submission", "submissions", "imap", "imaps")
ADDRESSES: Final = ("container", "own", "machine", "gateway")
MOST: Final = 20
"""Claims of one report."""
FORMS: Final = (
    "relays from outside",
    "does not relay from outside",
    "client address outside = container",
    "port 993 from outside refused",
    "login imaps works",
    "login submission fails",
    "mail arrives",
    "mail does not arrive",
    "sending works",
    "sending fails",
    "comes up",
    "does not come up",
    "does not come up: WORDS",
    "log has: WORDS",
)
_WHERE = r"(?P<where>[a-z0-9_]+)"


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing that a reporter says.

    Attributes:
        kind: what it is about.
        where: a word for vantages (`outside`, `localhost_v4`), or nothing.
        subject: a port, or a service.
        is_: what is said to be seen: an outcome, an address, or words of a log.
        yes: whether it is said to be so, or not to be so.
        read_from: what it was recognised in, or nothing where it was stated as it is.
    """

    kind: Kind
    where: str = ""
    subject: str = ""
    is_: str = ""
    yes: bool = True
    read_from: str = ""

    def __str__(self) -> str:
        match self.kind:
            case "relay":
                return f"{'relays' if self.yes else 'does not relay'} from {self.where}"
            case "client address":
                return f"client address {self.where} = {self.is_}"
            case "port":
                return f"port {self.subject} from {self.where} {self.is_}"
            case "login":
                return f"login {self.subject} {'works' if self.yes else 'fails'}"
            case "delivery":
                return "mail arrives" if self.yes else "mail does not arrive"
            case "sending":
                return f"sending {'works' if self.yes else 'fails'}"
            case "log":
                return f"log has: {self.is_}"
        return ("comes up" if self.yes else "does not come up") + (
            f": {self.is_}" if self.is_ else ""
        )


def parse_claim(text: str) -> Claim:
    """A claim from its words.

    Raises:
        ReportError: they are no claim; says what is nearest.
    """
    flat = " ".join(text.split())[: limits.LINE]
    if match := re.fullmatch(rf"(relays|does not relay) from {_WHERE}", flat):
        return Claim("relay", _place(match["where"], text), yes=match[1] == "relays")
    if match := re.fullmatch(rf"client address {_WHERE} ?= ?(\S+)", flat):
        return Claim("client address", _place(match["where"], text), is_=_address(match[2], text))
    if match := re.fullmatch(rf"port (\d{{1,5}}) from {_WHERE} ([a-z ]+)", flat):
        if match[3] not in PORT_OUTCOMES:
            raise ReportError(
                f"claim {text!r}: no port does {match[3]!r}", f"say {', '.join(PORT_OUTCOMES)}"
            )
        return Claim("port", _place(match["where"], text), match[1], match[3])
    if match := re.fullmatch(r"login (\w+) (works|fails)", flat):
        if match[1] not in SERVICES:
            raise ReportError(
                f"claim {text!r}: nobody logs in on {match[1]!r}", f"say {', '.join(SERVICES)}"
            )
        return Claim("login", subject=match[1], yes=match[2] == "works")
    if match := re.fullmatch(r"mail (arrives|does not arrive)", flat):
        return Claim("delivery", yes=match[1] == "arrives")
    if match := re.fullmatch(r"sending (works|fails)", flat):
        return Claim("sending", yes=match[1] == "works")
    if match := re.fullmatch(r"does not come up(?:: (.+))?", flat):
        return Claim("start", is_=match[1] or "", yes=False)
    if flat == "comes up":
        return Claim("start")
    if match := re.fullmatch(r"log has: (.{4,})", flat):
        return Claim("log", is_=match[1])
    near = difflib.get_close_matches(flat, FORMS, 1, 0.3)
    raise ReportError(
        f"claim {text!r} is none that can be held against observations",
        f"did you mean {near[0]!r}?" if near else "such as: " + "; ".join(FORMS),
    )


def _place(word: str, text: str) -> str:
    try:
        vantages_of(word)
    except ValueError as error:
        raise ReportError(f"claim {text!r}: {error}", "say outside, or localhost_v4") from None
    return word


def _address(text: str, whole: str) -> str:
    if text not in ADDRESSES:
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise ReportError(
                f"claim {whole!r}: {text!r} is no address",
                f"say {', '.join(ADDRESSES)}, an address or a network",
            ) from None
    return text


@dataclass(frozen=True, slots=True)
class Stated:
    """What `claim.toml` says.

    Attributes:
        claims: what was seen, as the reporter says.
        mode: `rootful`, `rootless` or nothing.
        launcher: the launcher's name, or nothing.
        interface: what the reporter's network interface is called, or nothing.
    """

    claims: tuple[Claim, ...] = ()
    mode: str = ""
    launcher: str = ""
    interface: str = ""


def read_claims(text: str, name: str) -> Stated:
    """What a `claim.toml` says.

    Raises:
        ReportError: it is none.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ReportError(f"{name}: {error}", "correct the TOML there") from None
    known = {"claims", "mode", "launcher", "interface"}
    if unknown := sorted(set(table) - known):
        raise ReportError(
            f"{name}: there is no such key: {unknown[0]!r}",
            f"there are: {', '.join(sorted(known))}",
        )
    said = table.get("claims", [])
    if not isinstance(said, list) or not all(isinstance(each, str) for each in said):
        raise ReportError(f"{name}: claims is no list of texts", 'claims = ["relays from outside"]')
    if len(said) > MOST:
        raise ReportError(f"{name}: more than {MOST} claims", "say what matters")
    words = {key: table.get(key, "") for key in ("mode", "launcher", "interface")}
    for key, value in words.items():
        if not isinstance(value, str):
            raise ReportError(f"{name}: {key} is no text", f'{key} = "…"')
    return Stated(tuple(parse_claim(each) for each in said), **words)
