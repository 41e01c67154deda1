"""Puts something of ours in the place of the reporter's secrets, domains, addresses and names.

The same original gets the same substitute in every file, so that files still fit together. What was
replaced is remembered: nothing may leave in which any of it still occurs.
"""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from harness.outside.smart_host import HOSTNAME as SMART_HOST
from harness.outside.smart_host import PASSWORD as SMART_HOST_PASSWORD

DOMAIN: Final = "example.com"
HOST: Final = f"mail.{DOMAIN}"
RESERVED: Final = re.compile(
    r"(.*\.)?(example(\.(com|net|org))?|test|invalid|localhost|local|internal|lan|localdomain"
    r"|dns\.podman|containers\.internal|docker\.internal)",
    re.IGNORECASE,
)
"""Names that belong to nobody."""
PUBLIC_NAMES: Final = re.compile(
    r"(.*\.)?(docker\.io|ghcr\.io|quay\.io|github\.com|github\.io|githubusercontent\.com"
    r"|letsencrypt\.org|podman\.io|debian\.org|fedoraproject\.org|redhat\.com)",
    re.IGNORECASE,
)
"""Names that say nothing about who reports."""
_OTHERS: Final = ("example.net", "example.org")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_NAME = rf"{_LABEL}(?:\.{_LABEL}){{0,6}}\.[A-Za-z][A-Za-z0-9-]{{0,22}}[A-Za-z0-9]"
ADDRESS: Final = re.compile(rf"[A-Za-z0-9._+-]{{1,64}}@(?P<domain>{_NAME})")
"""A mail address."""
_IN_LOGS: Final = tuple(
    re.compile(form)
    for form in (
        rf"\b(?:from|to|relay|client=|by|helo=<|host|HELO|EHLO) ?=?<?({_NAME})(?=[\[>\s:;,]|$)",
        rf"\b({_NAME})\[[0-9a-fA-F.:]+\]",
        rf"\b(?:host_?name|myhostname|mydomain|mydestination)\"?\s*[:=]\s*\"?({_NAME})",
    )
)
_V4 = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.]*\d)")
_V6 = re.compile(r"(?<![0-9A-Za-z:.])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{0,4}(?![0-9A-Za-z:])")
_HASH = re.compile(r"\{[A-Z0-9.-]{3,20}\}[^\s|\"']{8,}|\$(?:[156y]|2[aby])\$[^\s|:\"']{8,}")
_PEM = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S
)
_SAID = re.compile(
    r"(?im)\b([A-Z0-9_]{0,60}(?:password|passwd|secret|token|bind_?pw|api_?key)[A-Z0-9_]{0,60})"
    r"(\"?[ \t]*[:=][ \t]*\"?)([^\s\"'&,]{3,})"
)
_SASL = re.compile(r"(?im)\b(AUTH (?:PLAIN|LOGIN) |Authorization: \w+ )([A-Za-z0-9+/=]{8,})")
_HOME = re.compile(r"(?<![\w.-])/(?:var/)?home/([A-Za-z_][A-Za-z0-9_.-]{0,31})")
SHORT: Final = 6
"""Characters of a secret below which it may be anywhere by chance: not searched for."""
ALICE: Final = (
    "{SHA512-CRYPT}$6$alicesalt$1anD2ZKwgyhjNMtv2CYN1LnqM5K0FLUexbiFq3hJKCfVoDCOi4wf8UHlsqW3Ze4P0Gk"
    "uzfHWEzrehbX4XwaRq."
)
"""Of the password `correct-horse-1`."""
BOB: Final = (
    "{SHA512-CRYPT}$6$bobsalt$cRAOicBU7VFmlHS9hXy8R3VgSikMYv/xoNhyQeNudQJquYkR4725Q5EGEm5p3pWJCq.9i"
    "ClIQsnZSg2TZpnIG0"
)
"""Of the password `battery-staple-2`."""
OURS: Final = frozenset({ALICE, BOB, SMART_HOST_PASSWORD})
_SUBSTITUTE = re.compile(r"substitute-\d+")
MANY: Final = 1000
"""Names and secrets of one report that are replaced; with more of them its texts stay here."""
_WORDS: Final = frozenset(
    [
        "password",
        "passwd",
        "secret",
        "changeme",
        "example",
        "testing",
        "admin123",
        "postmaster",
        "username",
    ]
)
"""What stands where a secret would, in examples: it occurs in logs anyway."""


