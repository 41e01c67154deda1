"""An issue's text as a report: its sections, and the files that are pasted into it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from harness.reproduce.command_line import BEGIN
from harness.reproduce.podman_info import looks_like_info

_HEADING = re.compile(r"(?m)^(?:#{1,6}[ \t]+|\*\*)(?P<title>[^\n*]{2,100}?)(?:\*\*)?:?[ \t]*$")
_FENCE = re.compile(r"(?ms)^[ \t]*(`{3,6}|~{3,6})[^\n`]*\n(?P<body>.*?)^[ \t]*\1[ \t]*$")
_EXPECTED: Final = re.compile(r"(?i)expect|should")
_RECEIVED: Final = re.compile(
    r"(?i)what happened|actual|received|what (?:did )?you (?:see|get)|symptom|log output|\blogs?\b"
    r"|error|observed|describe the (?:issue|bug)"
)


@dataclass(slots=True)
class Thread:
    """What an issue's text has.

    Attributes:
        expected: what the reporter expected.
        received: what happened instead, logs included.
        pasted: sort of file (`compose`, `quadlet`, `run`, `info`, `env`) → text, the first of each.
    """

    expected: str = ""
    received: str = ""
    pasted: dict[str, str] = field(default_factory=dict)


def read_thread(text: str) -> Thread:
    """Take an issue's text apart."""
    thread = Thread()
    for fence in _FENCE.finditer(text):
        sort = sort_of(fence["body"])
        if sort:
            thread.pasted.setdefault(sort, fence["body"])
    # A comment in a pasted file looks like a heading.
    hidden = _FENCE.sub(lambda m: re.sub(r"(?m)^#", "\x00", m[0]), text)
    headings = list(_HEADING.finditer(hidden))
    if not headings:
        thread.received = text
        return thread
    ends = [*(match.start() for match in headings[1:]), len(hidden)]
    for match, end in zip(headings, ends, strict=True):
        body = hidden[match.end() : end].replace("\x00", "#").strip()
        if sort_of(_unfenced(body)):
            continue
        if _EXPECTED.search(match["title"]):
            thread.expected += body + "\n"
        elif _RECEIVED.search(match["title"]):
            thread.received += body + "\n"
    return thread


def _unfenced(body: str) -> str:
    fence = _FENCE.fullmatch(body)
    return fence["body"] if fence else body


def sort_of(text: str) -> str:
    """Which of a deployment's files a text is: one of `Thread.pasted`'s words, or nothing."""
    if re.search(r"(?m)^services:[ \t]*$", text):
        return "compose"
    if re.search(r"(?m)^\[Container\][ \t]*$", text):
        return "quadlet"
    if looks_like_info(text):
        return "info"
    if BEGIN.search(text) and re.search(r"mailserver|--publish|-p \d", text):
        return "run"
    settings = re.findall(r"(?m)^[A-Z][A-Z0-9_]{2,40}=", text)
    lines = [line for line in text.splitlines() if line.strip() and line.strip()[0] != "#"]
    return "env" if settings and len(settings) >= 0.8 * len(lines) else ""
