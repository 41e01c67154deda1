"""Where one process's machines come from, and those that boot before they are asked for."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection
from concurrent.futures import Executor, Future

from harness.errors import HarnessError
from harness.machines.base import BaseMachine
from harness.machines.stock import Network, Stock
from harness.memory import MEGABYTE, MEMORY_PER_DEPLOYMENT
from harness.room import Place, Room

MEMORY = MEMORY_PER_DEPLOYMENT // MEGABYTE
"""Megabytes that are set aside for a deployment on a machine of this computer's."""


class Supply:
    """Gives machines, named `m1`, `m2`, …, each with a place in the room that they share.

    Args:
        open_stock: where machines come from; called when the first one is needed.
        room: lets machines in as memory and cores allow.
        workers: boots machines in the background.
    """

    def __init__(self, open_stock: Callable[[], Stock], room: Room, workers: Executor) -> None:
        self._open_stock = open_stock
        self._stock: Stock | None = None
        self._room = room
        self._workers = workers
        self._count = itertools.count(1)
        self._ahead: dict[Network, Future[BaseMachine]] = {}
        self._places: dict[Network, Place] = {}

    @property
    def stock(self) -> Stock:
        """Where machines come from; made when the first one is needed and not yet there.

        Raises:
            HarnessError: it cannot be made.
        """
        if self._stock is None:
            self._stock = self._open_stock()
        return self._stock

    def boot_ahead(self, network: Network) -> None:
        """Begin to boot a machine on such a network, for whichever asks for one first.

        Raises:
            HarnessError: there can be no machines.
        """
        self.stock.prepare()
        if self.stock.limit is not None:
            return  # it would be in the way of one that is asked for
        place = self._room.ask()
        if not place.now(MEMORY):
            return  # others are using it
        self._places[network] = place
        self._ahead[network] = self._workers.submit(_started, self._fork(network))

    def not_needed(self, networks: Collection[Network]) -> list[Callable[[], list[str]]]:
        """What takes those down that boot ahead for other networks than these.

        They would be in the way of machines that are needed. Each call returns what is left of
        one, in words.
        """
        return [self._removal(network) for network in self._ahead.keys() - networks]

    def _removal(self, network: Network) -> Callable[[], list[str]]:
        begun, place = self._ahead.pop(network), self._places.pop(network)

        def remove() -> list[str]:
            try:
                return begun.result().destroy() if begun.exception() is None else []
            finally:
                place.leave()

        return remove

    def place(self, network: Network) -> Place:
        """A place for the next machine on such a network: the first in the queue, or its own."""
        return self._places.pop(network, None) or self._room.ask()

    def machine(self, network: Network) -> BaseMachine:
        """The machine that boots ahead on such a network, if that began well, or another one."""
        begun = self._ahead.pop(network, None)
        if begun is not None and begun.exception() is None:
            return begun.result()
        return self._fork(network)

    def _fork(self, network: Network) -> BaseMachine:
        return self.stock.fork(f"m{next(self._count)}", network)

    def remove_ahead(self) -> list[str]:
        """Take down what nobody asked for; what is left of it, in words. Places stay taken."""
        begun = [each.result() for each in self._ahead.values() if each.exception() is None]
        return [left for machine in begun for left in machine.destroy()]

    def close_stock(self) -> tuple[list[str], str]:
        """Give the stock back, when no machine of it is there any more.

        Returns:
            What is left of it, in words; and what was shown of a host that stays.
        """
        return (self._stock.close(), self._stock.proof) if self._stock is not None else ([], "")

    def give_up_places(self) -> None:
        """Wait for room no longer."""
        for place in self._places.values():
            place.leave()


def _started(machine: BaseMachine) -> BaseMachine:
    """A machine that has begun to boot; one that could not is gone."""
    try:
        machine.start()
    except HarnessError:
        machine.destroy()
        raise
    return machine
