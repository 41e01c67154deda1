"""Run in the computer with Vagrant: what a virtual machine takes, as JSON on the last line."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from harness import cache
from harness.keeper.client import Keeper
from harness.machines.options import MachineOptions
from harness.machines.vagrant.box import BUILT
from harness.machines.vagrant.stock import VagrantStock
from harness.mailserver.standin import StandIn

seconds: dict[str, list[float]] = defaultdict(list)


@contextmanager
def clock(what: str) -> Iterator[None]:
    """Note the seconds that a block takes."""
    started = time.monotonic()
    yield
    seconds[what].append(time.monotonic() - started)


def main(count: int) -> None:
    """Bring it up once; reset, reboot and give back `count` times; destroy it."""
    keeper = Keeper(cache.folder(), "measure", with_store=False)
    options = MachineOptions(machine="vagrant", box=BUILT)
    stock = VagrantStock(keeper, StandIn("benchmark"), options, print)
    try:
        stock.prepare()
        for step, taken in stock.seconds.items():
            seconds[step].append(taken)
        first = stock.fork("first")
        first.start()  # as it is: it was not used yet
        first.destroy()
        for number in range(count):
            machine = stock.fork(f"m{number}")
            with clock("reset"):
                machine.start()
                machine.wait_until_answering(60)
            with clock("started"):
                machine.wait_until_up()
            with clock("reboot"):
                machine.reboot()
            machine.destroy()
        made_of = f"{stock.facts['distribution']}, {stock.facts['podman']}"
    finally:
        with clock("destroy"):
            left = stock.close()
        complaint = keeper.close()
    assert not left, left
    assert not complaint, complaint
    qemu = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True)
    made_of += f"; {qemu.stdout.splitlines()[0]} ({stock.accelerator})"
    made_of += f", {options.cpus} CPUs, {options.memory} MB"
    print(json.dumps({"made of": made_of, "seconds": seconds}))


main(int(sys.argv[1]))
