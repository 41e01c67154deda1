"""What `dms-harness guide` says, to people and to programs."""

from __future__ import annotations

import json
from dataclasses import asdict

from rich.console import Console
from rich.text import Text

from harness.guide.drift import Drift, Result, Row
from harness.report.as_json import labelled

COLOUR = {"changed": "yellow", "moved": "cyan", "new": "magenta", "gone": "red", "not run": "red"}
SIGN = {"-": "red", "+": "green", " ": "dim"}


def as_json(result: Result) -> str:
    """The result as an object: `schema`, `guide`, `blocks`, `quotes`, and `drift`, a list."""
    return json.dumps(labelled("guide", asdict(result)), indent=2, ensure_ascii=False)


def print_result(console: Console, result: Result) -> None:
    """Print a line with the result, and an entry for each thing that does not agree."""
    counted = f"{result.guide}: {_many(result.blocks, 'code block')}"
    counted += f", {_many(result.quotes, 'quote')}"
    if not result.drift:
        _say(console, Text(f"{counted}: all agree with the scenarios", style="bold green"))
        return
    number = len(result.drift)
    parted = "1 thing has drifted" if number == 1 else f"{number} things have drifted"
    _say(console, Text(f"{counted}: {parted}", style="bold red"))
    columns = [_columns(result.guide, each) for each in result.drift]
    widths = [max(map(len, column)) for column in zip(*columns, strict=True)]
    for each, cells in zip(result.drift, columns, strict=True):
        console.print()
        styles = ("bold", COLOUR[each.kind], "bold")
        head = Text()
        for cell, width, style in zip(cells, widths, styles, strict=True):
            head.append(cell.ljust(width), style).append("  ")
        _say(console, head.append(each.says))
        _say(console, Text(f"{'':{widths[0]}}  ours: {each.ours}", style="dim"))
        for row in each.rows:
            _say(console, _row(row, widths[0]))


def _columns(guide: str, drift: Drift) -> tuple[str, str, str]:
    place = guide if drift.line is None else f"{guide}:{drift.line}"
    name = f"{drift.what} {drift.name}" if drift.name else drift.what
    return f"{place}:", drift.kind, name


def _row(row: Row, indent: int) -> Text:
    """A line of a comparison: its number in ours, its number in the guide, the line."""
    ours, guide = (("" if number is None else str(number)) for number in (row.ours, row.guide))
    line = Text(f"{'':{indent}}  {ours:>4} {guide:>4} ", style="dim")
    return line.append(f"{row.sign} {row.text}", SIGN[row.sign])


def _say(console: Console, text: Text) -> None:
    # Lines stay whole: editors and terminals open what stands before the second colon.
    console.print(text, soft_wrap=True)


def _many(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
