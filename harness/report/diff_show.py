"""What changed between two runs, for people at a terminal, for a merge request, for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Any

from harness.report.diff_meaning import Group
from harness.report.diff_rows import Row, by_folder, observed_once, rows
from harness.report.visible import in_markdown, visible

if TYPE_CHECKING:
    from rich.console import Console

    from harness.report.diff import Difference, Nights
    from harness.report.diff_run import Run
    from harness.report.infrastructure import Infrastructure

STYLES = {Group.OPENED: "bold red", Group.UNCLEAR: "bold yellow", Group.CLOSED: "bold green"}
SLOWER = 1.0
"""Seconds by which a phase must differ to be worth a word."""
LONGEST = 60_000
"""Characters of Markdown: an issue on GitHub takes some more."""
WIDEST = 400
"""Characters of one cell of a table in Markdown."""
MOST_NEW = 12
"""Kinds of things that only one run observed of which each has a line."""


def as_object(found: Nights) -> dict[str, Any]:
    """The difference as a plain value; every change by itself."""
    return {
        "a": _side(found.a, found.broken[0], found.only_a, found.infrastructure[0]),
        "b": _side(found.b, found.broken[1], found.only_b, found.infrastructure[1]),
        "generations": [
            {
                "name": pair.generation,
                "a": {**asdict(pair.a.made), "only": [*pair.only_a]},
                "b": {**asdict(pair.b.made), "only": [*pair.only_b]},
                "compared": [*pair.compared],
                "facts": {fact: {"a": was, "b": now} for fact, (was, now) in pair.facts.items()},
                "seconds": {
                    name: {"a": was, "b": now} for name, (was, now) in pair.seconds.items()
                },
            }
            for pair in found.pairs
        ],
        "nothing_in_common": [*found.apart],
        "changes": [asdict(each) for each in found.changes],
        "only_in_b": [asdict(each) for each in found.new],
        "left_out": {"follow_from_others": found.follow},
    }


def print_difference(console: Console, found: Nights) -> None:
    """Print the head, then the changes below the names of their groups."""
    from rich.text import Text

    for line in _head(found):
        console.print(Text(visible(line)), style="dim", soft_wrap=True)
    for group, of in groupby(rows(found.changes), key=lambda row: row.group):
        console.print()
        console.print(Text(group, style=STYLES.get(group, "bold")))
        for row in of:
            console.print(Text(visible(f"  {_title(row)}")), soft_wrap=True)
            told = Text(visible(f"    {row.before} → {row.after}"), style="default")
            told.append(visible(f"  ({_why(row)})") if row.why else "", style="dim")
            console.print(told, soft_wrap=True)
            if row.generations:
                console.print(Text(f"    in {_in(row)}"), style="dim", soft_wrap=True)
    console.print()
    for line in _foot(found):
        console.print(Text(visible(line)), style="dim", soft_wrap=True)
    style = "bold" if found.changes else "bold green"
    console.print(Text(_sum(found)), style=style, soft_wrap=True)


def as_markdown(found: Nights) -> str:
    """The same, in Markdown: no longer than an issue may be, and safe whatever was observed."""
    lines = [f"# {_code(found.a)} → {_code(found.b)}", ""]
    lines += [f"- {in_markdown(line, WIDEST)}" for line in _head(found)[1:]]
    lines += ["", f"**{in_markdown(_sum(found))}**", ""]
    foot = [f"{in_markdown(line, WIDEST)}  " for line in _foot(found)]
    left = LONGEST - _length(lines) - _length(foot)
    several = len(found.pairs) > 1
    told = rows(found.changes)
    shown = 0
    for group, of in groupby(told, key=lambda row: row.group):
        heads = ["what", "before", "after", *(["in"] if several else []), ""]
        table = [
            f"## {group.capitalize()}",
            "",
            f"| {' | '.join(heads)} |",
            "|---" * len(heads) + "|",
        ]
        for row in of:
            cells = [
                _title(row),
                row.before,
                row.after,
                *([_in(row)] if several else []),
                _why(row),
            ]
            line = f"| {' | '.join(in_markdown(cell, WIDEST) for cell in cells)} |"
            if _length([*table, line]) > left - 100:
                break
            table.append(line)
            shown += 1
        if len(table) > 4:
            lines += [*table, ""]
            left -= _length(table) + 1
        if shown < len(told) and len(table) - 4 < sum(row.group is group for row in told):
            break
    if shown < len(told):
        lines += [f"**{_many(len(told) - shown, 'more row')} not shown here.**", ""]
    return "\n".join([*lines, *foot]).rstrip() + "\n"


def _length(lines: Sequence[str]) -> int:
    return sum(len(line) + 1 for line in lines)


def _side(
    name: str, broken: int, only: Sequence[Run], wrong: Mapping[str, Infrastructure]
) -> dict[str, Any]:
    return {
        "run": name,
        "broken_lines": broken,
        "only": [asdict(each.made) for each in only],
        "infrastructure": [{"run": run, **known.as_object()} for run, known in wrong.items()],
    }


def _title(row: Row) -> str:
    parts = [by_folder(row.scenarios), row.what]
    title = ": ".join(part for part in parts if part)
    return f"{title}, from {row.where}" if row.where else title


def _in(row: Row) -> str:
    return "; ".join(row.generations)


def _why(row: Row) -> str:
    """What shows it; of several changes, one's."""
    return f"such as: {row.why}" if row.why and row.changes > 1 else row.why


