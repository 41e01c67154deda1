"""What an observation means, for comparing runs: its outcome without what no two runs share.

Times, ids, queue ids, nonces and ephemeral addresses say nothing; neither does what a reply says
around its code. What is left is the same in two runs of the same state.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum

from harness.claims_verdict import NO_OBSERVATION
from harness.judge_id_map import COPIED
from harness.observations import Observation
from harness.report.wording import settled, trouble


class Group(StrEnum):
    """Changes of one sort; in the order in which they are told."""

    OPENED = "newly open relay"
    CLOSED = "relay closed"
    UNCLEAR = "newly inconclusive"
    CLEAR = "no longer inconclusive"
    UNSTEADY = "repetitions disagree otherwise"
    ADDRESS = "client address changed"
    NETWORK = "network and trusted addresses"
    PORTS = "ports opened or closed"
    LOGINS = "encryption, logins and clear text"
    MAIL = "mail flow"
    START = "came up, or did not"
    BANS = "bans"
    LIFE = "life events"
    LEFT = "left behind"
    OTHER = "other"
    CLAIMS = "verdicts on the guide's claims"


GROUPS: Mapping[str, Group] = {
    "relay": Group.MAIL,  # what neither opens nor closes one: another refusal
    "client_address": Group.ADDRESS,
    "container": Group.NETWORK,
    "forwarder": Group.NETWORK,
    "mail server": Group.NETWORK,
    "port": Group.PORTS,
    "tls": Group.LOGINS,
    "login": Group.LOGINS,
    "plaintext auth": Group.LOGINS,
    "delivery": Group.MAIL,
    "outgoing": Group.MAIL,
    "way out": Group.MAIL,
    "unknown recipient": Group.MAIL,
    "command": Group.MAIL,
    "deployment": Group.START,
    "ban": Group.BANS,
    "fail2ban": Group.BANS,
    "bad logins": Group.BANS,
    "life": Group.LIFE,
    "left on machine": Group.LEFT,
    "left on computer": Group.LEFT,
}
"""Kind of observation → its changes' group; of kinds that are not here, `OTHER`."""
NOT_COMPARED = frozenset(
    {
        "dns",  # how often a resolver is asked depends on what it still knows
        "first contact",  # seconds, and whether postscreen has seen the client before
        "machine",  # in the head
        "phase",
        "retry",  # the harness's own trouble
        "scenario",  # what is expected, not what is seen
        "seconds",
        "throughput",  # as fast as the computer just was; claims are made of it with a margin
    }
)
UNTOLD = frozenset(
    {
        *NO_OBSERVATION,
        "no answer",
        "no answer before",
        "accepted, not arrived",
        "accepted, mailbox not readable",
        "not readable",
        "not asked",
        "handshake failed",
    }
)
"""Outcomes by which a probe says that it could not tell."""
NO_ANSWER = "no answer"
"""The outcome of whatever takes a port that does not answer."""

_LINK_LOCAL = re.compile(r"fe80::[0-9a-f:]*(?:%\w+)?(?:/\d+)?")
_DIFFERENCE = re.compile(r"(?:header \S+|body) changed")
_REPLY = re.compile(r"([2345])\d\d\b")
_REFUSED = re.compile(r"refused with \d+(?: [245]\.\d+\.\d+)?")
_STATUS = re.compile(r"[245]\.\d+\.\d+")


def is_untold(seen: Observation) -> bool:
    """Whether a probe could not tell."""
    if seen.kind == "relay" and seen.outcome == "accepted, not arrived":
        return not seen.evidence.get("may_be_local")
    if seen.kind == "left on machine":
        return False
    return seen.outcome in UNTOLD


def meaning(seen: Observation) -> str:
    """What was seen, in words that two runs of the same state share."""
    of = _SPECIAL.get(seen.kind)
    return of(seen) if of else settled(seen.outcome)


def is_same(one: Observation, other: Observation) -> bool:
    """Whether two observations mean the same for sure, without looking closely."""
    return one.outcome == other.outcome and one.kind == other.kind and one.kind not in _SPECIAL


def reply_class(seen: Observation) -> str | None:
    """Which class of replies an SMTP server's was in, `5xx`; None where there was none."""
    for key in ("code", "reply"):
        found = _REPLY.match(str(seen.evidence.get(key) or ""))
        if found:
            return f"{found[1]}xx"
    return None


