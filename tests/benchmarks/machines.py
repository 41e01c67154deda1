"""Measures the kinds of machines beside each other, and writes the table in machines.md.

Run by `make bench-machines`. The virtual machine is one of Vagrant's and libvirt's in a computer
with Vagrant, which is an embedded machine itself, so that nothing has to be installed here.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from bench import ROOT, fresh_machine

from harness import cache
from harness.keeper.client import Keeper
from harness.machines import golden
from harness.mailserver.standin import StandIn

TABLE = Path(__file__).parent / "machines.md"
ROWS = (
    # what, the embedded kind's steps, the virtual machine's
    ("from nothing to a machine with the image (once)", (), ("up", "provision", "image")),
    ("  of which `vagrant up`, box added and uploaded", (), ("up",)),
    ("  of which provisioning, nothing to install", (), ("provision",)),
    ("snapshot of it, memory included (once)", (), ("snapshot",)),
    ("a fresh machine: fork, or reset, to SSH login", ("fork to SSH login",), ("reset",)),
    ("SSH login to everything started", ("SSH login to everything started",), ("started",)),
    ("reboot to SSH login", ("reboot to SSH login",), ("reboot",)),
    ("tear-down", ("destroy",), ("destroy",)),
)
"""What is measured: several steps are added up."""


def virtual_machine(keeper: Keeper, count: int) -> dict[str, Any]:
    """What a virtual machine takes (see tests/vagrant/measure.py)."""
    sys.path.insert(0, str(ROOT / "tests" / "vagrant"))
    from computer import Computer

    computer = Computer(keeper)
    try:
        computer.start()
        done = computer.run(f"python3 tests/vagrant/measure.py {count}", within=3600)
        if done.status:
            raise SystemExit(done.stdout + done.stderr)
        measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return measured
    finally:
        computer.machine.destroy()


def total(steps: dict[str, list[float]], names: tuple[str, ...]) -> str:
    """The sum of the medians of some steps, as a cell; nothing where there are none."""
    return f"{sum(median(steps[name]) for name in names):.2f} s" if names else ""


def main() -> None:
    """Measure both, print, and write the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=3, help="how often each (default: 3)")
    count: int = options.parse_args().count
    load = os.getloadavg()[0]
    keeper = Keeper(cache.folder(), "bench")
    try:
        made = golden.ensure(keeper, StandIn("benchmark"), print)
        forks = fresh_machine(keeper, made, count * 2)
        vm = virtual_machine(keeper, count)
    finally:
        keeper.close()
    lines = [
        "# Kinds of machines",
        "",
        f"`make bench-machines` on {time.strftime('%Y-%m-%d')}: {os.cpu_count()} cores,"
        f" {os.sysconf('SC_PHYS_PAGES') * 4 >> 20} GiB, kernel {platform.release()};"
        f" load before: {load:.1f}. Embedded: {made.facts['distribution']},"
        f" {made.facts['podman']}. Virtual: {vm['made of']}.",
        "",
        f"Medians of {count} (virtual; once where it says so) and {count * 2} (embedded). Times"
        " depend on the computer; compare ratios.",
        "",
        "| | embedded | virtual, without KVM |",
        "|---|---:|---:|",
    ]
    for what, embedded, virtual in ROWS:
        lines.append(f"| {what} | {total(forks, embedded)} | {total(vm['seconds'], virtual)} |")
    print("\n".join(lines[6:]))
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
