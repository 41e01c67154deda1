"""One process's part in a run: its keeper, its stock of machines, and its deployments."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING

from harness.deploying import Deploying, network_of
from harness.errors import HostError
from harness.keeper.client import Keeper
from harness.kept.keeping import Keeping
from harness.kept.options import Keep
from harness.loop import cancel_all
from harness.machines.stock import Stock
from harness.machines.supply import MEMORY, Supply
from harness.mailserver.image import Image
from harness.progress import KEPT, PLANS, Progress
from harness.room import Room
from harness.scenario import Scenario

if TYPE_CHECKING:
    from harness.deployment import Deployment

OpenStock = Callable[[Keeper], Stock]
"""Finds or makes what a run's machines come from; may take minutes."""

Say = Callable[[str], None]

KEEPER_LOOK = 0.5
"""Seconds between two looks whether the keeper still lives, while a deployment is waited for."""
WAITING = 0.5
"""What counts as a whole deployment where the cores are concerned, of one that mostly waits for
what it has done to a mail server to have happened."""
ABANDONED_WITHIN = 5.0
"""Seconds that a deployment on its way is given to notice that its machine is gone."""


class Session:
    """Deploys scenarios ahead of the tests that are about them, and takes everything down.

    Deploying and probing is mostly waiting, so several deployments are on their way at once while
    the tests, which only judge, follow in order. What is probed before its turn costs no more than
    memory until then, and does not keep others from being deployed.

    Args:
        run: the run's folder.
        image: the mail server image's source.
        keeper: the keeper, on its way; closed with the session.
        open_stock: where machines come from; called when the first one is needed.
        say: tells the user what is being done.
        at_once: how many deployments may be on their way at a time.
        ahead: how many may exist, those included that wait for their tests; as many by default.
        room: lets them in as memory and cores allow; by default one after the other.
        progress: is told of each phase of each deployment.
        keep: what the user asked to be kept, as others are told it; what is kept is said by
            `keep` for each deployment.
    """

    def __init__(
        self,
        run: Path,
        image: Image,
        keeper: Future[Keeper],
        open_stock: OpenStock,
        say: Say,
        at_once: int,
        room: Room | None = None,
        progress: Progress | None = None,
        keep: Keep = Keep.NEVER,
        ahead: int = 0,
    ) -> None:
        self.run = run
        self.image = image
        self.say = say
        self._at_once = at_once
        self._ahead = max(at_once, ahead)
        self._progress = progress or Progress()
        self._coming_keeper: Future[Keeper] | None = keeper
        self._keeper: Keeper | None = None
        self._planned: dict[str, tuple[Scenario, bool]] = {}
        self._coming: dict[str, Future[Deployment]] = {}
        self._shares: dict[str, float] = {}
        self._begun: dict[str, Future[Deployment]] = {}
        self._kept = Keeping(run, str(image.label), keep, say)
        self._ending: list[Future[list[str]]] = []
        self.proof = ""
        """What was shown of a host that stays, once the session is closed."""
        self._workers = ThreadPoolExecutor(self._ahead, thread_name_prefix="deploy")
        self._supply = Supply(lambda: open_stock(self.keeper), room or Room(), self._workers)
        self._deploying = Deploying(
            run, image, self._supply, self._progress, say, lambda: self._is_gone
        )
        # Taking one down is mostly waiting as well: the next need not wait for it.
        self._undertaker = ThreadPoolExecutor(1, thread_name_prefix="undertaker")

    @property
    def keeper(self) -> Keeper:
        """The keeper, when it has started.

        Raises:
            HostError: this computer cannot have one, or it is closed already.
        """
        if self._keeper is None:
            if self._coming_keeper is None:
                raise HostError("the run has ended: its keeper is closed")
            coming, self._coming_keeper = self._coming_keeper, None
            self._keeper = coming.result()
            for thing in self._keeper.call("hello")["swept"]:
                self.say(f"removed what a dead run had left: {thing}")
        return self._keeper

    @property
    def _is_gone(self) -> bool:
        return self._keeper is None or self._keeper.is_gone()

    @property
    def stock(self) -> Stock:
        """Where machines come from; made when the first one is needed and not yet there.

        Raises:
            HarnessError: it cannot be made.
        """
        return self._supply.stock

    def boot_ahead(self, scenario: Scenario) -> None:
        """Begin to boot a machine like a scenario's, for whichever asks for one like it first.

        Collecting the tests takes a while, and booting does; nothing is lost if none asks for it.

        Raises:
            HarnessError: there can be no machines.
        """
        self._supply.boot_ahead(network_of(scenario))

    def plan(self, scenario: Scenario, observe: bool) -> None:
        """Announce a deployment that tests will ask for, in the order in which they will.

        Args:
            scenario: what will be deployed.
            observe: whether a test will ask for the observations.
        """
        _, before = self._planned.get(scenario.id, (scenario, False))
        self._planned[scenario.id] = (scenario, before or observe)

    def planned(self) -> None:
        """Tell how many deployments have been announced."""
        self._progress.note("", PLANS, str(len(self._planned)))
        needed = {network_of(scenario) for scenario, _ in self._planned.values()}
        self._ending += map(self._undertaker.submit, self._supply.not_needed(needed))

    def deploy(self, scenario: Scenario) -> Deployment:
        """The deployment of a scenario, when it is up (or has failed to come up) and probed.

        Begins as many of the planned ones after it as there is room for.

        Raises:
            HarnessError: the machine failed, twice.
        """
        if scenario.id not in self._coming:  # else it would be planned, and deployed, once more
            self.plan(scenario, observe=False)
            self._begin(scenario.id)
        self._deploying.hurry(scenario)
        self._begin_more()
        coming = self._coming.get(scenario.id)
        while coming and wait([coming], KEEPER_LOOK).not_done:
            if self.keeper.is_gone():
                # So are its machines; the probes would wait for them in vain.
                self._abandon()
            else:
                self._begin_more()
        if coming is None or self.keeper.is_gone():
            raise HostError(
                f"{scenario.id}: the keeper is gone: something killed it",
                "`dms-harness clean` removes what is left",
            )
        return coming.result()

    def _begin_more(self) -> None:
        """Begin those that are planned next, as long as cores and memory are for more of them."""
        limit = self.stock.limit
        most = self._ahead if limit is None else min(limit, self._ahead)
        for name, (scenario, _) in list(self._planned.items()):
            on_their_way = [each for each, of in self._coming.items() if not of.done()]
            busy = sum(self._shares[each] for each in on_their_way)
            if len(self._coming) >= most or busy + _share(scenario) > self._at_once:
                return
            self._begin(name)

    def _begin(self, name: str) -> None:
        if name in self._coming or name not in self._planned or self.keeper.is_gone():
            return
        self.stock.prepare()  # here, not by several threads at once
        scenario, observe = self._planned.pop(name)
        # In this order they will be needed, whichever thread comes first.
        self._deploying.take_place(scenario)
        self._shares[name] = _share(scenario)
        self._coming[name] = self._workers.submit(self._deploying.bring_up, scenario, observe)
        self._begun[name] = self._coming[name]

    def retire(self, scenario: Scenario) -> None:
        """Take a deployment down in the background; `close` tells what was left of it."""
        coming = self._coming.pop(scenario.id, None)
        # One that is still on its way was interrupted: `close` does not wait for it.
        if coming is not None and coming.done() and coming.exception() is None:
            self._ending.append(self._undertaker.submit(self._deploying.end, coming.result()))

    def keep(self, scenario: Scenario) -> None:
        """Leave a deployment to the user when the session is closed, instead of `retire`."""
        coming = self._coming.get(scenario.id)
        if coming is None or not coming.done() or coming.exception() is not None:
            return self.retire(scenario)
        deployment = coming.result()
        if why_not := self._kept.add(deployment, self._deploying.places[scenario.id], MEMORY):
            self.say(f"{scenario.id} is not kept: {why_not}")
            return self.retire(scenario)
        del self._coming[scenario.id]
        self._progress.note(scenario.id, KEPT)
        return None

    def keep_nothing(self) -> None:
        """Take down what was to be kept as well: the user wants an end."""
        self._kept.clear()

    def close(self) -> None:
        """Take everything down, whatever it is doing, and wait until it is gone, once.

        Raises:
            HostError: something is left on this computer; the text names it.
        """
        if self._deploying.closed and self._keeper is None:
            return
        self._deploying.closed = True
        self._planned.clear()
        if on_their_way := [name for name, begun in self._begun.items() if not begun.done()]:
            self.say(f"ending what is on its way: {', '.join(on_their_way)}")
        if self._coming_keeper is not None:
            with contextlib.suppress(HostError):  # whoever asked for it was told
                assert self.keeper
        left = self._deploying.left
        try:
            left += self._supply.remove_ahead()
            self._undertaker.shutdown(wait=True)
            for deployment in self._deploying.made:
                if deployment in self._kept:
                    deployment.leave()
                else:
                    left += self._deploying.down(deployment)
            for ending in self._ending:
                left += ending.result()
            of_stock, self.proof = self._supply.close_stock()
            left += of_stock
        except BaseException:
            self._kept.clear()
            raise
        finally:
            # A user who interrupts once more does not wait: the keeper takes down all the same.
            keeper, self._keeper = self._keeper, None
            try:
                self._abandon()
            finally:
                complaint = self._kept.let_go(keeper) if keeper is not None else ""
                self._supply.give_up_places()
                self._deploying.give_up_places()
        left += [complaint] if complaint else []
        if left:
            raise HostError(
                "left after the run: " + "; ".join(left),
                "`dms-harness clean` tries again, on a host of yours with --machine ssh:…",
            )

    def _abandon(self) -> None:
        """End what is still on its way: its machine is gone, and nobody waits for it."""
        self._workers.shutdown(wait=False, cancel_futures=True)
        deadline = time.monotonic() + ABANDONED_WITHIN
        while wait(self._begun.values(), 0.05).not_done and time.monotonic() < deadline:
            cancel_all()


def _share(scenario: Scenario) -> float:
    """How much of a deployment's usual work one of a scenario variant is."""
    return WAITING if scenario.settings.checks == "life" else 1.0
