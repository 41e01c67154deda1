"""The keeper's verbs for the cache: what machines and images are made from."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.keeper import cgroups, hostrun
from harness.keeper.commands import follow
from harness.keeper.runtime import Progress, Reply
from harness.ledger import Entry

if TYPE_CHECKING:
    from harness.keeper.server import Keeper


class BuildVerbs:
    """What the keeper is asked about subvolumes and files of the cache.

    Args:
        keeper: owns what is being made.
    """

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper

    async def do_stamp(self, _: Progress, name: str) -> Reply:
        """The notes of a finished subvolume, or nothing where it is missing or spoilt."""
        return {"stamp": self.keeper.store.stamp(name)}, []

    async def do_finished(self, _: Progress) -> Reply:
        """What the cache holds: each finished subvolume with its notes."""
        store = self.keeper.store
        return {"finished": {name: store.stamp(name) for name in store.finished()}}, []

    async def do_discard(self, _: Progress, name: str) -> Reply:
        """Remove a subvolume of the cache."""
        return {"was_there": await asyncio.to_thread(self.keeper.store.delete, name)}, []

    async def do_bootstrap(
        self, progress: Progress, name: str, final: str, command: list[str], notes: dict[str, Any]
    ) -> Reply:
        """Fill a new subvolume by a command (`{target}` stands for it) and add it to the cache."""
        keeper = self.keeper
        keeper.insist_on_store()
        name = keeper.own(name)
        target = str(keeper.store.path(name))
        snapshot = keeper.ledger.note("snapshot", name)
        try:
            keeper.store.create(name)
            await self._run(progress, name, [w.replace("{target}", target) for w in command])
            await asyncio.to_thread(keeper.store.finish, name, final, notes)
        finally:  # a failed build is in nobody's way when it is tried again
            await asyncio.to_thread(keeper.ledger.remove, snapshot, keeper.removers)
        return {}, []

    async def do_make_file(
        self, progress: Progress, name: str, path: str, command: list[str]
    ) -> Reply:
        """Make a file of the cache by a command (`{target}` stands for it), atomically."""
        keeper = self.keeper
        final = Path(path)
        part = final.with_name(f"{keeper.owner}.{final.name}")
        entry = keeper.ledger.note("file", str(part))
        command = [word.replace("{target}", str(part)) for word in command]
        try:
            await self._run(progress, keeper.own(name), command)
            part.rename(final)
        finally:
            await asyncio.to_thread(keeper.ledger.remove, entry, keeper.removers)
        return {}, []

    async def do_make_file_online(
        self,
        progress: Progress,
        name: str,
        source: str,
        path: str,
        command: list[str],
        readable: dict[str, str],
        environment: dict[str, str],
        within: float,
    ) -> Reply:
        """Make a file of the cache, atomically, by a command with this computer's network.

        Args:
            progress: takes the lines that `hostrun.SHOWN` selects.
            name: unique within the run.
            source: the finished subvolume that the command runs in a throw-away copy of.
            path: the file; the command finds it, empty, as `hostrun.TARGET`.
            command: what to run.
            readable: path inside → path of this computer that the command may read.
            environment: variables for it.
            within: seconds.
        """
        keeper = self.keeper
        keeper.insist_on_store()
        name = keeper.own(name)
        final = Path(path)
        part = final.with_name(f"{keeper.owner}.{final.name}")
        file = keeper.ledger.note("file", str(part))
        snapshot = keeper.ledger.note("snapshot", name)
        try:
            await asyncio.to_thread(keeper.store.snapshot, source, name)
            part.touch()
            os.chown(part, keeper.uid, -1)
            words = hostrun.nspawn(
                name,
                keeper.store.path(name),
                command,
                {hostrun.TARGET: str(part)},
                readable,
                environment,
            )
            async with asyncio.timeout(within):
                last = await self._run(progress, name, words, hostrun.SHOWN)
            part.rename(final)
        except TimeoutError:
            raise OSError(f"it did not end within {within:.0f} s") from None
        finally:
            for entry in (snapshot, file):
                await asyncio.to_thread(keeper.ledger.remove, entry, keeper.removers)
        return {"last": last}, []

    async def do_finish(self, _: Progress, name: str, final: str, notes: dict[str, Any]) -> Reply:
        """Add a halted machine's root to the cache, as the subvolume `final`."""
        keeper = self.keeper
        container = keeper.containers[name]
        if container.status is None:
            raise OSError(f"machine {name} still runs")
        await asyncio.to_thread(keeper.store.finish, container.spec.name, final, notes)
        keeper.ledger.strike(Entry("snapshot", container.spec.name))
        return {}, []

    async def _run(
        self,
        progress: Progress,
        cgroup: str,
        command: list[str],
        shown: tuple[str, ...] = ("I: ",),
    ) -> list[str]:
        """Run a long command in a cgroup of its own, which ends with it (see `follow`).

        Its temporary files, which can be as large as its result, lie in the cache and go with it.

        Raises:
            OSError: it failed; the text holds its last lines.
        """
        keeper = self.keeper
        scratch = keeper.cache / f"{cgroup}.tmp"
        # Newest first: nothing is removed below a process, or a mount of its, that still lives.
        entries = [keeper.ledger.note("folder", str(scratch)), keeper.ledger.note("cgroup", cgroup)]
        scratch.mkdir()
        cgroups.create(cgroup)
        try:
            words = cgroups.command(cgroup, command)
            environment = os.environ | {"TMPDIR": str(scratch)}
            return await follow(progress, words, environment, shown, command[0])
        finally:
            # A client that hung up has its command ended too: nobody would take the result.
            for entry in reversed(entries):
                await asyncio.to_thread(keeper.ledger.remove, entry, keeper.removers)
