"""How pytest-xdist spreads the work: whole scenario variants, to as many workers as fit."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from xdist.scheduler import LoadScopeScheduling

from harness.memory import MEGABYTE, MEMORY_PER_DEPLOYMENT, available_memory

if TYPE_CHECKING:
    import pytest
    from xdist.workermanage import WorkerController

PER_CORE = 3
"""A deployment waits more than it computes; beyond this, waiting for a core begins."""
AHEAD_PER_CORE = 8
"""As many may exist: what is probed before its turn takes memory alone, and no core."""

ALMOST_DONE = 2
"""xdist gives a worker more to do when it has no more tests left than these."""


def scope_of(nodeid: str) -> str:
    """What goes to one worker as a whole: a scenario variant, a file of integration tests, a test.

    The id of a variant is the first two words of a test's parameters.
    """
    if "/integration/" in nodeid or "/vagrant/" in nodeid:
        return nodeid.partition("::")[0]
    _, bracket, parameters = nodeid.partition("[")
    words = parameters.rstrip("]").split("-")
    return "-".join(words[:2]) if bracket and "/deployments/" in nodeid else nodeid


def share_of(scopes: Iterable[str], worker: str, workers: int) -> list[str]:
    """The scenario variants that a worker gets.

    They are dealt out like cards, so that every worker knows beforehand what it will be asked for,
    and can deploy ahead. Every other one begins with the last: the variants that wait for reboots
    and the like are there, and while some workers wait, the others have the cores.

    Args:
        scopes: all of them, in order, with those of other tests or without.
        worker: the worker's id, `gw0`, `gw1`, …; one that replaces a dead one goes on counting.
        workers: how many there are at a time.
    """
    variants = [scope for scope in scopes if ".py" not in scope]
    number = int(worker.removeprefix("gw")) % workers
    share = variants[number::workers]
    return share[::-1] if number % 2 else share


class PerScenario(LoadScopeScheduling):
    """All tests of a scenario variant go to one worker, so that it is deployed once.

    So do those of a file of integration tests, which share what takes long.
    """

    def __init__(self, config: pytest.Config, log: Any = None) -> None:
        super().__init__(config, log)
        self._scopes: list[str] = []
        self._places: dict[WorkerController, dict[str, int]] = {}

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)

    def _next_for(self, node: WorkerController) -> str | None:
        """What a worker gets next: of its own share, else what is nobody's."""
        # In the order of the tests, as the workers see it; the queue begins with what is largest.
        if not self._scopes:
            self._scopes = list(dict.fromkeys(map(scope_of, self.collection or ())))
        shares = {
            each: share_of(self._scopes, each.gateway.id, self.numnodes) for each in self.nodes
        }
        own = (scope for scope in shares[node] if scope in self.workqueue)
        others = {scope for each in shares if each is not node for scope in shares[each]}
        free = (scope for scope in self.workqueue if scope not in others)
        return next(own, None) or next(free, None)

    def _reschedule(self, node: WorkerController) -> None:
        almost_done = self._pending_of(self.assigned_work[node]) <= ALMOST_DONE
        if almost_done and not node.shutting_down and self._next_for(node) is None:
            node.shutdown()
        else:
            super()._reschedule(node)

    def _assign_work_unit(self, node: WorkerController) -> None:
        scope = self._next_for(node)
        if scope is None:
            return
        unit = self.assigned_work.setdefault(node, {})[scope] = self.workqueue.pop(scope)
        if node not in self._places:
            collected = self.registered_collections[node]
            self._places[node] = {nodeid: place for place, nodeid in enumerate(collected)}
        places = self._places[node]
        node.send_runtest_some([places[nodeid] for nodeid, done in unit.items() if not done])


def suggested_deployments(budget: int = 0) -> int:
    """As many deployments at once as cores and memory make useful.

    Args:
        budget: megabytes that they may take together; 0 for what is available.
    """
    return _by_memory(PER_CORE, budget)


def suggested_ahead(budget: int = 0) -> int:
    """As many deployments as may exist, those included that wait for their tests.

    Args:
        budget: as above.
    """
    return _by_memory(AHEAD_PER_CORE, budget)


def _by_memory(per_core: int, budget: int) -> int:
    memory = budget * MEGABYTE or available_memory()
    return max(1, min((os.cpu_count() or 1) * per_core, memory // MEMORY_PER_DEPLOYMENT))


def suggested_workers() -> int:
    """As many xdist workers as cores: each has several deployments at a time."""
    return min(os.cpu_count() or 1, suggested_deployments())
