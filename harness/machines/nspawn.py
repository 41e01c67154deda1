"""The embedded machine: a whole distribution with systemd as PID 1 in a systemd-nspawn container.

It is forked from a golden by a btrfs snapshot and lives in network namespaces of its own; the
keeper does all that needs root.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

from harness import addresses
from harness.errors import HostError, MachineError
from harness.keeper.client import Keeper
from harness.machines.base import BaseMachine, Outside
from harness.machines.shell import Login
from harness.vantage import Family

SSH_PORT = 22
HOSTNAME = "mailhost"
RESOLV_CONF = f"nameserver {addresses.DNS[4]}\nnameserver {addresses.DNS[6]}\n"


class Namespace(Outside):
    """A machine's outside: a network namespace that the keeper opens sockets in."""

    def __init__(self, keeper: Keeper, machine: str) -> None:
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


class NspawnMachine(BaseMachine):
    """A machine forked from a finished subvolume of the keeper's store.

    Args:
        keeper: owns it.
        name: unique within the keeper's run.
        source: the subvolume that it starts from.
        login: the keys that the subvolume was made with.
        facts: what the subvolume was made of.
        user: the user who runs rootless containers.
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
    ) -> None:
        super().__init__(name, login)
        self.keeper = keeper
        self.source = source
        self.user = user
        self.facts = facts
        self.outside = Namespace(keeper, name)
        self._console: Path | None = None
        self._destroyed = False

    def start(self) -> None:
        """Fork the snapshot and begin to boot.

        Raises:
            HostError: the computer could not do it.
        """
        clients = addresses.CLIENTS
        families = get_args(Family)
        try:
            started = self.keeper.call(
                "start_machine",
                name=self.name,
                source=self.source,
                files={"/etc/resolv.conf": RESOLV_CONF, "/etc/hostname": f"{HOSTNAME}\n"},
                interface=addresses.INTERFACE,
                inside=[f"{addresses.MACHINE[f]}/{addresses.PREFIX[f]}" for f in families],
                gateways=[addresses.GATEWAY[f] for f in families],
                lan=[f"{addresses.GATEWAY[f]}/{addresses.PREFIX[f]}" for f in families]
                + [
                    f"{client.addresses[f]}/{addresses.PREFIX[f]}"
                    for client in clients
                    if client.on_lan
                    for f in families
                ],
                far=[addresses.DNS[f] for f in families]
                + [addresses.EXCHANGER[f] for f in families]
                + [
                    client.addresses[f] for client in clients if not client.on_lan for f in families
                ],
            )
        except OSError as error:
            raise HostError(
                f"machine {self.name} cannot be started: {error}", "see `dms-harness doctor`"
            ) from error
        self._console = Path(started["console"])

    async def _dial(self) -> socket.socket:
        return await asyncio.wait_for(
            self.outside.connect(self.address[4], SSH_PORT, addresses.GATEWAY[4]), 2.0
        )

    def console(self) -> str:
        """What the machine has written so far, over all its boots."""
        if self._console is None or not self._console.exists():
            return ""
        return self._console.read_text(encoding="utf-8", errors="replace")

    def halt(self, within: float = 60.0) -> None:
        """Shut down in order and wait until it is off."""
        with contextlib.suppress(MachineError):  # the connection ends before the command does
            self.run("systemctl poweroff", within=within)
        self.keeper.call("wait_halted", name=self.name)

    def destroy(self) -> list[str]:
        """Kill the machine and remove its snapshot, cgroup, namespaces and mounts."""
        if self._destroyed:
            return []
        self._destroyed = True
        self.shell.forget()
        left: list[str] = self.keeper.call("remove_machine", name=self.name)["left"]
        return left


def missing_tools() -> list[str]:
    """The commands that this kind of machine needs and the computer does not have."""
    needed = ("systemd-nspawn", "mmdebstrap", "mkfs.btrfs", "btrfs", "ip", "setpriv", "mount")
    # Tools for root may lie where an ordinary user does not look.
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return [tool for tool in needed if shutil.which(tool, path=path) is None]
