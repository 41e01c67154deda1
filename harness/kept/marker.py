"""What is kept on this computer, as the keepers that outlived their runs say it."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import HostError
from harness.keeper.client import Line
from harness.keeper.runtime import MARKER, RUNTIME, SOCKET

GONE_WITHIN = 30.0
"""Seconds for a keeper to take down all that it kept; a machine takes a tenth of one."""
POLL = 0.05


@dataclass(frozen=True, slots=True)
class Kept:
    """What one process of a run has left to its user.

    Attributes:
        folder: the keeper's own.
        cache: the cache that its machines are in.
        pid: the keeper's process.
        since: seconds since the epoch.
        run: the folder of the run's record.
        keep: what `--keep` was.
        machines: of each, `name`, `scenario`, `hostname`, `domain`, `families`, and `lines`, which
            tell a person what is where.
    """

    folder: Path
    cache: Path
    pid: int
    since: float
    run: Path
    keep: str
    machines: Sequence[dict[str, Any]]

    @property
    def scenarios(self) -> list[str]:
        """The ids of the scenario variants."""
        return [each["scenario"] for each in self.machines]

    def __str__(self) -> str:
        at = time.strftime("%Y-%m-%d %H:%M", time.localtime(self.since))
        return f"{', '.join(self.scenarios)} (--keep {self.keep}, since {at})"

    def end(self) -> None:
        """Have it all taken down, and wait until it is.

        Raises:
            HostError: it is not, after `GONE_WITHIN` seconds.
        """
        with suppress(HostError):  # it ended while it answered
            Line(self.folder / SOCKET).call("end")
        deadline = time.monotonic() + GONE_WITHIN
        # It removes its folder when nothing else is left.
        while self.folder.exists():
            if time.monotonic() > deadline:
                raise HostError(
                    f"the keeper of {self} (process {self.pid}) still works after"
                    f" {GONE_WITHIN:.0f} s",
                    f"`kill {self.pid}` as root, then `dms-harness clean`",
                )
            time.sleep(POLL)


def read(marker: Path) -> Kept | None:
    """What a marker says, where this user may read it and its keeper lives."""
    try:
        told = json.loads(marker.read_text(encoding="utf-8"))
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(marker.with_name(SOCKET)))
    except OSError:
        return None
    return Kept(
        marker.parent,
        Path(told["cache"]),
        told["pid"],
        told["since"],
        Path(told["run"]),
        told["keep"],
        told["machines"],
    )


def kept_in(cache: Path) -> list[Kept]:
    """What is kept of a cache's machines, the oldest first."""
    found = (read(marker) for marker in RUNTIME.glob(f"*/{MARKER}"))
    return sorted((each for each in found if each and each.cache == cache), key=lambda k: k.since)
