"""The embedded machine: a whole distribution with systemd as PID 1 in a systemd-nspawn container.

It is forked from a golden by a btrfs snapshot and lives in network namespaces of its own; the
keeper does all that needs root.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from harness import addresses
from harness.errors import HostError, MachineError
from harness.keeper.client import ROOT, Keeper, Line
from harness.machines.base import BaseMachine
from harness.machines.outside import Outside
from harness.machines.shell import Login
from harness.machines.stock import Network

SSH_PORT = 22
HOSTNAME = "mailhost"
_TERMINAL = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\].*?(\x07|\x1b\\)|[@-Z\\^_])")
"""What a terminal is told about colours, titles and the like."""


class Namespace(Outside):
    """A machine's outside: a network namespace that the keeper opens sockets in."""

    def __init__(self, keeper: Line, machine: str) -> None:
        self._keeper = keeper
        self._machine = machine

    def open_socket(
        self,
        family: socket.AddressFamily,
        kind: socket.SocketKind,
        bind: tuple[str, int] | None = None,
        listen: bool = False,
    ) -> socket.socket:
        """A socket in the namespace; ports below 1024 may be bound to."""
        return self._keeper.open_socket(self._machine, family, kind, bind, listen)

    def entered_by(self) -> list[str]:
        """The words to put before a command, by a path that lasts as long as the keeper."""
        path = self._keeper.call("outside", name=self._machine)["path"]
        return [*([] if ROOT else ["sudo"]), "nsenter", f"--net={path}"]


class NspawnMachine(BaseMachine):
    """A machine forked from a finished subvolume of the keeper's store.

    Args:
        keeper: owns it.
        name: unique within the keeper's run.
        source: the subvolume that it starts from.
        login: the keys that the subvolume was made with.
        facts: what the subvolume was made of.
        user: the user who runs rootless containers.
        network: what its network is like.
    """

    kind = "nspawn"
    address = addresses.MACHINE

    def __init__(
        self,
        keeper: Keeper,
        name: str,
        source: str,
        login: Login,
        facts: Mapping[str, str],
        user: str,
        network: Network | None = None,
    ) -> None:
        super().__init__(name, login)
        self.keeper = keeper
        self.source = source
        self.user = user
        self.facts = facts
        self.network = network or Network()
        self.outside = Namespace(keeper, name)
        self._console: Path | None = None
        self._destroyed = False
        # An interrupted run takes machines down that others are just starting.
        self._life = threading.Lock()

    def start(self) -> None:
        """Fork the snapshot and begin to boot, where that was not done yet.

        Raises:
            HostError: the computer could not do it.
            MachineError: it was taken down already.
        """
        with self._life:
            if self._destroyed:
                raise MachineError(f"{self.name} was taken down before it was started")
            if self.begun is None:
                self.begun = time.monotonic()
                self._start()

    def _start(self) -> None:
        families = self.network.families
        outside = addresses.outside_of(families)
        resolv_conf = "".join(f"nameserver {addresses.DNS[f]}\n" for f in families)
        try:
            started = self.keeper.call(
                "start_machine",
                name=self.name,
                source=self.source,
                files={"/etc/resolv.conf": resolv_conf, "/etc/hostname": f"{HOSTNAME}\n"},
                interface=self.network.interface,
                inside=[f"{addresses.MACHINE[f]}/{addresses.PREFIX[f]}" for f in families],
                gateways=[addresses.GATEWAY[f] for f in families],
                lan=outside.lan,
                far=outside.far,
                second_interface=self.network.second,
                second_inside=[
                    f"{addresses.SECOND[f]}/{addresses.SECOND_PREFIX[f]}" for f in families
                ],
                second_lan=outside.second_lan,
            )
        except OSError as error:
            raise HostError(
                f"machine {self.name} cannot be started: {error}", "see `dms-harness doctor`"
            ) from error
        self._console = Path(started["console"])

    async def _dial(self) -> socket.socket:
        if self._destroyed:
            raise HostError(f"machine {self.name} was taken down")
        first = self.network.families[0]
        return await asyncio.wait_for(
            self.outside.connect(self.address[first], SSH_PORT, addresses.GATEWAY[first]), 2.0
        )

    def console(self) -> str:
        """What the machine has written so far, over all its boots."""
        if self._console is None or not self._console.exists():
            return ""
        return readable(self._console.read_bytes().decode(errors="replace"))

    def ended(self) -> str:
        """Why it cannot answer any more: taken down, shut down, or never begun to boot."""
        if self._destroyed:
            return "it was taken down"
        status = self.keeper.call("machine", name=self.name)["status"]
        return "" if status is None else f"systemd-nspawn ended with status {status}"

    def halt(self, within: float = 60.0) -> None:
        """Shut down in order and wait until it is off."""
        with contextlib.suppress(MachineError):  # the connection ends before the command does
            self.run("systemctl poweroff", within=within)
        self.keeper.call("wait_halted", name=self.name)

    def destroy(self) -> list[str]:
        """Kill the machine and remove its snapshot, cgroup, namespaces and mounts."""
        with self._life:
            if self._destroyed or self.begun is None:
                self._destroyed = True
                return []
            self._destroyed = True
            self.shell.forget()
            left: list[str] = self.keeper.call("remove_machine", name=self.name)["left"]
            return left


def readable(text: str) -> str:
    """A console's text without what is meant for a terminal, and without empty lines."""
    lines = _TERMINAL.sub("", text).replace("\r", "\n").split("\n")
    return "".join(f"{line}\n" for line in lines if line.strip())
