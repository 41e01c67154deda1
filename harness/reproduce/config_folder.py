"""The mail server's config folder: which of its files go along, with whose accounts and keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from harness.reproduce import limits
from harness.reproduce.allowed import CONFIG, PATH
from harness.reproduce.model import Wanted
from harness.reproduce.notes import Notes
from harness.reproduce.scrub import ALICE, BOB, DOMAIN, OURS, Scrubber
from harness.reproduce.text import as_text

ACCOUNTS: Final = "postfix-accounts.cf"
SCRIPTS: Final = re.compile(
    r"user-patches\.sh|amavis\.cf|.*\.sieve|rspamd/[A-Za-z0-9_./-]+|spamassassin-rules\.cf"
    r"|sieve-(filter|pipe)/.*|dovecot-masters\.cf\.d/.*"
)
"""Programs, or what runs some: Perl, shell, Lua, Sieve."""
KEYS: Final = re.compile(
    r"(opendkim|ssl|rspamd/dkim|dkim)/.*|.*\.(pem|key|p12|pfx|crt|private)|acme\.json|id_[a-z0-9]+"
)
_MAIN_NAME = re.compile(
    r"(smtpd|smtp|lmtp|postscreen|relay|virtual|local|tls|smtputf8|milter)_[a-z0-9_]+"
    r"|mynetworks(_style)?|inet_(interfaces|protocols)|my(hostname|domain|origin|destination)"
    r"|(message|mailbox)_size_limit|relayhost|proxy_interfaces|disable_vrfy_command|maximal_\w+"
    r"|(header|body|mime_header|nested_header)_checks|recipient_delimiter|append_dot_mydomain"
    r"|minimal_backoff_time|bounce_queue_lifetime|default_destination_\w+|strict_rfc821_envelopes"
    r"|compatibility_level|biff|queue_run_delay|non_smtpd_milters|address_verify_\w+|notify_classes"
)
_PROGRAMS = re.compile(r".*_(command|commands|directory|program|path|shell)|virtual_(uid|gid)_maps")
_DOVECOT = re.compile(
    r"\b(executable|exec|script|sieve_\w*(pipe|execute|extprograms)\w*|args)\b|!include"
)
_JAIL = re.compile(
    r"\[[A-Za-z0-9_-]{1,40}\]|(bantime|findtime|maxretry|ignoreip|enabled|banaction"
    r"|backend|ignoreself|bantime\.(increment|maxtime|factor))\s*=\s*[A-Za-z0-9_.:/ %()-]*"
)

Filter = Callable[[str], bool]


@dataclass(slots=True)
class Config:
    """What the config folder will have.

    Attributes:
        files: path within the folder → text.
        alias: an address that leads to the first account, or None.
    """

    files: dict[str, str] = field(default_factory=dict)
    alias: str | None = None


def take_config(
    data: Mapping[str, bytes], wanted: Wanted, scrub: Scrubber, notes: Notes, *, scripts: bool
) -> Config:
    """Choose and rewrite the files of the config folder.

    Args:
        data: the report's files.
        wanted: says where its config folder is.
        scrub: what stands for what; learns the accounts.
        notes: takes what is said.
        scripts: whether programs may go along.
    """
    found = _found(data, wanted)
    config = Config()
    texts: dict[str, str] = {}
    for name, (place, content) in found.items():
        if KEYS.fullmatch(name):
            notes.add("left out", place, "keys and certificates: the harness has its own")
        elif (sort := _sort(name)) is None and not (scripts and SCRIPTS.fullmatch(name)):
            if SCRIPTS.fullmatch(name):
                notes.add("left out", place, "a program; --with-scripts lets it go along")
            else:
                notes.add("left out", place, "no file of docker-mailserver's that is known here")
        elif (text := as_text(content)) is None:
            notes.add("refused", place, "neither UTF-8 nor UTF-16 text")
        elif len(text) > limits.FILE // 4:
            notes.add("refused", place, f"longer than {limits.FILE >> 12} KB")
        else:
            texts[name] = text if sort is None else _lines(text, name, sort, place, scripts, notes)
    config.files[ACCOUNTS] = _accounts(texts.pop(ACCOUNTS, ""), scrub, notes)
    for name, text in texts.items():
        if name in ("postfix-sasl-password.cf", "dovecot-masters.cf"):
            text = _passwords(text, scrub)
            notes.add("substituted", f"{name}: passwords", "passwords of our own")
        config.files[name] = scrub.text(text)
    for line in config.files.get("postfix-virtual.cf", "").splitlines():
        alias, _, goal = line.partition(" ")
        if goal.strip() == f"alice@{DOMAIN}" and alias.endswith(f"@{DOMAIN}"):
            config.alias = alias
            break
    return config


def _found(data: Mapping[str, bytes], wanted: Wanted) -> dict[str, tuple[str, bytes]]:
    """The config folder's files: path within it → path within the report, and content."""
    sources = [mount.source for mount in wanted.mounts if mount.target == CONFIG]
    folders = [f"{each}/" for each in (*sources, "docker-data/dms/config", "dms/config", "config")]
    for folder in folders:
        inside = {
            name.removeprefix(folder): (name, content)
            for name, content in data.items()
            if name.startswith(folder) and PATH.fullmatch(name.removeprefix(folder))
        }
        if inside:
            return inside
    return {
        PurePosixPath(name).name: (name, content)
        for name, content in data.items()
        if _sort(PurePosixPath(name).name) is not None
        or PurePosixPath(name).name == "user-patches.sh"
    }


