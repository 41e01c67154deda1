"""What changed between two runs, for people at a terminal, for a merge request, for programs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Any

from harness.report.diff_meaning import Group
from harness.report.diff_rows import Row, by_folder, rows

if TYPE_CHECKING:
    from rich.console import Console

    from harness.report.diff import Difference

STYLES = {Group.OPENED: "bold red", Group.UNCLEAR: "bold yellow", Group.CLOSED: "bold green"}
SLOWER = 1.0
"""Seconds by which a phase must differ to be worth a word."""


def as_object(found: Difference) -> dict[str, Any]:
    """The difference as a plain value; every change by itself."""
    return {
        "a": {"run": found.a.name, "broken_lines": found.a.broken, "only": [*found.only_a]},
        "b": {"run": found.b.name, "broken_lines": found.b.broken, "only": [*found.only_b]},
        "compared": [*found.compared],
        "facts": {fact: {"a": was, "b": now} for fact, (was, now) in found.facts.items()},
        "changes": [asdict(each) for each in found.changes],
        "left_out": {"follow_from_others": found.follow, "observed_only_in_b": found.new},
        "seconds": {phase: {"a": was, "b": now} for phase, (was, now) in found.seconds.items()},
    }


def print_difference(console: Console, found: Difference) -> None:
    """Print the head, then the changes below the names of their groups."""
    from rich.text import Text

    for line in _head(found):
        console.print(Text(line), style="dim", soft_wrap=True)
    for group, of in groupby(rows(found.changes), key=lambda row: row.group):
        console.print()
        console.print(Text(group, style=STYLES.get(group, "bold")))
        for row in of:
            console.print(Text(f"  {_title(row)}"), soft_wrap=True)
            told = Text(f"    {row.before} → {row.after}", style="default")
            told.append(f"  ({_why(row)})" if row.why else "", style="dim")
            console.print(told, soft_wrap=True)
    console.print()
    for line in _foot(found):
        console.print(Text(line), style="dim", soft_wrap=True)
    style = "bold" if found.changes else "bold green"
    console.print(Text(_sum(found)), style=style, soft_wrap=True)


def as_markdown(found: Difference) -> str:
    """The same, in Markdown."""
    lines = [f"# {_code(found.a.name)} → {_code(found.b.name)}", ""]
    lines += [f"- {_text(line)}" for line in _head(found)[1:]]
    lines += ["", f"**{_text(_sum(found))}**", ""]
    for group, of in groupby(rows(found.changes), key=lambda row: row.group):
        lines += [
            f"## {group.capitalize()}",
            "",
            "| what | before | after | |",
            "|---|---|---|---|",
        ]
        lines += [
            f"| {' | '.join(map(_text, (_title(row), row.before, row.after, _why(row))))} |"
            for row in of
        ]
        lines.append("")
    lines += [f"{_text(line)}  " for line in _foot(found)]
    return "\n".join(lines).rstrip() + "\n"


def _title(row: Row) -> str:
    parts = [by_folder(row.scenarios), row.what]
    title = ": ".join(part for part in parts if part)
    return f"{title}, from {row.where}" if row.where else title


def _why(row: Row) -> str:
    """What shows it; of several changes, one's."""
    return f"such as: {row.why}" if row.why and row.changes > 1 else row.why


def _head(found: Difference) -> list[str]:
    lines = [f"{found.a.name} → {found.b.name}"]
    lines += [f"{fact}: {was} → {now}" for fact, (was, now) in found.facts.items()]
    if not found.facts:
        lines.append("the machines and the mail server are the same")
    lines.append(f"{_many(len(found.compared), 'scenario variant')} in both")
    for name, only in (("A", found.only_a), ("B", found.only_b)):
        if only:
            lines.append(f"only in {name}: {by_folder(only)}")
    for run in (found.a, found.b):
        if run.broken:
            lines.append(f"{run.name}: {_many(run.broken, 'line')} cut off or not readable")
    return lines


def _foot(found: Difference) -> list[str]:
    lines = []
    if found.follow:
        lines.append(f"{_many(found.follow, 'difference')} not shown: they follow from these")
    if found.new:
        lines.append(f"{_many(found.new, 'thing')} observed in B only: nothing to compare with")
    slower = [
        f"{phase} {was:.1f} → {now:.1f}"
        for phase, (was, now) in found.seconds.items()
        if abs(now - was) >= SLOWER
    ]
    if slower:
        lines.append(f"median seconds, for information: {', '.join(slower)}")
    return lines


def _sum(found: Difference) -> str:
    if not found.changes:
        return "nothing changed in meaning"
    counted = dict.fromkeys(Group, 0)
    for each in found.changes:
        counted[each.group] += 1
    said = ", ".join(f"{group}: {number}" for group, number in counted.items() if number)
    return f"{_many(len(found.changes), 'change')}: {said}"


def _many(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _code(text: str) -> str:
    return f"`{text}`"


def _text(text: str) -> str:
    """Words that Markdown leaves as they are, in a table's cell too."""
    escaped: Iterable[str] = (f"\\{char}" if char in "\\`*_<>[]|" else char for char in text)
    return "".join(escaped).replace("\n", " ")
