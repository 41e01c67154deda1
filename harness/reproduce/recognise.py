"""Plain patterns in what a reporter has pasted, as claims that observations can be held against.

Only what leaves little room for another meaning. Where a pattern could mean two things, nothing is
recognised: a verdict on what nobody said would be worse than none.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from harness.reproduce.claim import MOST, Claim

_CONNECT = re.compile(
    r"(?:smtpd|postscreen)\S*: (?:connect from \S*\[|CONNECT from \[)"
    r"(?P<address>[0-9a-fA-F.:]{3,45})\]"
)
_STARTS: Final = (
    re.compile(r'(Device "[a-z0-9]{1,15}" does not exist)'),
    re.compile(r"(Detecting the container IP address failed)"),
    re.compile(r"(Failed to bind port \d{1,5} \(Permission denied\))"),
    re.compile(r"(cannot expose privileged port \d{1,5})"),
    re.compile(r"(Setting hostname/domainname is required)"),
    re.compile(r"(You need at least one mail account to start Dovecot)"),
    re.compile(r"(Cannot find a valid DOMAIN for)"),
)
_OPEN_RELAY = re.compile(r"(?i)\bopen[- ]relay\b")
_DENIES = re.compile(
    r"(?i)\b(?:no|not|isn'?t|never|is it|whether|avoid|prevent\w*|if)\b[^.\n]{0,40}$"
)
_REFUSED = re.compile(
    r"(?i)(?:nc|telnet|curl|swaks|openssl)[^\n]{0,120}?[ :](?P<port>25|143|465|587|993|\d{4,5})\b"
    r"[^\n]{0,80}\n?[^\n]{0,120}?(?P<how>connection refused|no route to host|timed out)"
)
_HOW: Final = {
    "connection refused": "refused",
    "no route to host": "unreachable",
    "timed out": "timeout",
}
_QUEUED = re.compile(r"(?m)250 2\.0\.0 Ok: queued as \w+")
_DENIED = re.compile(r"(?i)554 5\.7\.1 [^\n]{0,120}relay access denied")
_RCPT_OUTSIDE = re.compile(r"(?im)^\s*(?:[>~-]+ ?)?(?:C: )?RCPT TO:\s*<([^@\s>]+@([^>\s]+))>")
_AUTH = re.compile(r"(?im)^\s*(?:[>~-]+ ?)?(?:C: )?AUTH (?:PLAIN|LOGIN)|235 2\.7\.0|sasl_username=")


def recognised(text: str, own_domains: set[str], name: str) -> list[Claim]:
    """The claims that a text makes.

    Args:
        text: what the reporter received, or says to have.
        own_domains: the domains that the mail server is responsible for, in lower case.
        name: the file's, for who asks where a claim comes from.
    """
    found: list[Claim] = []
    for form in _STARTS:
        if match := form.search(text):
            found.append(Claim("start", is_=match[1], yes=False, read_from=name))
            break
    found += _addresses(text, name)
    found += _relay(text, own_domains, name)
    if not any(claim.kind == "start" for claim in found):
        for match in _REFUSED.finditer(text):
            said = text[max(0, match.start() - 200) : match.end()]
            place = (
                "localhost" if re.search(r"localhost|127\.0\.0\.1|\[?::1\]?", said) else "outside"
            )
            how = _HOW[match["how"].lower()]
            found.append(Claim("port", place, match["port"], how, read_from=name))
    return list(dict.fromkeys(found))[:MOST]


def _addresses(text: str, name: str) -> list[Claim]:
    """Clients that are logged with an address that can only be podman's own."""
    private = set()
    public = False
    for match in _CONNECT.finditer(text):
        try:
            ip = ipaddress.ip_address(match["address"])
        except ValueError:
            continue
        if ip.is_loopback or ip.is_link_local:
            continue
        if ip.is_global:
            public = True
        elif ip.version == 4 and _is_podmans(ip):
            private.add(str(ip))
    # Several, or real ones beside them: some clients are containers, and that is no symptom.
    if public or len(private) != 1:
        return []
    (address,) = private
    is_gateway = address.endswith(".1") or address == "10.0.2.2"
    return [
        Claim(
            "client address",
            "outside_v4",
            is_="gateway" if is_gateway else "container",
            read_from=name,
        )
    ]


def _is_podmans(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    ranges = ("10.88.0.0/14", "10.0.2.0/24", "172.16.0.0/12")
    return any(ip in ipaddress.ip_network(each) for each in ranges)


def _relay(text: str, own_domains: set[str], name: str) -> list[Claim]:
    for match in _OPEN_RELAY.finditer(text):
        if not _DENIES.search(text[max(0, match.start() - 60) : match.start()]):
            return [Claim("relay", "outside_v4", read_from=name)]
    if _AUTH.search(text):
        return []  # who logs in may send anywhere
    strangers = [m for m in _RCPT_OUTSIDE.finditer(text) if m[2].lower() not in own_domains]
    if strangers and _QUEUED.search(text[strangers[0].end() :]):
        return [Claim("relay", "outside_v4", read_from=name)]
    if strangers and _DENIED.search(text[strangers[0].end() :]):
        return [Claim("relay", "outside_v4", yes=False, read_from=name)]
    return []
