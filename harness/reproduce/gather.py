"""Finds a report's parts among its files, and puts together what it asks to be deployed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from harness.reproduce import limits
from harness.reproduce.claim import Claim, Stated, parse_claim, read_claims
from harness.reproduce.command_line import read_command
from harness.reproduce.compose import read_compose
from harness.reproduce.environment import settings_of, taken
from harness.reproduce.intake import Files, ReportError
from harness.reproduce.model import Wanted
from harness.reproduce.notes import Notes
from harness.reproduce.podman_info import Host, read_info
from harness.reproduce.quadlet import read_quadlet
from harness.reproduce.text import as_text
from harness.reproduce.thread import Thread, read_thread, sort_of

if TYPE_CHECKING:
    from collections.abc import Callable

COMPOSE: Final = re.compile(r"((docker|podman)-)?compose\.ya?ml|container-compose\.ya?ml")
THREAD: Final = re.compile(
    r"(report|issue|bug|readme|description)\.(md|txt|markdown)", re.IGNORECASE
)
EXPECTED: Final = re.compile(r"expected\.(txt|md)", re.IGNORECASE)
RECEIVED: Final = re.compile(r"(received|actual)\.(txt|md|log)", re.IGNORECASE)
CLAIMS: Final = "claim.toml"
BUNDLE: Final = ("report/claim.toml", "reproduction.md")
"""What a bundle of ours has: of one only the report in it is read again."""


@dataclass(slots=True)
class Report:
    """What was sent.

    Attributes:
        notes: what is said of it.
        data: its files.
        wanted: what is to be deployed; None where the report does not say.
        host: the reporter's host.
        stated: what its `claim.toml` says.
        expected: what the reporter expected.
        received: what happened instead.
        words: all that the reporter wrote, for what is told by a word.
    """

    notes: Notes
    data: dict[str, bytes]
    wanted: Wanted | None = None
    host: Host = field(default_factory=Host)
    stated: Stated = field(default_factory=Stated)
    expected: str = ""
    received: str = ""
    words: str = ""


def gather(files: Files, mode: str = "", launcher: str = "") -> Report:
    """Put a report together.

    Args:
        files: what was read.
        mode: `rootful` or `rootless`, where the user says so.
        launcher: the launcher's name, where the user says so.

    Raises:
        ReportError: its `claim.toml` is wrong.
    """
    data = files.data
    if all(name in data for name in BUNDLE):
        data = {
            name.removeprefix("report/"): content
            for name, content in data.items()
            if name.startswith("report/")
        }
    texts = _texts(data, files.notes)
    report = Report(files.notes, data)
    if CLAIMS in texts:
        report.stated = read_claims(texts[CLAIMS], CLAIMS)
    threads = [
        (name, read_thread(text[: limits.PROSE]))
        for name, text in texts.items()
        if _named(THREAD, name)
    ]
    report.expected = _all(texts, EXPECTED) + "".join(t.expected for _, t in threads)
    report.received = _all(texts, RECEIVED) + "".join(t.received for _, t in threads)
    report.words = "\n".join(
        text[: limits.PROSE]
        for name, text in texts.items()
        if _named(THREAD, name) or name.endswith(".log")
    )
    report.words += report.expected + report.received
    said = launcher or report.stated.launcher
    _host(report, texts, threads)
    report.wanted = _wanted(report, texts, threads, said)
    if report.wanted is not None:
        _settings(report, report.wanted, texts, threads)
        _mode(report, report.wanted, mode or report.stated.mode, given=bool(mode))
    return report


def claims_of(given: list[str]) -> list[Claim]:
    """The claims of a command line.

    Raises:
        ReportError: one is none.
    """
    return [parse_claim(each) for each in given]


def _texts(data: dict[str, bytes], notes: Notes) -> dict[str, str]:
    texts = {}
    for name, content in data.items():
        text = as_text(content)
        if text is not None:
            texts[name] = text
        elif re.search(r"\.(ya?ml|container|network|env|cf|md|txt|toml|json|sh)$", name):
            notes.add("refused", name, "neither UTF-8 nor UTF-16 text, or with control characters")
    return texts


def _named(form: re.Pattern[str], name: str) -> bool:
    return form.fullmatch(PurePosixPath(name).name) is not None


def _all(texts: dict[str, str], form: re.Pattern[str]) -> str:
    return "".join(
        text[: limits.PROSE] + "\n" for name, text in texts.items() if _named(form, name)
    )


def _host(report: Report, texts: dict[str, str], threads: list[tuple[str, Thread]]) -> None:
    for name, text in texts.items():
        plain = not _named(COMPOSE, name) and not _named(THREAD, name)
        if plain and sort_of(text) == "info":
            found = read_info(text, name, report.notes)
            report.host.source = report.host.source or found.source
            report.host.facts = {**found.facts, **report.host.facts}
            if report.host.rootless is None:
                report.host.rootless = found.rootless
    for name, thread in threads:
        if not report.host.facts and "info" in thread.pasted:
            report.host = read_info(thread.pasted["info"], name, report.notes)


def _wanted(
    report: Report, texts: dict[str, str], threads: list[tuple[str, Thread]], said: str
) -> Wanted | None:
    """What is to be deployed, by the first launcher whose file there is."""
    notes = report.notes
    by_podman = said == "podman_compose" or (
        not said and re.search(r"(?i)\bpodman[- ]compose\b", report.words) is not None
    )
    readers: dict[str, Callable[[str, str], Wanted | None]] = {
        "quadlet": lambda text, name: read_quadlet(text, name, _networks(texts), notes),
        "compose": lambda text, name: read_compose(
            text, name, _dot_env(texts, name, notes), by_podman, notes
        ),
        "run": lambda text, name: read_command(text, name, notes),
    }
    candidates = _candidates(texts, threads)
    wish = {"podman_compose": "compose", "generated_unit": "run"}.get(said, said)
    for sort, read in readers.items():
        of_sort = [(name, text) for each, name, text in candidates if each == sort]
        if (wish and sort != wish) or not of_sort:
            continue
        name, text = min(of_sort, key=lambda one: "docker-mailserver" not in one[1])
        for other, _ in of_sort:
            if other != name:
                notes.add("left out", other, f"{name} is what is deployed")
        for each, other, _ in candidates:
            if each not in (sort, "env", "info"):
                notes.add(
                    "left out", other, f"{name} is what is deployed; --launcher says otherwise"
                )
        wanted = read(text, name)
        if wanted is not None:
            if said == "generated_unit":
                wanted.launcher, wanted.unit = "generated_unit", wanted.unit or "dms"
            return wanted
    if not notes.obstacles:
        what = f"for the launcher {said}" if said else "that says how it is deployed"
        notes.add(
            "unmatched",
            f"the report has no file {what}",
            "send compose.yaml, a .container, or the podman run line in a file",
            decides=True,
        )
    return None


def _candidates(
    texts: dict[str, str], threads: list[tuple[str, Thread]]
) -> list[tuple[str, str, str]]:
    """What could say how it is deployed: sort, name, text."""
    found = []
    for name, text in texts.items():
        if _named(THREAD, name) or _named(RECEIVED, name) or _named(EXPECTED, name):
            continue
        sort = "compose" if _named(COMPOSE, name) else sort_of(text)
        if name.endswith(".container"):
            sort = "quadlet"
        if sort in ("compose", "quadlet", "run"):
            found.append((sort, name, text))
    for name, thread in threads:
        for sort in ("compose", "quadlet", "run"):
            if sort in thread.pasted and not any(each == sort for each, *_ in found):
                pasted = "dms.container" if sort == "quadlet" else name
                found.append((sort, pasted, thread.pasted[sort]))
    return found


def _networks(texts: dict[str, str]) -> dict[str, str]:
    return {PurePosixPath(n).name: text for n, text in texts.items() if n.endswith(".network")}


def _dot_env(texts: dict[str, str], compose: str, notes: Notes) -> dict[str, str]:
    name = str(PurePosixPath(compose).parent / ".env")
    return settings_of(texts[name], name, notes) if name in texts else {}


def _settings(
    report: Report, wanted: Wanted, texts: dict[str, str], threads: list[tuple[str, Thread]]
) -> None:
    """The environment files: those that are named, else `mailserver.env`, else what is pasted."""
    parent = PurePosixPath(wanted.source).parent
    names = wanted.env_files or ["mailserver.env"]
    for named in names:
        by_name = [n for n in texts if PurePosixPath(n).name == PurePosixPath(named).name]
        exact = str(parent / named)
        name = exact if exact in texts else (by_name[0] if by_name else "")
        if name:
            wanted.settings |= taken(
                settings_of(texts[name], name, report.notes), name, report.notes
            )
        elif wanted.env_files:
            pasted = next((t.pasted["env"] for _, t in threads if "env" in t.pasted), None)
            if pasted is not None:
                found = settings_of(pasted, named, report.notes)
                wanted.settings |= taken(found, named, report.notes)
            else:
                report.notes.add("assumed", named, "empty: the report has no such file")
    if not wanted.env_files and not wanted.settings:
        pasted = next((t.pasted["env"] for _, t in threads if "env" in t.pasted), "")
        found = settings_of(pasted, "pasted settings", report.notes)
        wanted.settings |= taken(found, "pasted settings", report.notes)


def _mode(report: Report, wanted: Wanted, said: str, *, given: bool) -> None:
    """Who runs it: what the user says, podman, the file, the reporter's words; else a user."""
    if said not in ("", "rootful", "rootless"):
        raise ReportError(f"mode {said!r}: there is no such mode", "say rootful or rootless")
    text = as_text(report.data.get(wanted.source, b"")) or ""
    rootful = len(re.findall(r"(?i)\b(rootful|as root|sudo podman|sudo docker)\b", report.words))
    rootless = len(re.findall(r"(?i)\b(rootless|systemctl --user|without root)\b", report.words))
    system = wanted.source.startswith(("etc/containers", "usr/share/containers"))
    for is_so, mode, why in (
        (bool(said), said, "--mode" if given else CLAIMS),
        (
            report.host.rootless is not None,
            _name(report.host.rootless is False),
            report.host.source,
        ),
        (wanted.rootful is True, "rootful", wanted.why_mode),
        (
            wanted.launcher == "quadlet" and ("%h" in text or ".config/" in wanted.source),
            "rootless",
            f"{wanted.source}: a user's folders",
        ),
        (wanted.wanted_by == "default.target", "rootless", f"{wanted.source}: default.target"),
        (
            wanted.wanted_by == "multi-user.target" or system,
            "rootful",
            f"{wanted.source}: a unit of the system's",
        ),
        (bool(rootless) and not rootful, "rootless", "the reporter's words"),
        (bool(rootful) and not rootless, "rootful", "the reporter's words"),
    ):
        if is_so:
            wanted.rootful, wanted.why_mode = mode == "rootful", why
            report.notes.add("matched", mode, why)
            return
    wanted.rootful, wanted.why_mode = False, "assumed"
    report.notes.add("assumed", "rootless", "--mode rootful otherwise")


def _name(rootful: bool) -> str:
    return "rootful" if rootful else "rootless"
