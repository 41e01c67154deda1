"""Reads a `podman run` line: parsed as a shell would take it apart, and never given to one."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Final

from harness.reproduce import allowed, limits, networks
from harness.reproduce.environment import taken
from harness.reproduce.model import Wanted
from harness.reproduce.notes import Notes

BEGIN: Final = re.compile(
    r"^[ \t]*(?:[$#>][ \t]+)?(?P<sudo>sudo[ \t]+(?:-\S+[ \t]+)*)?"
    r"(?P<program>podman|docker)[ \t]+(?:container[ \t]+)?(?P<verb>run|create)\b",
    re.MULTILINE,
)
"""Where the command begins: what a terminal shows before it is passed over."""
_HERE = re.compile(r"\$PWD\b|\$\{PWD\}|\$\(pwd\)|`pwd`")
_OPERATORS = frozenset(";&|<>()")
_FLAGS: Final = frozenset(
    [
        "detach",
        "interactive",
        "tty",
        "rm",
        "privileged",
        "init",
        "read-only",
        "replace",
        "quiet",
        "publish-all",
        "no-hosts",
        "no-healthcheck",
        "oom-kill-disable",
        "sig-proxy",
        "tls-verify",
        "rmi",
        "passwd",
        "http-proxy",
        "env-host",
    ]
)
"""Options without a value; every other takes one."""
_SHORT: Final[Mapping[str, str]] = {
    "d": "detach",
    "i": "interactive",
    "t": "tty",
    "h": "hostname",
    "p": "publish",
    "P": "publish-all",
    "e": "env",
    "v": "volume",
    "u": "user",
    "w": "workdir",
    "l": "label",
    "m": "memory",
    "q": "quiet",
    "a": "attach",
    "c": "cpu-shares",
}
_WITHOUT_WORDS: Final = frozenset({"detach", "replace", "quiet", "rm"})
"""What changes nothing here: the harness starts it in the background, and removes it."""
HARMLESS: Final = frozenset(
    [
        "interactive",
        "tty",
        "label",
        "log-driver",
        "log-opt",
        "pull",
        "init",
        "tls-verify",
        "no-healthcheck",
        "health-cmd",
        "dns",
        "add-host",
        "hostuser",
        "memory",
        "cpus",
        "cpu-shares",
        "network-alias",
        "shm-size",
        "platform",
        "arch",
    ]
)


def read_command(text: str, name: str, notes: Notes) -> Wanted | None:
    """What a `podman run` line in a text asks for; None where there is none that can be read."""
    begin = BEGIN.search(text)
    if begin is None:
        return None
    words = _words(text[begin.end() :], name, notes)
    if words is None:
        return None
    generated = "generate systemd" in text
    wanted = Wanted("generated_unit" if generated else "run", name)
    if generated:
        wanted.unit = "dms"
    if begin["sudo"]:
        wanted.rootful, wanted.why_mode = True, f"{name}: sudo"
    if begin["program"] == "docker":
        notes.add("substituted", f"{name}: docker {begin['verb']}", f"podman {begin['verb']}")
    rest = _options(wanted, words, name, notes)
    if not rest:
        notes.add("refused", name, "the command names no image", decides=True)
        return None
    wanted.image = rest[0]
    if len(rest) > 1:
        said = f"{name}: {shlex.join(rest[1:])}"
        notes.add("refused", said, "a report brings no commands; the image's own is run")
    return wanted


def _words(text: str, name: str, notes: Notes) -> list[str] | None:
    """The words of the command up to its end: a line's, unless that ends with a backslash."""
    lines = []
    for line in text.splitlines():
        lines.append(line.rstrip().removesuffix("\\"))
        if not line.rstrip().endswith("\\"):
            break
    joined = _HERE.sub(".", " ".join(lines))
    if len(joined) > limits.LINE * 4:
        notes.add("refused", name, f"a command of more than {limits.LINE * 4} characters")
        return None
    lexer = shlex.shlex(joined, posix=True, punctuation_chars=";&|<>()")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    words: list[str] = []
    try:
        for word in lexer:
            if word and set(word) <= _OPERATORS:
                # A shell would begin something else here, or fill in what a command says.
                notes.add("refused", f"{name}: {word} …", "what a shell would do here is not done")
                if word.startswith("("):
                    words = words[:-1] if words and words[-1].endswith("$") else words
                break
            words.append(word)
    except ValueError as error:
        notes.add("refused", name, f"the command cannot be taken apart: {error}", decides=True)
        return None
    if len(words) > limits.WORDS:
        notes.add("refused", name, f"more than {limits.WORDS} words", decides=True)
        return None
    return words


