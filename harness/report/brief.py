"""What was seen of many deployments, a line for each scenario."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.report.seen import OPEN, Fact, apart, counted_ports, of_kind, port_count, relaying

Variants = dict[tuple[str, int], Sequence[Fact]]
"""Variant and number of its deployment → what was seen of that."""
COLUMNS: Final[Mapping[str, Literal["left", "right"]]] = {
    "": "left",
    "variants": "right",
    "ports": "right",
    "relays for strangers with": "left",
}
"""Headings, and the side that what is below them is at."""


def print_briefly(console: Console, by_scenario: Mapping[str, Sequence[Fact]]) -> None:
    """Print what was seen of many variants, a line for each scenario."""
    folders: dict[str, Variants] = defaultdict(dict)
    for scenario, facts in by_scenario.items():
        folder, _, variant = scenario.partition("-")
        for number, deployed in enumerate(apart(facts)):
            folders[folder][variant, number] = deployed
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column, side in COLUMNS.items():
        table.add_column(column, justify=side, overflow="fold")
    for folder, variants in sorted(folders.items()):
        count = str(len({name for name, _ in variants}))
        table.add_row(folder, count, _all_ports(variants.values()), _open(variants))
    console.print(table)


def _all_ports(deployments: Iterable[Sequence[Fact]]) -> Text:
    """How many ports answered over all variants, of those that were to."""
    counts = [counted_ports(facts) for facts in deployments]
    answering, expected, elsewhere = (sum(column) for column in zip(*counts, strict=True))
    if not expected and not elsewhere:
        return Text("–", style="dim")
    return port_count(answering, expected, elsewhere)


def _open(variants: Variants) -> Text:
    """With which variants the server relays for strangers, and with how many it does not."""
    found = {name: relaying(facts) for name, facts in variants.items() if of_kind(facts, "relay")}
    closed = sum(said.plain.startswith("nowhere") for said in found.values())
    unclear = dict.fromkeys(n for (n, _), said in found.items() if "inconclusive" in said.plain)
    is_open = dict.fromkeys(name for (name, _), said in found.items() if said.style == OPEN)
    text = Text(", ".join(is_open), style=OPEN)
    if unclear:
        text.append(f"{'; ' if text else ''}inconclusive: {', '.join(unclear)}", style="bold red")
    if closed:
        text.append(f"{'; ' if text else ''}nowhere: {closed} of {len(found)}", style="green")
    return text