def _sort(name: str) -> Filter | None:
    """Which lines of a file may go along, by its name; None for one that does not."""
    if name == "postfix-main.cf":
        return lambda line: _main(line)
    if name == "postfix-master.cf":
        return lambda line: not re.search(r"argv=|\b(pipe|spawn)\b|_command|/command=", line)
    if name == "postfix-aliases.cf":
        return lambda line: "|" not in line and ":include:" not in line
    if name in ("dovecot.cf",):
        return lambda line: not _DOVECOT.search(line)
    if name in ("fail2ban-jail.cf", "fail2ban-fail2ban.cf"):
        return lambda line: _JAIL.fullmatch(line.strip()) is not None
    if re.fullmatch(
        r"postfix-(accounts|virtual|regexp|sasl-password|relaymap|(send|receive)-access"
        r"|sender-login-maps|sender-header-filter)\.(cf|pcre)|dovecot-(quotas|masters)\.cf",
        name,
    ):
        return lambda line: True
    return None


def _main(line: str) -> bool:
    if line[:1].isspace():
        return "|" not in line
    name = line.partition("=")[0].strip()
    return _MAIN_NAME.fullmatch(name) is not None and not _PROGRAMS.fullmatch(name)


def _lines(text: str, name: str, fits: Filter, place: str, scripts: bool, notes: Notes) -> str:
    kept = []
    dropped = False
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        if len(line) > limits.LINE:
            notes.add("refused", f"{place}:{number}", f"longer than {limits.LINE} characters")
        elif line[:1].isspace() and dropped:
            continue  # it continues what was left out
        elif fits(line) or (scripts and name != ACCOUNTS):
            kept.append(line)
            dropped = False
            continue
        else:
            why = "runs a program, or is not known here; --with-scripts lets it go along"
            notes.add("refused", f"{place}:{number}: {line}", why)
        dropped = True
    return "\n".join(kept) + "\n" if kept else ""


def _accounts(text: str, scrub: Scrubber, notes: Notes) -> str:
    """Accounts of our own, as many as the report has, with passwords that are known."""
    given = [line.split("|") for line in text.splitlines() if re.match(r"[^|\s]+@[^|\s]+\|", line)]
    ours = ["alice", "bob"]
    lines = []
    for number, (address, secret, *_) in enumerate(given[: limits.WORDS]):
        for each in (secret, secret.rpartition("}")[2]):
            if each and secret not in OURS:
                scrub.secret(each)
        if number < len(ours):
            fresh = f"{ours[number]}@{DOMAIN}"
        else:
            domain = scrub.name(address.rpartition("@")[2])
            fresh = f"user{number + 1}@{domain}"
        scrub.people[address.lower()] = fresh
        lines.append(f"{fresh}|{ALICE if number == 0 else BOB}")
    lines += [f"{name}@{DOMAIN}|{BOB if name == 'bob' else ALICE}" for name in ours[len(lines) :]]
    said = f"{len(given)} of the report's" if given else "the report has none"
    if [line.rpartition("|")[2] for line in lines[:2]] != [each[1] for each in given[:2]]:
        notes.add(
            "substituted", f"accounts: {said}", f"{len(lines)}, with passwords that probes know"
        )
    return "\n".join(lines) + "\n"


def _passwords(text: str, scrub: Scrubber) -> str:
    """`postfix-sasl-password.cf`: what is behind the last colon."""
    lines = []
    for line in text.splitlines():
        head, colon, secret = line.rpartition(":") if "|" not in line else line.partition("|")
        lines.append(f"{head}{colon}{scrub.secret(secret.strip())}" if colon else line)
    return "\n".join(lines) + "\n"
