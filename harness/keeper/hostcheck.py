"""What is left of a machine on this computer after it was removed: hopefully nothing."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from harness.keeper import cgroups
from harness.keeper.store import Store

REAPED_WITHIN = 2.0
"""Seconds in which the kernel is done with processes that were killed."""


def remains(name: str, store: Store) -> list[str]:
    """What is still there of a machine after the moment that the kernel needs to let it go."""
    deadline = time.monotonic() + REAPED_WITHIN
    while (left := _remains(name, store)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def _remains(name: str, store: Store) -> list[str]:
    """Everything that still bears a machine's name, in words.

    Looks at processes (by cgroup), cgroups, snapshots, mounts of the computer's own view, and
    network links of the computer's own namespace.
    """
    left = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            cgroup = (folder / "cgroup").read_text(encoding="utf-8")
            if f"/{cgroups.PARENT}/{name}" in cgroup:
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                left.append(f"process {folder.name}: {command.strip()[:80]}")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
    roots = (cgroups.path_of(name).parent, *(v1 / cgroups.PARENT for v1 in cgroups.v1_roots()))
    left += [f"cgroup {root / name}" for root in roots if (root / name).exists()]
    if store.path(name).exists():
        left.append(f"snapshot {store.path(name)}")
    mounts = Path("/proc/1/mountinfo").read_text(encoding="utf-8").splitlines()
    left += [f"mount {line.split()[4]}" for line in mounts if name in line]
    links = subprocess.run(
        ["ip", "-brief", "link"], capture_output=True, text=True, check=True
    ).stdout
    left += [f"link {line.split()[0]}" for line in links.splitlines() if line.startswith("ve-lan")]
    return left