def _head(found: Nights) -> list[str]:
    lines = [f"{found.a} → {found.b}"]
    for pair in found.pairs:
        said = _of_pair(pair)
        lines += [f"{pair.generation}: {'; '.join(said)}"] if pair.generation else said
    lines += [f"{name}: no scenario variant in common" for name in found.apart]
    for name, only in (("A", found.only_a), ("B", found.only_b)):
        for each in only:
            number = _many(len(each.scenarios), "scenario variant")
            lines.append(f"only in {name}: {_called(each)}, {number}")
    for run, broken in zip((found.a, found.b), found.broken, strict=True):
        if broken:
            lines.append(f"{run}: {_many(broken, 'line')} cut off or not readable")
    for wrong in found.infrastructure:
        lines += [f"{run}: {known.counts}" for run, known in wrong.items() if known.counts]
    return lines


def _of_pair(pair: Difference) -> list[str]:
    lines = [f"{fact}: {was} → {now}" for fact, (was, now) in pair.facts.items()]
    if not pair.facts:
        lines.append("the machines and the mail server are the same")
    lines.append(f"{_many(len(pair.compared), 'scenario variant')} in both")
    for name, only in (("A", pair.only_a), ("B", pair.only_b)):
        if only:
            lines.append(f"only in {name}: {by_folder(only)}")
    for name, run in (("A", pair.a), ("B", pair.b)):
        again = sum(each.times > 1 for each in run.scenarios.values())
        if again:
            lines.append(f"several times in {name}: {_many(again, 'scenario variant')}")
    return lines


def _called(run: Run) -> str:
    from harness.report.generations import names

    return run.generation or names([run.made])[0]


def _foot(found: Nights) -> list[str]:
    lines = []
    if found.follow:
        lines.append(f"{_many(found.follow, 'difference')} not shown: they follow from these")
    if found.new:
        lines.append(f"{_many(len(found.new), 'thing')} observed in B only, no change by itself:")
        told = observed_once(found.new)
        lines += [f"  {line}" for line in told[:MOST_NEW]]
        if len(told) > MOST_NEW:
            lines.append(f"  and {len(told) - MOST_NEW} more kinds")
    for pair in found.pairs:
        slower = [
            f"{phase} {was:.1f} → {now:.1f}"
            for phase, (was, now) in pair.seconds.items()
            if abs(now - was) >= SLOWER
        ]
        if slower:
            of = f"{pair.generation}: " if pair.generation else ""
            lines.append(f"{of}median seconds, for information: {', '.join(slower)}")
    return lines


def _sum(found: Nights) -> str:
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
    return f"`{visible(text).replace('`', chr(39))}`"
