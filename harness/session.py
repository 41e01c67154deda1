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
from harness.errors import HarnessError, HostError
from harness.keeper.client import Keeper
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
    """Deploys scenarios, and takes everything down at its end.

    Args:
        run: the run's folder.
        image: the mail server image's source.
        say: tells the user what is being done.
    """

    def __init__(self, run: Path, image: Image, say: Say) -> None:
        self.run = run
        self.image = image
        self.say = say
        self._keeper: Keeper | None = None
        self._golden: Golden | None = None
        self._count = itertools.count(1)
        self._live: list[Deployment] = []
        # Taking down one deployment takes about a second of waiting: the next need not.
        self._undertaker = ThreadPoolExecutor(1, thread_name_prefix="undertaker")
        self._ending: list[Future[list[str]]] = []

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

    def deploy(self, scenario: Scenario) -> Deployment:
        """Begin a deployment on a fork of its own; see `Deployment.up`."""
        machine = self.golden.fork(self.keeper, f"m{next(self._count)}")
        observations = Observations(scenario.id, self.run / "observations.jsonl")
        observations.record("mail server", "image", str(self.image.label))
        deployment = Deployment(
            scenario,
            machine,
            observations,
            self.run / scenario.id,
            lambda phase: self.say(f"{scenario.id}: {phase}"),
        )
        self._live.append(deployment)
        return deployment

    def retire(self, deployment: Deployment) -> None:
        """Take a deployment down in the background; `close` tells what was left of it."""
        if deployment in self._live:
            self._live.remove(deployment)
            self._ending.append(self._undertaker.submit(deployment.down))

    def close(self) -> None:
        """Take everything down and wait until it is gone.

        Raises:
            HarnessError: something is left on this computer; the text names it.
        """
        for deployment in self._live.copy():
            self.retire(deployment)
        self._undertaker.shutdown(wait=True)
        left: list[str] = []
        for ending in self._ending:
            try:
                left += ending.result()
            except (HarnessError, OSError) as error:
                left.append(str(error))
        if self._keeper is not None:
            complaint = self._keeper.close()
            left += [complaint] if complaint else []
            self._keeper = None
        if left:
            raise HostError(
                "left on this computer after the run: " + "; ".join(left),
                "`dms-harness clean` tries again",
            )
