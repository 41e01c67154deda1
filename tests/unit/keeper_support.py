"""What the tests of everything that needs root share; holds no tests itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.keeper import cgroups
from harness.keeper.client import Keeper
from harness.keeper.runtime import RUNTIME
from harness.machines.nspawn import Network, NspawnMachine
from harness.machines.shell import Login

ROOT_ONLY = pytest.mark.skipif(
    os.geteuid() != 0,
    reason="makes cgroups, mounts and namespaces: run as root (as the CI machine does)",
)
# Ends only when it is killed, and has a child of its own.
ENDLESS = ["sh", "-c", 'touch "$1"; echo I: begun; sleep 600 & sleep 600', "sh", "{target}"]


def until(happened: Callable[[], object], within: float = 30.0) -> bool:
    """Poll until something is true; tell whether it became so in time."""
    deadline = time.monotonic() + within
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def child(code: str, *arguments: object, new_session: bool = False) -> subprocess.Popen[str]:
    """Python code in a process of its own, with pipes; it can import the harness."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=new_session,
    )


def store_of(keeper: Keeper) -> Path:
    """The store as the keeper sees it, in its own mount namespace."""
    return Path(f"/proc/{keeper._process.pid}/root{keeper.cache}/store")


def loop_devices(cache: Path) -> list[str]:
    """The loop devices that are backed by a file of a cache."""
    found = []
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            if backing.read_text(encoding="utf-8").startswith(str(cache)):
                found.append(backing.parts[3])
        except OSError:
            continue  # it went while we looked
    return found


def names_in(folder: Path) -> list[str]:
    """What is in a folder, which may go while it is looked into, or be gone."""
    try:
        return os.listdir(folder)  # noqa: PTH208 — at once, not one after the other
    except FileNotFoundError:
        return []


def left_of(owner: str, cache: Path) -> list[str]:
    """Everything on this computer that bears a keeper's name or holds its cache, in words."""
    left = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            known = command + (folder / "cgroup").read_text(encoding="utf-8")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if command and owner in known:
            left.append(f"process {folder.name}: {command}")
    parent = cgroups.path_of("x").parent
    left += [f"cgroup {parent}/{name}" for name in names_in(parent) if owner in name]
    left += [f"runtime {RUNTIME}/{name}" for name in names_in(RUNTIME) if owner in name]
    # Not `rglob`: folders go while it looks into them.
    for folder, folders, files in os.walk(cache):
        left += [f"file {folder}/{name}" for name in (*folders, *files) if owner in name]
    left += [f"loop device {name}" for name in loop_devices(cache)]
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    left += [f"mount {line.split()[4]}" for line in mounts if owner in line or str(cache) in line]
    return left


def end_without_a_trace(keeper: Keeper) -> None:
    """Close a keeper; nothing may be left of it."""
    try:
        if keeper._process.returncode is None:
            assert keeper.close() == ""
        assert until(lambda: not left_of(keeper.owner, keeper.cache)), left_of(
            keeper.owner, keeper.cache
        )
    finally:  # whatever is broken: nothing stays on the computer
        keeper._process.kill()
        for cgroup in cgroups.path_of("x").parent.glob(f"*{keeper.owner}*"):
            cgroups.remove(cgroup.name)
        shutil.rmtree(f"/run/dms-harness/{keeper.owner}", ignore_errors=True)


def swept_by_next(cache: Path) -> list[str]:
    """What the next keeper finds left; nothing may be left after that one."""
    keeper = Keeper(cache, "t")
    hello = keeper.call("hello")
    assert hello["stuck"] == []
    temporary = [p.name for p in store_of(keeper).iterdir() if p.name.startswith(("b", "m"))]
    assert temporary == []
    assert keeper.close() == ""
    assert until(lambda: not left_of(keeper.owner, cache)), left_of(keeper.owner, cache)
    assert list((cache / "ledger").iterdir()) == []
    swept: list[str] = hello["swept"]
    return swept


def machine_of(keeper: Keeper, name: str = "m1", network: Network | None = None) -> NspawnMachine:
    """A machine of an empty subvolume: it has all that a machine has, and ends at once."""
    if keeper.call("stamp", name="empty")["stamp"] is None:
        keeper.call("bootstrap", name="e", final="empty", command=["true"], notes={})
    return NspawnMachine(keeper, name, "empty", Login(Path("none"), None), {}, "nobody", network)


def build(keeper: Keeper, final: str, script: str = "true", **notes: Any) -> None:
    """Have a keeper make a subvolume of the cache with a script."""
    command = ["sh", "-c", f'cd "$1" && {script}', "sh", "{target}"]
    keeper.call("bootstrap", name=f"of-{final}", final=final, command=command, notes=notes)


def stamp(keeper: Keeper, name: str) -> dict[str, Any] | None:
    """What a subvolume of the cache was finished with; none where it is not trusted."""
    found: dict[str, Any] | None = keeper.call("stamp", name=name)["stamp"]
    return found
