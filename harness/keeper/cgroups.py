"""A cgroup for each machine, so that it can be killed as a whole and cannot see its neighbours.

Machines that share a cgroup see each other's units and hang at shutdown, and a process that has
escaped its parent is still in its cgroup: this is how a run that was killed is cleaned up.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from pathlib import Path

PARENT = "dms-harness"
KILL_WITHIN = 5.0
"""Seconds in which killed processes must be gone."""


def v2_root() -> Path | None:
    """Where the unified hierarchy is mounted, or None."""
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        fields, _, kind = line.partition(" - ")
        if kind.startswith("cgroup2 "):
            return Path(fields.split()[4])
    return None


def v1_roots() -> list[Path]:
    """Where older hierarchies are mounted beside it.

    systemd-nspawn makes the path of a machine's cgroup in systemd's own one as well, and leaves it.
    """
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    split = (line.partition(" - ") for line in mounts)
    return [Path(fields.split()[4]) for fields, _, kind in split if kind.startswith("cgroup ")]


def path_of(name: str) -> Path:
    """The directory of a run's cgroup.

    Raises:
        FileNotFoundError: this computer has no unified hierarchy.
    """
    root = v2_root()
    if root is None:
        raise FileNotFoundError("no cgroup v2 hierarchy is mounted")
    return root / PARENT / name


def create(name: str) -> Path:
    """Make a cgroup with all controllers that its parents can give."""
    path = path_of(name)
    while not path.is_dir():
        with contextlib.suppress(FileNotFoundError):  # another run has removed the parent
            path.mkdir(parents=True, exist_ok=True)
    # The root's own settings belong to the host's systemd and are left as they are.
    for folder in (path.parent, path):
        offered = (folder / "cgroup.controllers").read_text(encoding="utf-8").split()
        if folder != path and offered:
            enable = " ".join(f"+{controller}" for controller in offered)
            (folder / "cgroup.subtree_control").write_text(enable, encoding="utf-8")
    return path


def command(name: str, words: Sequence[str], children_stay: bool = False) -> list[str]:
    """The command that runs `words` in a cgroup, and not for a moment longer than this process.

    systemd-nspawn's machine, as other programs' children, would outlive a parent that was killed.
    In a namespace of process ids, all end with the first.

    Args:
        name: the cgroup.
        words: what to run.
        children_stay: no such namespace: what it leaves running ends with the cgroup.
    """
    alone = ("unshare", "--fork", "--pid", "--mount-proc", "--kill-child=KILL", "--")
    return [
        *("setpriv", "--pdeathsig", "KILL"),
        # This process may have died before the kernel was told to look at that.
        *("sh", "-c", '[ $PPID = "$1" ] && echo $$ > "$2" && shift 2 && exec "$@"', "sh"),
        *(str(os.getpid()), str(path_of(name) / "cgroup.procs")),
        *(() if children_stay else alone),
        *words,
    ]


def controllers(name: str) -> list[str]:
    """The controllers that a cgroup offers to what runs in it."""
    return (path_of(name) / "cgroup.controllers").read_text(encoding="utf-8").split()


def processes(name: str) -> list[int]:
    """All process ids in a cgroup and below it."""
    pids = []
    for folder, _, _ in os.walk(path_of(name)):
        try:
            listed = (Path(folder) / "cgroup.procs").read_text(encoding="ascii")
            pids += [int(pid) for pid in listed.split()]
        except OSError:
            continue  # the directory went while it was read
    return pids


def remove(name: str) -> bool:
    """Kill everything in a cgroup, then remove it from the leaves up; tell whether it was there.

    Raises:
        OSError: something in it does not die.
    """
    there = _kill_and_remove(name)
    for root in v1_roots():
        _remove_empty(root / PARENT / name)
    for root in (path_of(name).parent.parent, *v1_roots()):
        with contextlib.suppress(OSError):  # there is none, or another machine's is in it
            (root / PARENT).rmdir()
    return there


def _kill_and_remove(name: str) -> bool:
    path = path_of(name)
    try:
        (path / "cgroup.kill").write_text("1", encoding="ascii")
    except OSError:
        if path.is_dir():
            raise
        return False
    deadline = time.monotonic() + KILL_WITHIN
    while path.is_dir():
        try:
            for folder, _, _ in os.walk(path, topdown=False):
                Path(folder).rmdir()
        except FileNotFoundError:
            continue  # somebody else removes it as well
        except OSError:
            # Killed processes leave their cgroup a moment later; no event tells of the last one.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)
    return True


def _remove_empty(path: Path) -> None:
    """Remove a cgroup without processes, and those below it; one that has any stays."""
    for folder, _, _ in os.walk(path, topdown=False):
        with contextlib.suppress(OSError):
            Path(folder).rmdir()
