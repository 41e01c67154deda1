"""The world around machines that are kept: their names, and where their mail goes.

A process of its own, `python -m harness.kept.attendant MARKER`, which ends when their keeper does.
What arrives outside is told, a line a message, on standard error.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness import addresses
from harness.errors import HostError
from harness.keeper.client import Line
from harness.keeper.runtime import SOCKET
from harness.kept.marker import read
from harness.machines.nspawn import Namespace
from harness.machines.outside import Outside
from harness.outside.sink import Arrival
from harness.outside.world import World
from harness.vantage import Family


class _Place:
    """What the world needs to know of a machine."""

    address: Mapping[Family, str] = addresses.MACHINE

    def __init__(self, outside: Outside) -> None:
        self.outside: Outside = outside


def main(marker: Path) -> int:
    """Serve the world of each machine that a marker names until their keeper ends."""
    line = Line(marker.with_name(SOCKET))
    kept = read(marker)
    if kept is None:
        print(f"{marker}: its keeper is gone", file=sys.stderr)
        return 1
    for each in kept.machines:
        _serve(line, each)
    print("ready", flush=True)
    with suppress(HostError):  # it is gone: that is what was waited for
        line.call("stay")
    return 0


def _serve(line: Line, machine: Mapping[str, Any]) -> None:
    world = World(
        _Place(Namespace(line, machine["name"])),
        machine["hostname"],
        machine["domain"],
        machine["families"],
    )
    for where, sink in (("the mail exchanger", world.sink), ("the relay host", world.smart_host)):

        def tell(arrival: Arrival, where: str = where) -> None:
            print(_told(machine["scenario"], where, arrival), file=sys.stderr, flush=True)

        sink.tell = tell
    world.open()


def _told(scenario: str, where: str, arrival: Arrival) -> str:
    at = time.strftime("%H:%M:%S", time.localtime(arrival.at))
    sender = arrival.sender or "<>"
    recipients = ", ".join(arrival.recipients)
    return (
        f"{at} {scenario}: {where} took a message of {len(arrival.content)} bytes from"
        f" {arrival.client}: {sender!r} to {recipients!r}"
    )


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
