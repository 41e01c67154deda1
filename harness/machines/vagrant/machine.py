"""A machine that is a virtual machine of Vagrant's, between two resets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

from harness import addresses
from harness.errors import HostError, MachineError
from harness.keeper.client import Keeper
from harness.machines.base import BaseMachine
from harness.machines.nspawn import SSH_PORT, Namespace, readable
from harness.machines.shell import Login
from harness.machines.stock import Network

LOOK: Final = 2.0
"""Seconds between two questions to libvirt whether a machine runs."""
DIAL_WITHIN: Final = 5.0
"""Seconds in which a TCP connection to the SSH server is open."""


class VagrantMachine(BaseMachine):
    """What one deployment has of a virtual machine: from one reset to the next.

    Args:
        keeper: owns the virtual machine and its outside.
        name: unique within the run; for messages.
        domain: the virtual machine's name within the keeper.
        login: the keys.
        facts: what it is made of.
        user: who runs rootless containers.
        network: what its network is like.
        take: waits until the virtual machine is free and resets it.
        give_back: lets the next one have it.
        is_known: whether libvirt can be asked about it.
    """

    kind = "vagrant"
    address = addresses.MACHINE

    def __init__(
        self,
        keeper: Keeper,
        name: str,
        domain: str,
        login: Login,
        facts: Mapping[str, str],
        user: str,
        network: Network,
        take: Callable[[Network], None],
        give_back: Callable[[VagrantMachine], None],
        is_known: bool = True,
    ) -> None:
        super().__init__(name, login)
        self.user = user
        self.facts = facts
        self.network = network
        self.outside = Namespace(keeper, domain)
        self._keeper = keeper
        self._domain = domain
        self._take = take
        self._give_back = give_back
        self._is_known = is_known
        self._destroyed = False
        self._has_it = False
        self._looked = 0.0
        self._life = threading.Lock()

    def start(self) -> None:
        """Reset the virtual machine, when it is free, and give it its network.

        Raises:
            HarnessError: that failed.
        """
        with self._life:
            if self._destroyed:
                raise MachineError(f"{self.name} was taken down before it was started")
            if self.begun is None:
                self.begun = time.monotonic()
                self._take(self.network)
                self._has_it = True

    async def _dial(self) -> socket.socket:
        if self._destroyed:
            raise HostError(f"machine {self.name} was taken down")
        first = self.network.families[0]
        return await asyncio.wait_for(
            self.outside.connect(self.address[first], SSH_PORT, addresses.GATEWAY[first]),
            DIAL_WITHIN,
        )

    def console(self) -> str:
        """What the virtual machine has written since it was made."""
        try:
            return readable(self._keeper.call("read_console", name=self._domain)["text"])
        except (HostError, OSError):
            return ""

    def ended(self) -> str:
        """Why it cannot answer any more: taken down, or not running."""
        if self._destroyed:
            return "it was taken down"
        if not self._is_known or time.monotonic() - self._looked < LOOK:
            return ""
        self._looked = time.monotonic()
        state = self._keeper.call("domain_state", name=self._domain)["state"]
        return "" if state == "running" else f"the virtual machine is {state or 'gone'}"

    def destroy(self) -> list[str]:
        """Let the next deployment have the virtual machine, which resets it."""
        with self._life:
            if not self._destroyed:
                try:
                    if self._has_it:
                        self._give_back(self)
                finally:
                    self._destroyed = True
                    self.shell.forget()
        return []


class Management(BaseMachine):
    """The same virtual machine over Vagrant's own network, as long as that is on.

    Args:
        name: for messages.
        login: the keys.
        where: address and port of the SSH server.
        console: what the virtual machine has written on its console.
        user: who runs rootless containers.
    """

    kind = "vagrant"

    def __init__(
        self,
        name: str,
        login: Login,
        where: tuple[str, int],
        console: Callable[[], str],
        user: str,
    ) -> None:
        super().__init__(name, login)
        self.user = user
        self._where = where
        self._console = console

    def start(self) -> None:
        """Nothing: Vagrant has done it."""

    async def _dial(self) -> socket.socket:
        host, port = self._where
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            async with asyncio.timeout(DIAL_WITHIN):
                await asyncio.get_running_loop().sock_connect(sock, (host, port))
        except BaseException:
            sock.close()
            raise
        return sock

    def console(self) -> str:
        """What the virtual machine has written since it was made."""
        return self._console()

    def destroy(self) -> list[str]:
        """Close the connections."""
        with contextlib.suppress(HostError):
            self.shell.forget()
        return []