@dataclass(slots=True)
class Scrubber:
    """What stands for what.

    Attributes:
        secrets: original → substitute.
        domains: original, in lower case → substitute; whole names and those below them.
        addresses: original → substitute, of IP.
        people: mail address, in lower case → substitute.
        homes: names of users in paths.
    """

    secrets: dict[str, str] = field(default_factory=dict)
    domains: dict[str, str] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    people: dict[str, str] = field(default_factory=dict)
    homes: dict[str, str] = field(default_factory=dict)
    _hosts: Iterator[int] = field(default_factory=lambda: itertools.count(2))

    def secret(self, text: str) -> str:
        """The substitute for a secret."""
        if not text or text in OURS or _SUBSTITUTE.fullmatch(text):
            return text
        return self.secrets.setdefault(text, f"substitute-{len(self.secrets) + 1}")

    def name(self, text: str) -> str:
        """The substitute for a host's or domain's name; one that is nobody's stays."""
        lower = text.lower().rstrip(".")
        if RESERVED.fullmatch(lower) or PUBLIC_NAMES.fullmatch(lower) or "." not in lower:
            return lower
        if lower in self.domains:
            return self.domains[lower]
        for known in sorted(self.domains, key=len, reverse=True):
            if lower.endswith(f".{known}"):
                self.domains[lower] = f"host{next(self._hosts)}.{_base(self.domains[known])}"
                return self.domains[lower]
        used = set(self.domains.values())
        number = itertools.count(4)
        free = (each for each in _OTHERS if each not in used)
        self.domains[lower] = next(free, "") or next(
            name for n in number if (name := f"domain{n}.example") not in used
        )
        return self.domains[lower]

    def site(self, hostname: str, domain: str) -> None:
        """Say which names are the mail server's: they become `mail.example.com`, `example.com`."""
        host, zone = hostname.lower(), domain.lower()
        if "." in zone and not RESERVED.fullmatch(zone):
            self.domains[zone] = DOMAIN
        if "." in host and not RESERVED.fullmatch(host):
            self.domains[host] = HOST

    def smart_host(self, name: str) -> str:
        """The substitute for a relay host: the outside's own."""
        lower = name.lower()
        if "." in lower and lower != SMART_HOST:
            self.domains[lower] = SMART_HOST
            return SMART_HOST
        return name

    def person(self, address: str) -> str:
        """The substitute for a mail address: its domain's, and a name of our own."""
        lower = address.lower()
        if lower not in self.people:
            local, _, domain = lower.rpartition("@")
            plain = ("postmaster", "abuse", "root", "hostmaster", "webmaster", "mailer-daemon")
            fresh = local if local in plain or RESERVED.fullmatch(domain) else ""
            fresh = fresh or f"user{len(self.people) + 1}"
            self.people[lower] = f"{fresh}@{self.name(domain)}"
        return self.people[lower]

    def address(self, text: str) -> str:
        """The substitute for an IP address; one that is nobody's stays."""
        try:
            ip = ipaddress.ip_address(text)
        except ValueError:
            return text
        if not ip.is_global or ip.is_multicast:
            return text
        if text not in self.addresses:
            count = len(self.addresses) + 100
            self.addresses[text] = (
                f"192.0.2.{count % 250}" if ip.version == 4 else f"2001:db8:2::{count:x}"
            )
        return self.addresses[text]

    def text(self, text: str) -> str:
        """A text with everything replaced that is known, or can be told by its form."""
        self._learn(text)
        if len(self.secrets) + len(self.domains) + len(self.people) > MANY:
            return "left out: it has more names than are replaced\n"
        for original, fresh in sorted(self.secrets.items(), key=lambda pair: -len(pair[0])):
            if len(original) >= SHORT and original.lower() not in _WORDS:
                text = text.replace(original, fresh)
        text = ADDRESS.sub(lambda m: self.person(m[0]), text)
        for original, fresh in sorted(self.domains.items(), key=lambda pair: -len(pair[0])):
            text = _bounded(original).sub(fresh, text)
        text = _HOME.sub(lambda m: m[0].replace(m[1], self._home(m[1])), text)
        text = _V4.sub(lambda m: self.address(m[0]), text)
        return _V6.sub(lambda m: self.address(m[0]), text)

    def _home(self, user: str) -> str:
        return self.homes.setdefault(user, "operator") if user != "mailop" else user

    def _learn(self, text: str) -> None:
        """Find what a text itself shows to be a secret, or the name of a host."""
        found = [match[0] for match in _PEM.finditer(text)]
        found += [match[0] for match in _HASH.finditer(text)]
        found += [match[3] for match in _SAID.finditer(text)]
        found += [match[2] for match in _SASL.finditer(text)]
        for each in found:
            if len(each) >= SHORT:
                self.secret(each)
        ours = set(self.domains.values())
        for form in _IN_LOGS:
            for match in form.finditer(text):
                if match[1].lower() not in ours and not _V4.fullmatch(match[1]):
                    self.name(match[1])

    def originals(self) -> list[tuple[str, re.Pattern[str]]]:
        """What may not occur anywhere any more: what it is, and how it is found."""
        secrets = [one for one in self.secrets if len(one) >= SHORT and one.lower() not in _WORDS]
        return (
            [("a secret", re.compile(re.escape(each))) for each in secrets]
            + [("a domain", _bounded(each)) for each in self.domains]
            + [("an address", _exact(each)) for each in self.addresses]
            + [("a user's folder", re.compile(f"home/{re.escape(u)}\\b")) for u in self.homes]
            + [
                ("a mail address", re.compile(re.escape(each), re.IGNORECASE))
                for each, fresh in self.people.items()
                if each != fresh
            ]
        )

    def left_in(self, texts: Iterable[str]) -> list[str]:
        """What of the originals still occurs in some texts, in words."""
        forms = self.originals()
        return sorted({what for text in texts for what, form in forms if form.search(text)})


def _base(name: str) -> str:
    return DOMAIN if name == HOST else name


def _bounded(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z0-9_-]){re.escape(name)}(?![A-Za-z0-9_-])", re.IGNORECASE)


def _exact(address: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![0-9a-fA-F.:]){re.escape(address)}(?![0-9a-fA-F:]|\.\d)", re.I)
