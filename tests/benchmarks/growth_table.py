"""The table of what growth.py has measured, and where it says that the limit lies."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from statistics import median
from typing import Any

from harness.memory import MEGABYTE, MEMORY_PER_DEPLOYMENT

BUSY = 0.85
"""Share of the cores' time from which on more workers have nothing to work with."""
QUIET = 0.1
"""Share of the cores' time that a computer may be at other things and still counts as quiet."""


def table(measured: Sequence[dict[str, Any]], fewest: int) -> str:
    """The table, and what it says about limits; of the computer that was measured last.

    Args:
        measured: as growth.jsonl has it, in its order.
        fewest: how many variants there are, of which some are deployed several times.
    """
    here = [each for each in measured if each["computer"] == measured[-1]["computer"]]
    groups: dict[tuple[int, int], list[dict[str, Any]]] = defaultdict(list)
    for each in here:
        groups[each["variants"], each["workers"]].append(each)
    good = {key: best for key, runs in groups.items() if (best := _best(runs))}
    lines = [
        "# Growth",
        "",
        f"`make bench-growth` until {here[-1]['at']}: {here[-1]['computer']}, embedded machines,"
        " the stand-in.",
        "",
        f"{fewest} variants that check everything, each deployed once, three times, …;"
        " medians of as many runs as the last column says. Times depend on the computer; compare"
        " ratios: `per variant` is against the fewest variants with as many workers, 1.00 where"
        " time grows as the variants do; `workers` against one worker. Memory is proportional"
        f" (PSS), at its peak. Where the cores were busy before it for more than"
        f" {100 * QUIET:.0f} % of the time, the computer had other things to do, and the row says"
        " little.",
        "",
        "| variants | workers | s | s a variant | per variant | workers | machines at once"
        " | memory, MB | of it machines | available falls by | disk, MB | cores busy"
        " | wait for disk | busy before | runs |",
        "|" + "---:|" * 15,
    ]
    for key in sorted(groups):
        variants, workers = key
        failed = sum(bool(run["status"]) for run in groups[key])
        note = f" and {failed} failed" if failed else ""
        if key not in good:
            lines.append(f"| {variants} | {workers} |" + " |" * 12 + f" {failed} failed |")
            continue
        cells = [str(variants), str(workers), *_cells(key, good)]
        lines.append(f"| {' | '.join(cells)} | {len(good[key])}{note} |")
    if good:
        lines += ["", *limits(good)]
    return "\n".join(lines) + "\n"


def _best(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that passed; of these, those on a quiet computer if there are any."""
    passed = [run for run in runs if not run["status"]]
    return [run for run in passed if run["busy before"] <= QUIET] or passed


def _middle(of: Sequence[dict[str, Any]], name: str) -> float | None:
    values = [each[name] for each in of]
    return None if None in values else float(median(values))


def _cells(key: tuple[int, int], good: dict[tuple[int, int], list[dict[str, Any]]]) -> list[str]:
    variants, workers = key
    seconds = {each: median(run["seconds"] for run in runs) for each, runs in good.items()}
    least = min(v for v, w in good if w == workers)
    growth = (seconds[key] / variants) / (seconds[least, workers] / least)
    alone = seconds.get((variants, 1))
    cells = [
        f"{seconds[key]:.0f}",
        f"{seconds[key] / variants:.2f}",
        f"{growth:.2f}",
        f"{seconds[key] / alone:.2f}" if alone else "",
    ]
    for name in ("at_once", "tree", "machines", "available", "disk"):
        value = _middle(good[key], name)
        cells.append("unknown" if value is None else f"{value:.0f}")
    for name in ("busy", "waiting for disk"):
        cells.append(f"{100 * median(run[name] for run in good[key]):.0f} %")
    cells.append(f"{100 * max(run['busy before'] for run in good[key]):.0f} %")
    return cells


def limits(good: dict[tuple[int, int], list[dict[str, Any]]]) -> list[str]:
    """Where the limit lies, as far as what was measured tells."""
    busiest = max(good, key=lambda key: median(run["busy"] for run in good[key]))
    busy = median(run["busy"] for run in good[busiest])
    waiting = max(median(run["waiting for disk"] for run in runs) for runs in good.values())
    every = [run for runs in good.values() for run in runs if run["at_once"]]
    lines = [
        f"- Cores: busy {100 * busy:.0f} % at most ({busiest[0]} variants, {busiest[1]} workers): "
        + ("they are the limit." if busy >= BUSY else "not the limit here.")
    ]
    if every:
        # Without what others took meanwhile, where that is known.
        each = max((run["tree"] or run["available"]) / run["at_once"] for run in every)
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // MEGABYTE
        set_aside = MEMORY_PER_DEPLOYMENT // MEGABYTE
        lines.append(
            f"- Memory: {each:.0f} MB for each machine at once, everything else included, without"
            f" the pages that the kernel keeps of files; {set_aside} MB are set aside. {total} MB"
            f" would do for {total // set_aside} at once."
        )
        disk = max(run["disk"] / run["at_once"] for run in every)
        lines.append(
            f"- Disk: {disk:.0f} MB for each machine at once; the cores waited for it"
            f" {100 * waiting:.0f} % of the time at most."
        )
    return lines
