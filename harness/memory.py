"""How much memory there is for machines, and what of it one takes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from harness.errors import HostError
from harness.memory_locks import Held

ENVIRONMENT: Final = "DMS_HARNESS_MEMORY_BUDGET"
MEGABYTE: Final = 1 << 20
MEMORY_PER_DEPLOYMENT = 600 << 20
"""Bytes: a machine (80 MB), the mail server (up to 200 MB), and as much again for the page cache,
without which everything waits for the disk. An xdist worker (120 MB) fits in as well."""


def available_memory() -> int:
    """Bytes that can be used without swapping."""
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return 0


def budget_of(option: int) -> int:
    """The megabytes that all machines together may take; 0 for what is available.

    Args:
        option: what was given to `--memory-budget`, or 0.

    Raises:
        HostError: it is no such number.
    """
    given = option or os.environ.get(ENVIRONMENT) or 0
    try:
        budget = int(given)
    except ValueError:
        budget = -1
    if budget < 0:
        raise HostError(f"{ENVIRONMENT}={given}: no number of megabytes", "such as 4096")
    return budget


def lacking(megabytes: int, held: Sequence[Held], budget: int, available: int) -> str:
    """Why there is no room for one more machine, or nothing; for one there always is.

    Args:
        megabytes: what it takes.
        held: what is set aside for all that are there.
        budget: megabytes for all together; 0 for what is available.
        available: megabytes that are.

    Raises:
        HostError: machines that are kept leave no room, and nobody knows until when.
    """
    taken = sum(each.megabytes for each in held)
    kept = sum(each.megabytes for each in held if each.is_kept)
    if budget and kept + megabytes > budget:
        raise HostError(
            f"--memory-budget {budget}: machines that are kept have {kept} MB of it, and"
            f" one more takes {megabytes}",
            "`dms-harness clean --kept` ends them; or give more",
        )
    if taken == kept:
        return ""
    if budget and taken + megabytes > budget:
        return (
            f"waits for memory: machines have {taken} of the {budget} MB that they may"
            f" have together, and one more takes {megabytes}"
        )
    # Those that start have not taken theirs yet; of what the others have, half is for pages
    # that the kernel calls available.
    starting = sum(each.megabytes for each in held if each.is_starting)
    promised = starting + (taken - starting) // 2
    if available < promised + megabytes:
        return (
            f"waits for memory: {available} MB are available, {promised} of them for machines"
            f" that are there, and one more takes {megabytes}"
        )
    return ""
