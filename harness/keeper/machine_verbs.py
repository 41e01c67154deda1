"""The keeper's verbs for embedded machines, and for what is outside of any machine."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from harness.keeper import cgroups, hostcheck, netns
from harness.keeper.container import Container, ContainerSpec
from harness.keeper.runtime import Progress, Reply
from harness.keeper.store import write_inside
from harness.ledger import Entry

if TYPE_CHECKING:
    from harness.keeper.server import Keeper


class MachineVerbs:
    """What the keeper is asked about machines.

    Args:
        keeper: owns them.
    """

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper

    async def do_start_machine(
        self, _: Progress, name: str, source: str, files: dict[str, str], **spec: Any
    ) -> Reply:
        """Snapshot a subvolume and begin to boot it.

        Args:
            name: the machine's name within the run.
            source: the finished subvolume.
            files: path → text: what is written into the snapshot before the boot.
            spec: the other fields of `ContainerSpec`.
        """
        keeper = self.keeper
        keeper.insist_on_store()
        own = keeper.own(name, prefix="machine-")
        keeper.ledger.note("snapshot", own)
        keeper.ledger.note("cgroup", own)
        await asyncio.to_thread(keeper.store.snapshot, source, own)
        root = keeper.store.path(own)
        cgroups.create(own)
        if "pids" not in cgroups.controllers(own):
            # podman sets a limit of its own by default, and fails where it cannot.
            files = files | {
                "/etc/containers/containers.conf.d/no-pids-controller.conf": (
                    "[containers]\npids_limit=0\n"
                )
            }
        for path, text in files.items():
            write_inside(root, path, text)
        console = keeper.runtime / f"{name}.console"
        console.touch()
        os.chown(console, keeper.uid, -1)
        container = Container(
            ContainerSpec(name=own, root=root, devices=keeper.devices, console=console, **spec)
        )
        keeper.containers[name] = container
        await container.start()
        return {"console": str(console)}, []

    async def do_machine(self, _: Progress, name: str) -> Reply:
        """Whether a machine runs: its number of boots, and its exit status or nothing."""
        container = self.keeper.containers[name]
        return {"boots": container.boots, "status": container.status}, []

    async def do_wait_halted(self, _: Progress, name: str) -> Reply:
        """Wait until a machine has shut itself down; return its exit status."""
        return {"status": await self.keeper.containers[name].halted()}, []

    async def do_remove_machine(self, _: Progress | None, name: str) -> Reply:
        """Kill a machine and remove all that belonged to it; report what is still there."""
        keeper = self.keeper
        own = keeper.own(name, prefix="machine-")
        container = keeper.containers.pop(name, None)
        if container is not None:  # else it could not be started
            await container.remove()
        for kind in ("cgroup", "snapshot"):
            entry = Entry(kind, own)
            await asyncio.to_thread(keeper.ledger.remove, entry, keeper.removers)
        return {"left": await asyncio.to_thread(hostcheck.remains, own, keeper.store)}, []

    async def do_socket(
        self,
        _: Progress,
        name: str,
        family: int,
        kind: int,
        bind: list[Any] | None,
        listen: bool,
    ) -> Reply:
        """Open a socket in a machine's outside and hand it over."""
        address = (str(bind[0]), int(bind[1])) if bind else None
        return {}, [
            netns.open_socket(self._outside_of(name), family, kind, address, listen).detach()
        ]

    async def do_outside(self, _: Progress, name: str) -> Reply:
        """Where root finds a machine's outside: a path to enter it by, while the keeper lives."""
        return {"path": f"/proc/{os.getpid()}/root{netns.NAMES / self._outside_of(name)}"}, []

    def _outside_of(self, name: str) -> str:
        keeper = self.keeper
        container = keeper.containers.get(name)
        return container.outside if container else keeper.vm_verbs.outsides[name].namespace
