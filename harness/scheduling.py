"""How pytest-xdist spreads the work: whole scenario variants, to as many workers as fit."""

from __future__ import annotations

import os
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

MEMORY_PER_DEPLOYMENT = 600 << 20
"""Bytes: a machine (80 MB), the mail server (up to 200 MB), and as much again for the page cache,
without which everything waits for the disk. An xdist worker (120 MB) fits in as well."""
PER_CORE = 3
"""A deployment waits more than it computes; beyond this, waiting for a core begins."""


class PerScenario(LoadScopeScheduling):
    """All tests of a scenario variant go to one worker, so that it is deployed once.

    So do those of a file of integration tests, which share what takes long.
    """

    def _split_scope(self, nodeid: str) -> str:
        """The scenario variant's id, the first two words of a test's parameters; or the test."""
        if "/integration/" in nodeid:
            return nodeid.partition("::")[0]
        _, bracket, parameters = nodeid.partition("[")
        words = parameters.rstrip("]").split("-")
        return "-".join(words[:2]) if bracket and "/deployments/" in nodeid else nodeid


def available_memory() -> int:
    """Bytes that can be used without swapping."""
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return 0


def suggested_deployments() -> int:
    """As many deployments at once as cores and memory make useful."""
    by_cores = (os.cpu_count() or 1) * PER_CORE
    return max(1, min(by_cores, available_memory() // MEMORY_PER_DEPLOYMENT))


def suggested_workers() -> int:
    """As many xdist workers, each of which has one deployment at a time."""
    return suggested_deployments()