def _options(wanted: Wanted, words: list[str], name: str, notes: Notes) -> list[str]:
    """Take in the options; returns the image and what stands behind it."""
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if word == "--":
            return words[at:]
        if not word.startswith("-") or word == "-":
            return words[at - 1 :]
        option, value = _split(word)
        if option in _FLAGS:
            if value is None or value.lower() != "false":
                _flag(option, name, notes)
            continue
        if value is None:
            if at >= len(words):
                notes.add("refused", f"{name}: {word}", "an option without its value")
                return []
            value = words[at]
            at += 1
        _option(wanted, option, value, f"{name}: --{option}", notes)
    return []


def _split(word: str) -> tuple[str, str | None]:
    """An option's long name, and its value where that is in the same word."""
    if word.startswith("--"):
        option, equals, value = word[2:].partition("=")
        return option, value if equals else None
    letters = word[1:]
    first = _SHORT.get(letters[0], letters[0])
    if first not in _FLAGS:
        return first, letters[1:].removeprefix("=") or None
    for position, letter in enumerate(letters):  # -dit, or -dp 25:25
        long = _SHORT.get(letter, letter)
        if long not in _FLAGS:
            return long, letters[position + 1 :] or None
    return first, None


def _flag(option: str, name: str, notes: Notes) -> None:
    if option in _WITHOUT_WORDS:
        return
    if option in HARMLESS:
        notes.add("left out", f"{name}: --{option}", "says nothing about mail")
    elif option == "privileged":
        why = "the container would have all rights on the machine"
        notes.add("refused", f"{name}: --{option}", why)
    else:
        notes.add("refused", f"{name}: --{option}", "not taken over")


def _option(wanted: Wanted, option: str, value: str, where: str, notes: Notes) -> None:
    if _substitutes(value):
        notes.add("refused", f"{where} {value}", "what a shell would fill in is not known")
        return
    match option:
        case "name":
            allowed.take_name(wanted, notes, value, where)
        case "hostname" | "domainname":
            allowed.take_host(wanted, notes, value, where, domain=option == "domainname")
        case "publish":
            allowed.add_port(wanted, notes, value, where)
        case "env":
            key, equals, text = value.partition("=")
            if equals:
                wanted.inline |= taken({key: text}, where, notes)
            else:
                notes.add("refused", f"{where} {key}", "a setting of the reporter's own shell")
        case "env-file":
            wanted.env_files.append(value.removeprefix("./").rpartition("/")[2])
        case "volume":
            source, _, rest = value.partition(":")
            target, _, options = rest.partition(":")
            many = options.split(",") if options else []
            allowed.add_mount(wanted, notes, source, target, many, where)
        case "mount":
            _mount(wanted, value, where, notes)
        case "cap-add" | "cap-drop":
            take = allowed.add_capability if option == "cap-add" else allowed.drop_capability
            for each in value.split(","):
                take(wanted, notes, each, where)
        case "security-opt":
            allowed.add_security(wanted, notes, value, where)
        case "network" | "net":
            networks.take_mode(wanted.net, notes, value, where)
        case "restart":
            allowed.take_restart(wanted, notes, value, where)
        case "stop-timeout":
            wanted.stop_timeout = allowed.seconds(value)
        case "userns":
            allowed.take_userns(wanted, notes, value, where)
        case "uidmap" | "gidmap":
            key = "UIDMap" if option == "uidmap" else "GIDMap"
            allowed.take_map(wanted, notes, key, value, where)
        case "pod":
            notes.add("unmatched", f"{where} {value}", "no scenario has a pod", decides=True)
        case _ if option in HARMLESS:
            notes.add("left out", f"{where} {value}", "says nothing about mail")
        case _:
            notes.add("refused", f"{where} {value}", "not taken over")


def _substitutes(value: str) -> bool:
    """Whether a shell would put something else in its place, home folders excepted."""
    plain = re.sub(r"^(\$HOME|\$\{HOME\}|~)(?=/|$)", "", value)
    # A dollar in a value that a shell leaves alone, as of a password, is none of a setting's here.
    return re.search(r"`|\$[({A-Za-z_]|\$$", plain) is not None


def _mount(wanted: Wanted, value: str, where: str, notes: Notes) -> None:
    parts = {
        key.strip(): text.strip()
        for key, _, text in (each.partition("=") for each in value.split(","))
    }
    kind = parts.get("type", "volume")
    if kind not in ("bind", "volume"):
        notes.add("refused", f"{where} {value}", "only folders and volumes are mounted")
        return
    source = parts.get("source", parts.get("src", ""))
    target = parts.get("target", parts.get("destination", parts.get("dst", "")))
    read_only = any(parts.get(key, "false") in ("", "true") for key in ("ro", "readonly"))
    allowed.add_mount(wanted, notes, source, target, ["ro"] if read_only else [], where)
