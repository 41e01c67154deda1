"""Finds each block that `guide.toml` knows in the guide, and says what does not agree."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness.guide.agreement import Agreement, Contained, Equal
from harness.guide.commands import Commands
from harness.guide.drift import Drift, Result
from harness.guide.flow import heading_line, plain
from harness.guide.ours import beside, place_of
from harness.guide.page import Block, Page
from harness.guide.quotes import Quoted, compare_quotes
from harness.guide.table import Entry

LIKE = 0.5
"""How much of a block's text must be left for it to count as changed, not as another one."""
LIKE_BESIDE = 0.3
"""The same, where it stands under its heading."""


def compare(
    page: Page,
    table: Mapping[str, Entry],
    table_file: Path,
    claims: Sequence[Quoted],
    claims_file: Path,
) -> Result:
    """Hold the guide against what is ours.

    Args:
        page: the guide.
        table: what `guide.toml` says of its blocks.
        table_file: where that is; what it names lies beside it.
        claims: whose quotes to look for.
        claims_file: where they are.

    Raises:
        GuideError: a file of ours cannot be read.
    """
    drift = [*_compare_blocks(page, table, table_file), *compare_quotes(page, claims, claims_file)]
    drift.sort(key=lambda each: each.line or math.inf)
    return Result(page.name, len(page.blocks), len(claims), drift)


def _compare_blocks(page: Page, table: Mapping[str, Entry], file: Path) -> Iterator[Drift]:
    agreeing = {name: ways(entry, file) for name, entry in table.items()}
    meant = pairs(page.blocks, table, agreeing)
    for name, entry in table.items():
        for way in agreeing[name]:
            if isinstance(way, Commands):
                for says, ours in way.not_run():
                    at = meant[name].line if name in meant else None
                    yield Drift("not run", "block", name, at, says, ours)
        if name not in meant:
            line = heading_line(page, entry.section)
            says = f"under “{entry.section}”" + ("" if line else ", which is gone as well")
            yield Drift("gone", "block", name, line, says, place_of(file, name))
            continue
        block = meant[name]
        if not _stands_there(block, entry):
            inner = (*block.within[-1:], "no admonition or tab")[0]
            now, was = block.section, entry.section
            if entry.within is not None:
                now, was = f"{now} / {inner}", f"{was} / {entry.within}"
            says = f"it stands under “{now}” now, not under “{was}”"
            yield Drift("moved", "block", name, block.line, says, place_of(file, name))
        for way in agreeing[name]:
            for each in way.differences(block):
                yield Drift("changed", "block", name, each.line, each.says, each.ours, each.rows)
    for block in page.blocks:
        if not any(block is known for known in meant.values()):
            first = next((text.strip() for text in block.text.splitlines() if text.strip()), "")
            says = f"no scenario shows it, under “{block.section}”: {first}"
            yield Drift("new", "block", "", block.line, says, str(file))


def ways(entry: Entry, file: Path) -> Sequence[Agreement]:
    """The ways in which an entry's block must agree, all of them."""
    if entry.equal is not None:
        return [Equal(beside(file, entry.equal))]
    if entry.command:
        return [Commands(entry.command, file)]
    return [Contained(beside(file, name), entry.same) for name in entry.contained_in]


def pairs(
    blocks: Sequence[Block], table: Mapping[str, Entry], agreeing: Mapping[str, Sequence[Agreement]]
) -> dict[str, Block]:
    """The block that each entry means: the most alike first, and none twice."""
    candidates = []
    for name, entry in table.items():
        for block in blocks:
            in_section = plain(block.section) == plain(entry.section)
            like = max(way.likeness(block) for way in agreeing[name])
            if like >= (LIKE_BESIDE if in_section else LIKE):
                # Where two are equally alike, the one in its place.
                candidates.append(
                    (like + in_section / 4 + _stands_there(block, entry) / 8, name, block)
                )
    candidates.sort(key=lambda each: -each[0])
    meant: dict[str, Block] = {}
    for _, name, block in candidates:
        if name not in meant and not any(block is known for known in meant.values()):
            meant[name] = block
    return meant


def _stands_there(block: Block, entry: Entry) -> bool:
    """Whether a block is in the section, and the tab or admonition, that an entry says."""
    inner = block.within[-1] if block.within else ""
    return plain(block.section) == plain(entry.section) and (
        entry.within is None or plain(inner) == plain(entry.within)
    )
