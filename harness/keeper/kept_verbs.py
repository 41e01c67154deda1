"""The keeper's verbs for machines that outlive their run, because the user asked for it."""

from __future__ import annotations

import asyncio
import json
import os
import time
from typing import TYPE_CHECKING, Any

from harness.keeper.runtime import MARKER, Progress, Reply

if TYPE_CHECKING:
    from harness.keeper.server import Keeper


class KeptVerbs:
    """What a keeper is asked by a run that leaves machines behind, and by whoever finds them.

    Args:
        keeper: owns the machines.
    """

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper

    async def do_outlive(self, _: Progress, machines: list[str], note: dict[str, Any]) -> Reply:
        """Keep some machines, remove all others, and live without the run from now on.

        Args:
            _: nothing takes long.
            machines: their names within the run; each must be running.
            note: what the marker says beside the keeper's own facts.
        """
        keeper = self.keeper
        for name in machines:
            container = keeper.containers.get(name)
            if container is None or container.status is not None:
                raise OSError(f"machine {name} does not run")
        others = [name for name in keeper.containers if name not in machines]
        await asyncio.gather(
            *(keeper.machine_verbs.do_remove_machine(None, name) for name in others)
        )
        own = {
            "cache": str(keeper.cache),
            "owner": keeper.owner,
            "pid": os.getpid(),
            "since": time.time(),
        }
        marker = keeper.runtime / MARKER
        fresh = marker.with_suffix(".new")
        fresh.touch(mode=0o600)  # it says with which passwords one gets in
        fresh.write_text(json.dumps(note | own), encoding="utf-8")
        os.chown(fresh, keeper.uid, -1)
        fresh.rename(marker)
        # Only now: a run that is killed before takes everything with it.
        asyncio.get_running_loop().remove_reader(0)
        nothing = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(nothing, standard)
        os.close(nothing)
        return {"marker": str(marker)}, []

    async def do_stay(self, _: Progress) -> Reply:
        """Answer never: whoever asks learns of the keeper's end by the end of the connection."""
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    async def do_end(self, _: Progress) -> Reply:
        """Take everything down."""
        self.keeper.end()
        return {}, []
