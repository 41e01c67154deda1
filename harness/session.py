"""One process's part in a run: its keeper, its golden, and its deployments."""

from __future__ import annotations

import itertools
import os
import secrets
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from harness import cache
from harness.deployment import Deployment
from harness.errors import HostError, MachineError
from harness.keeper.client import Keeper, ignore_progress
from harness.machines import golden
from harness.machines.golden import Golden
from harness.mailserver.image import Image
from harness.observations import Observations
from harness.scenario import Scenario

Say = Callable[[str], None]


def new_run(folder: Path) -> Path:
    """A new folder for a run's record, named by its time, and `latest` pointing to it."""
    run = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    run.mkdir(parents=True)
    latest = folder / "latest"
    fresh = folder / f".latest-{os.getpid()}"
    fresh.symlink_to(run.name)
    fresh.replace(latest)
    return run


class Session:
    """Deploys scenarios ahead of the tests that are about them, and takes everything down.

    Deploying and probing is mostly waiting, so several deployments are on their way at once while
    the tests, which only judge, follow in order.

    Args:
        run: the run's folder.
        image: the mail server image's source.
        say: tells the user what is being done.
        at_once: how many deployments may exist at a time.
        phases: tells the user of each phase of each deployment, where that is wanted.
    """

    def __init__(
        self, run: Path, image: Image, say: Say, at_once: int, phases: Say | None = None
    ) -> None:
        self.run = run
        self.image = image
        self.say = say
        self.at_once = at_once
        self._phases = phases or ignore_progress
        self._keeper: Keeper | None = None
        self._golden: Golden | None = None
        self._count = itertools.count(1)
        self._planned: dict[str, tuple[Scenario, bool]] = {}
        self._coming: dict[str, Future[Deployment]] = {}
        self._made: list[Deployment] = []
        self._ending: list[Future[list[str]]] = []
        self._closed = False
        self._workers = ThreadPoolExecutor(at_once, thread_name_prefix="deploy")
        # Taking one down is mostly waiting as well: the next need not wait for it.
        self._undertaker = ThreadPoolExecutor(1, thread_name_prefix="undertaker")

    @property
    def keeper(self) -> Keeper:
        """The keeper; started when it is first needed.

        Raises:
            HostError: this computer cannot have one.
        """
        if self._keeper is None:
            self._keeper = Keeper(cache.folder(), "run")
            for thing in self._keeper.call("hello")["swept"]:
                self.say(f"removed what a dead run had left: {thing}")
        return self._keeper

    @property
    def golden(self) -> Golden:
        """What machines are forked from; built when it is first needed and not yet there."""
        if self._golden is None:
            self._golden = golden.ensure(self.keeper, self.image, self.say)
        return self._golden

    def plan(self, scenario: Scenario, observe: bool) -> None:
        """Announce a deployment that tests will ask for, in the order in which they will.

        Args:
            scenario: what will be deployed.
            observe: whether a test will ask for the observations.
        """
        _, before = self._planned.get(scenario.id, (scenario, False))
        self._planned[scenario.id] = (scenario, before or observe)

    def deploy(self, scenario: Scenario) -> Deployment:
        """The deployment of a scenario, when it is up (or has failed to come up) and probed.

        Begins as many of the planned ones after it as there is room for.

        Raises:
            HarnessError: the machine failed, twice.
        """
        self.plan(scenario, observe=False)
        self._begin(scenario.id)
        for name in list(self._planned):
            if len(self._coming) < self.at_once:
                self._begin(name)
        return self._coming[scenario.id].result()

    def _begin(self, name: str) -> None:
        if name in self._coming or name not in self._planned:
            return
        assert self.golden  # built here, not by several threads at once
        scenario, observe = self._planned.pop(name)
        self._coming[name] = self._workers.submit(self._bring_up, scenario, observe)

    def _bring_up(self, scenario: Scenario, observe: bool) -> Deployment:
        deployment = self._new(scenario)
        try:
            deployment.boot()
        except MachineError as error:
            if self._closed:
                raise
            # A machine that fails says nothing about the scenario: once more, and say so.
            self.say(f"{scenario.id}: {error.message}; trying once more on a new machine")
            deployment.observations.record("retry", "boot", "failed", why=error.message)
            deployment.down()
            deployment = self._new(scenario)
            deployment.boot()
        deployment.up()
        if observe and deployment.failure is None:
            deployment.observe()
        return deployment

    def _new(self, scenario: Scenario) -> Deployment:
        machine = self.golden.fork(self.keeper, f"m{next(self._count)}")
        observations = Observations(scenario.id, self.run / "observations.jsonl")
        observations.record("mail server", "image", str(self.image.label))
        deployment = Deployment(
            scenario,
            machine,
            observations,
            self.run / scenario.id,
            lambda phase: self._phases(f"{scenario.id}: {phase}"),
        )
        self._made.append(deployment)
        return deployment

    def retire(self, scenario: Scenario) -> None:
        """Take a deployment down in the background; `close` tells what was left of it."""
        coming = self._coming.pop(scenario.id, None)
        if coming is not None and coming.exception() is None:
            self._ending.append(self._undertaker.submit(coming.result().down))

    def close(self) -> None:
        """Take everything down, whatever it is doing, and wait until it is gone, once.

        Raises:
            HostError: something is left on this computer; the text names it.
        """
        if self._closed:
            return
        self._closed = True
        self._planned.clear()
        self._undertaker.shutdown(wait=True)
        left: list[str] = []
        for deployment in self._made:
            # Those that are still on their way notice that their machine is gone.
            left += deployment.down()
        self._workers.shutdown(wait=True, cancel_futures=True)
        for deployment in self._made:
            left += deployment.down()
        for ending in self._ending:
            left += ending.result()
        if self._keeper is not None:
            complaint = self._keeper.close()
            left += [complaint] if complaint else []
            self._keeper = None
        if left:
            raise HostError(
                "left on this computer after the run: " + "; ".join(left),
                "`dms-harness clean` tries again",
            )
