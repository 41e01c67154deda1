"""The keeper's verbs for virtual machines that Vagrant makes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.keeper import cgroups, vm
from harness.keeper.commands import follow
from harness.keeper.runtime import Progress, Reply

if TYPE_CHECKING:
    from harness.keeper.server import Keeper
    from harness.ledger import Entry

CONSOLES = Path("/var/log/libvirt/qemu")
"""Where libvirt's own log daemon may write, whatever SELinux or AppArmor think of it."""
PANIC = "Kernel panic"
LOOK = 2.0
"""Seconds between two looks at the console while Vagrant works."""
SHOWN = ("==> ",)
"""How Vagrant's lines begin that tell a waiting user something."""


class VmVerbs:
    """What the keeper is asked about virtual machines.

    Args:
        keeper: owns all that they use.
    """

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper
        self.outsides: dict[str, vm.OutsideSpec] = {}
        self._entries: dict[str, list[Entry]] = {}

    async def do_open_outside(
        self,
        _: Progress,
        name: str,
        lan: Sequence[str],
        far: Sequence[str],
        second_lan: Sequence[str],
    ) -> Reply:
        """Make a machine's outside and a bridge that leads there.

        The machine itself is written down here, before anybody begins to make it.
        """
        own = self.keeper.own(name, prefix="machine-")
        spec = self.outsides[name] = vm.OutsideSpec(own, lan, far, second_lan)
        console = CONSOLES / f"{own}-console.log"
        self._entries[name] = [
            self.keeper.ledger.note(kind, what)
            for kind, what in (
                ("link", spec.bridge),
                ("file", str(console)),
                ("domain", own),
                ("cgroup", own),
            )
        ]
        cgroups.create(own)
        await vm.open_outside(spec)
        return {"bridge": spec.bridge, "domain": own, "console": str(console)}, []

    async def do_vagrant(
        self,
        progress: Progress,
        name: str,
        command: list[str],
        environment: dict[str, str],
        log: str,
        within: float,
    ) -> Reply:
        """Run Vagrant as the user, not for a moment longer than the run.

        A machine that is a process of Vagrant's own, rather than of a daemon's, is in the machine's
        cgroup and ends with it.

        Args:
            progress: takes the lines that `SHOWN` selects.
            name: the machine's name within the run.
            command: what to run.
            environment: all of its variables.
            log: a file that everything that it says is added to.
            within: seconds.

        Raises:
            OSError: it failed, or did not end in time; the text holds its last lines.
        """
        words = cgroups.command(
            self.outsides[name].name,
            vm.as_user(self.keeper.uid, environment, command),
            children_stay=True,
        )
        running = asyncio.create_task(
            follow(progress, words, os.environ, SHOWN, command[0], Path(log))
        )
        deadline = asyncio.get_running_loop().time() + within
        try:
            # Vagrant itself would wait for minutes for a machine that never gets an address.
            while not (await asyncio.wait([running], timeout=LOOK))[0]:
                if PANIC in self._console_of(name):
                    raise OSError(f"{PANIC}: the machine's kernel gave up while it booted")
                if asyncio.get_running_loop().time() > deadline:
                    raise OSError(f"{' '.join(command)} did not end within {within:.0f} s")
            return {"last": await running}, []
        finally:
            running.cancel()
            await asyncio.wait([running])

    async def do_read_console(self, _: Progress, name: str) -> Reply:
        """What a machine has written on its console."""
        return {"text": self._console_of(name)}, []

    def _console_of(self, name: str) -> str:
        path = CONSOLES / f"{self.outsides[name].name}-console.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    async def do_domain_state(self, _: Progress, name: str) -> Reply:
        """Whether libvirt runs a machine: `running`, `shut off`, …, or nothing where it is gone."""
        return {"state": await asyncio.to_thread(vm.state_of, self.outsides[name].name)}, []

    async def do_close_outside(self, _: Progress, name: str) -> Reply:
        """Remove a machine, its disks, its console and its outside; report what is still there."""
        spec = self.outsides[name]
        for entry in reversed(self._entries[name]):
            await asyncio.to_thread(self.keeper.ledger.remove, entry, self.keeper.removers)
        await vm.close_outside(spec)
        del self.outsides[name], self._entries[name]
        return {"left": await asyncio.to_thread(vm.remains, spec.name)}, []