def settled_relay(outcome: str) -> str:
    """The meaning of a form of mail without the reply that refused it."""
    return _REFUSED.sub("refused", outcome)


def _relay(seen: Observation) -> str:
    if seen.outcome != "refused":
        return seen.outcome
    return f"refused with {_code(seen.evidence.get('code'), seen.evidence.get('text'))}"


def _code(code: object, text: object) -> str:
    status = _STATUS.match(str(text or ""))
    return f"{code} {status[0]}" if status else str(code)


def _address(seen: Observation) -> str:
    return "link-local" if _LINK_LOCAL.fullmatch(seen.outcome) else seen.outcome


def _forwarder(seen: Observation) -> str:
    # pasta.avx2 is what pasta calls itself where the processor has that.
    return seen.outcome.partition(".")[0]


def _mail_server(seen: Observation) -> str:
    if seen.subject != "mynetworks":
        return settled(seen.outcome)
    return " ".join(sorted(_LINK_LOCAL.sub("fe80::…", seen.outcome).split()))


def _tls(seen: Observation) -> str:
    version = seen.evidence.get("version")
    return f"{seen.outcome}, {version}" if version else seen.outcome


def _mail(seen: Observation) -> str:
    differences = seen.evidence.get("differences")
    found = (
        [_DIFFERENCE.match(str(one)) for one in differences]
        if isinstance(differences, list)
        else []
    )
    told = sorted({one[0] for one in found if one})
    return f"{seen.outcome}: {', '.join(told)}" if told else seen.outcome


def _deployment(seen: Observation) -> str:
    why = trouble(str(seen.evidence.get("why") or ""))
    return f"{seen.outcome}: {why}" if why else seen.outcome


def _way_out(seen: Observation) -> str:
    encrypted = "encrypted" if seen.evidence.get("encrypted") else "in clear text"
    login = f"as {seen.evidence['login']}" if seen.evidence.get("login") else "without a login"
    return f"{seen.outcome}, {encrypted}, {login}" if "encrypted" in seen.evidence else seen.outcome


def _unknown_recipient(seen: Observation) -> str:
    return (
        f"{seen.outcome} with {seen.evidence['code']}"
        if seen.evidence.get("code")
        else (seen.outcome)
    )


def _fail2ban(seen: Observation) -> str:
    known = ", ".join(sorted(seen.outcome.split(", ")))
    in_force = seen.evidence.get("in_force")
    if not isinstance(in_force, list) or seen.outcome == "nobody":
        return known
    return f"{known}, in force: {', '.join(sorted(map(str, in_force))) or 'none'}"


def _bad_logins(seen: Observation) -> str:
    # How many replies come before the ban is a matter of milliseconds.
    if not seen.outcome.isdigit():
        return seen.outcome
    refused = "some refused" if int(seen.outcome) else "none refused"
    return f"{refused}, {'some' if seen.evidence.get('accepted') else 'none'} accepted"


def _left(seen: Observation) -> str:
    things = seen.evidence.get("things")
    told = sorted({settled(str(thing)) for thing in things}) if isinstance(things, list) else []
    return "; ".join(told) or ("nothing" if seen.outcome == "0" else seen.outcome)


def _storage(seen: Observation) -> str:
    image = seen.evidence.get("image")
    if not (isinstance(image, int) and image and seen.outcome.lstrip("-").isdigit()):
        return seen.outcome
    return "copy of the image" if int(seen.outcome) > COPIED * image else "no copy of the image"


_SPECIAL: Mapping[str, Callable[[Observation], str]] = {
    "relay": _relay,
    "client_address": _address,
    "forwarder": _forwarder,
    "mail server": _mail_server,
    "tls": _tls,
    "delivery": _mail,
    "outgoing": _mail,
    "deployment": _deployment,
    "way out": _way_out,
    "unknown recipient": _unknown_recipient,
    "fail2ban": _fail2ban,
    "bad logins": _bad_logins,
    "left on machine": _left,
    "left on computer": _left,
    "storage": _storage,
}


def shown_why(seen: Observation | None) -> str:
    """What shows it, in a few words: for whom the server took the client, or the error."""
    if seen is None:
        return ""
    if seen.kind == "relay" and seen.evidence.get("client"):
        return f"taken for {seen.evidence['client']}"
    for key in ("error", "text", "reply"):
        text = seen.evidence.get(key)
        if isinstance(text, str) and text.strip():
            return settled(text.strip().splitlines()[0])[:160]
    return ""
