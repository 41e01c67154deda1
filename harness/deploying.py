"""The way up of each of a run's deployments, and down."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import HostError, MachineError
from harness.machines.stock import Network
from harness.machines.supply import MEMORY, Supply
from harness.mailserver.image import Image
from harness.observations import Observations
from harness.progress import ERROR, FAILED, FOR_MEMORY, GONE, UP, WAITS, Progress
from harness.room import Place
from harness.scenario import Scenario

if TYPE_CHECKING:
    from harness.deployment import Deployment

Say = Callable[[str], None]

NO_SPACE = os.strerror(errno.ENOSPC)
"""What programs on a machine say where this computer's disk is full."""


class Deploying:
    """Brings deployments up, each on a machine of its own, and takes them down.

    Args:
        run: the run's folder.
        image: the mail server image's source.
        supply: gives machines, and places for them.
        progress: is told of each phase of each deployment.
        say: tells the user what is being done.
        is_gone: whether the keeper, and with it all machines, is gone.

    Attributes:
        places: a scenario variant's id → its place in memory, from when its deployment is begun.
        made: all deployments so far.
        left: what was left on this computer of those that no test saw, in words.
        closed: whether the run ends: no machine is made any more.
    """

    def __init__(
        self,
        run: Path,
        image: Image,
        supply: Supply,
        progress: Progress,
        say: Say,
        is_gone: Callable[[], bool],
    ) -> None:
        self._run = run
        self._image = image
        self._supply = supply
        self._progress = progress
        self._say = say
        self._is_gone = is_gone
        self.places: dict[str, Place] = {}
        self.made: list[Deployment] = []
        self.left: list[str] = []
        self.closed = False

    def take_place(self, scenario: Scenario) -> None:
        """Queue up for memory and a core, before others that come later."""
        self._progress.note(scenario.id, WAITS)
        self.places[scenario.id] = self._supply.place(network_of(scenario))

    def hurry(self, scenario: Scenario) -> None:
        """Say that a test waits for a deployment, where it is begun."""
        if scenario.id in self.places:
            self.places[scenario.id].hurry()

    def bring_up(self, scenario: Scenario, observe: bool) -> Deployment:
        """Deploy a scenario that has a place: it is up, or has failed to come up, and is probed.

        Args:
            scenario: which one.
            observe: whether a test will ask for the observations.

        Raises:
            HarnessError: the machine failed, twice, or the run ends.
        """
        try:
            deployment = self._brought_up(scenario, observe)
        except BaseException as error:
            self._progress.note(scenario.id, ERROR, str(error) or type(error).__name__)
            self.places[scenario.id].leave()
            raise
        failure = deployment.failure
        self._progress.note(scenario.id, FAILED if failure else UP, str(failure or ""))
        return deployment

    def end(self, deployment: Deployment) -> list[str]:
        """Take a deployment down and give its place to another; return what is left of it."""
        try:
            return self.down(deployment)
        finally:
            self.places[deployment.scenario.id].leave()

    def give_up_places(self) -> None:
        """Let other processes have what this one's deployments have set aside."""
        for place in self.places.values():
            place.leave()

    def down(self, deployment: Deployment) -> list[str]:
        """Take a deployment down, once; return what is left of it, in words."""
        if deployment.is_down:
            return []
        left = deployment.down()
        self._progress.note(deployment.scenario.id, GONE)
        return left

    def _brought_up(self, scenario: Scenario, observe: bool) -> Deployment:
        # Booting and starting keep a core busy, probing mostly waits: no more of the former at
        # once than there are cores lets the first deployments be probed while others start.
        self._wait_for_room(scenario)
        deployment = self._booted(scenario)
        with self._given_back(deployment):
            deployment.up()
            if deployment.failure is not None and NO_SPACE in str(deployment.failure):
                raise HostError(
                    f"{scenario.id}: its machine's disk, which is this computer's, is full",
                    "`dms-harness clean --cache` and `df` tell more",
                )
        self.places[scenario.id].settle()
        with self._given_back(deployment):
            if observe and deployment.failure is None:
                deployment.observe()
            # What was seen of a machine that is gone says nothing about the mail server.
            if why := deployment.machine.ended():
                raise MachineError(f"{scenario.id}: its machine does not run any more: {why}")
        return deployment

    def _wait_for_room(self, scenario: Scenario) -> None:
        place = self.places[scenario.id]
        if self._supply.stock.limit is not None or place.is_starting:
            return  # there is but one machine; or it boots already

        def tell(why: str) -> None:
            self._progress.note(scenario.id, FOR_MEMORY, why)
            self._say(f"{scenario.id}: {why}")

        def is_over() -> bool:
            return self.closed or self._is_gone()

        if not place.wait(MEMORY, tell, is_over):
            raise MachineError(f"{scenario.id}: the run ended before there was room for it")

    @contextlib.contextmanager
    def _given_back(self, deployment: Deployment) -> Iterator[None]:
        """Take a deployment down that no test will see: the next may need its very machine."""
        try:
            yield
        except Exception:
            self.left += self.down(deployment)
            raise

    def _booted(self, scenario: Scenario) -> Deployment:
        deployment = self._new(scenario)
        try:
            with self._given_back(deployment):
                deployment.boot()
        except MachineError as error:
            if self.closed:
                raise
            # A machine that fails says nothing about the scenario: once more, and say so.
            self._say(f"{scenario.id}: {error.message}; trying once more on a new machine")
            deployment.observations.record("retry", "boot", "failed", why=error.message)
            deployment = self._new(scenario)
            with self._given_back(deployment):
                deployment.boot()
        return deployment

    def _new(self, scenario: Scenario) -> Deployment:
        if self.closed:
            raise MachineError(f"{scenario.id}: the run ended before its machine was made")
        from harness.deployment import Deployment  # takes long: the first machine boots meanwhile

        machine = self._supply.machine(network_of(scenario))
        observations = Observations(
            scenario.variant_id, self._run / "observations.jsonl", scenario.repetition
        )
        observations.record("mail server", "image", str(self._image.label))
        deployment = Deployment(
            scenario,
            machine,
            observations,
            self._run / scenario.id,
            lambda phase: self._progress.note(scenario.id, phase),
        )
        self.made.append(deployment)
        return deployment


def network_of(scenario: Scenario) -> Network:
    """The network that a scenario's machine needs."""
    return Network(scenario.interface, scenario.table.families, scenario.second_interface)
