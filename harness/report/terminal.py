"""The end of a run at the terminal: what was seen of each deployment, in a line each."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Literal

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.report.seen import (
    Fact,
    addresses_seen,
    apart,
    finding,
    of_kind,
    ports_answering,
    seconds_of,
    together,
)

PHASES = ("boot", "look before", "prepare", "start", "ready", "probes", "stop", "down")
PLACES = ("outside", "localhost", "self")
Columns = tuple[str, ...]
Row = Sequence[Text]
WHOLE: Columns = (
    "",
    "ports",
    *(f"{place} is" for place in PLACES),
    "s",
    "relays for strangers from",
)
BRIEF: Columns = ("", "ports", "s", "seen")
"""Of the variants that are not there to show whom the server takes its clients for."""
NUMBERS = ("ports", "s")
MIN_FINDING = 14
"""Columns for what was found, however narrow the terminal is."""
NOT_SHOWN = {
    "nspawn": "SELinux, kernel modules, and the boot order of real hardware: the machine shares"
    " this computer's kernel; a virtual machine would show them",
}


def read(path: Path) -> list[Fact]:
    """The observations of a run, in the order in which they were made."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.endswith("}")]


def print_summary(
    console: Console,
    run: Path,
    machine: str,
    failed: Mapping[str, int] | None = None,
    most: int | None = None,
) -> None:
    """Print what a run saw; nothing where it deployed nothing.

    Args:
        console: where.
        run: the run's folder.
        machine: the kind of machine.
        failed: scenario variant → how many of its tests did not pass.
        most: with more variants than these, those without a failure are one line a scenario.
    """
    by_scenario: dict[str, list[Fact]] = defaultdict(list)
    for fact in read(run / "observations.jsonl"):
        by_scenario[fact["scenario"]].append(fact)
    if not by_scenario:
        return
    failed = failed or {}
    shown: Mapping[str, Sequence[Fact]] = by_scenario
    if most is not None and len(by_scenario) > most:
        from harness.report.brief import print_briefly

        shown = {name: facts for name, facts in by_scenario.items() if failed.get(name)}
        print_briefly(console, by_scenario)
    if shown:
        print_tables(console, shown, failed)
    console.print(_phases(by_scenario.values()), style="dim")
    if machine in NOT_SHOWN:
        console.print(f"not checkable here: {NOT_SHOWN[machine]}", style="dim")
    console.print(f"observations and evidence: {run}", style="dim", soft_wrap=True)


def print_tables(
    console: Console, by_scenario: Mapping[str, Sequence[Fact]], failed: Mapping[str, int]
) -> None:
    """What was seen, a line for each variant below its scenario's name."""
    rows: dict[Columns, dict[str, list[Row]]] = {WHOLE: {}, BRIEF: {}}
    for scenario, facts in by_scenario.items():
        folder, _, variant = scenario.partition("-")
        deployed = apart(facts)
        places = _places(deployed)
        rows[WHOLE if places else BRIEF].setdefault(folder, []).append(
            [
                _name(variant, failed.get(scenario, 0)),
                together(ports_answering(each) for each in deployed),
                *places,
                Text(f"{median(map(seconds_of, deployed)):.1f}"),
                together(finding(each) for each in deployed),
            ]
        )
    names = max(
        cell_len(row[0].plain) for of in rows.values() for each in of.values() for row in each
    )
    tables = {
        columns: _Table(
            columns, [row for each in of.values() for row in each], names, console.width
        )
        for columns, of in rows.items()
        if of
    }
    # The first sort of lines has a header; what is said in the other one says what it is.
    console.print(
        next(iter(tables.values())).of([[Text(word) for word in next(iter(tables))]]), style="dim"
    )
    for folder in sorted({folder for of in rows.values() for folder in of}):
        console.print(Text(folder, style="bold"))
        for columns, table in tables.items():
            if folder in rows[columns]:
                console.print(table.of(rows[columns][folder]))


def _places(deployed: Sequence[Sequence[Fact]]) -> list[Text]:
    """Whom the server takes its clients for, by the sort of place; nothing where not looked at."""
    seen = [addresses_seen(facts) for facts in deployed]
    return [
        together(
            Text(", ".join(sorted(each.get(p, set()) - {"–"}) or each.get(p, set())))
            for each in seen
            if each
        )
        for p in PLACES
        if any(seen)
    ]


class _Table:
    """Lines in columns of the same widths, whichever of them are printed together.

    Args:
        columns: their headings.
        rows: all lines.
        names: the width of the first column.
        width: that of the terminal, of which the last column gets what is left.
    """

    def __init__(self, columns: Columns, rows: Sequence[Row], names: int, width: int) -> None:
        self.columns = columns
        cells = zip(columns, *([cell.plain for cell in row] for row in rows), strict=True)
        self.widths = [max(map(cell_len, column)) for column in cells]
        self.widths[0] = names
        left = width - sum(self.widths[:-1]) - 2 * (len(columns) - 1)
        self.widths[-1] = max(MIN_FINDING, left)

    def of(self, rows: Sequence[Row]) -> Table:
        """Some of the lines."""
        table = Table(box=None, pad_edge=False, show_header=False)
        for column, width in zip(self.columns, self.widths, strict=True):
            side: Literal["right", "left"] = "right" if column in NUMBERS else "left"
            table.add_column(width=width, justify=side, overflow="fold")
        for row in rows:
            table.add_row(*row)
        return table


def _name(variant: str, failed: int) -> Text:
    """A variant's name, and how many of its tests did not pass."""
    name = Text(f"  {variant}")
    return name.append(f"  {failed} failed", style="bold red") if failed else name


def _phases(deployments: Iterable[Sequence[Fact]]) -> str:
    seconds: dict[str, list[float]] = defaultdict(list)
    for facts in deployments:
        for fact in of_kind(facts, "phase"):
            seconds[fact["subject"]].append(fact["evidence"]["seconds"])
    shown = [f"{phase} {median(seconds[phase]):.1f}" for phase in PHASES if phase in seconds]
    return "median seconds: " + ", ".join(shown)
