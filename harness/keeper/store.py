"""The store: a btrfs file system that holds root file systems, goldens and machines' snapshots.

Where the cache lies on btrfs it is a plain folder there, elsewhere a sparse file with a btrfs in
it, mounted through a loop device in the keeper's private mount namespace. The loop device clears
itself when the last keeper that mounted it is gone.

A subvolume that is complete is read-only, carries its final name and has a stamp that names its
btrfs UUID: all three are checked before it is used, so a build that was cut off, or one that
somebody changed, is never taken for a good one.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE_SIZE = 64 << 30
"""Bytes that the store's file may grow to; it is sparse and starts at a few MB."""
MOUNT_WITHIN = 10.0
"""Seconds to wait for another keeper's mount of the same file to come or go."""
TEMPORARY = ("build-", "machine-")
"""Subvolumes with these prefixes belong to a run; all others are cache."""


def _tool(*command: str) -> str:
    """Run one of the host's tools.

    Raises:
        OSError: it failed; the text is what it said.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OSError(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def _is_btrfs(path: Path) -> bool:
    return _tool("stat", "-f", "-c", "%T", str(path)).strip() == "btrfs"


class Store:
    """The mounted store.

    Args:
        cache: the harness's folder in the user's cache directory.
    """

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.root = cache / "store"

    def mount(self) -> None:
        """Make the store usable in this mount namespace; create it where there is none yet."""
        self.root.mkdir(parents=True, exist_ok=True)
        if _is_btrfs(self.root):
            return
        file = self.cache / "store.btrfs"
        with self._locked("mount"):
            if not file.exists():
                fresh = file.with_suffix(".new")
                fresh.unlink(missing_ok=True)
                with fresh.open("wb") as out:
                    out.truncate(FILE_SIZE)
                _tool("mkfs.btrfs", "--quiet", str(fresh))
                fresh.rename(file)
            deadline = time.monotonic() + MOUNT_WITHIN
            while True:
                try:
                    _tool("mount", "-o", "loop,noatime,compress=no", str(file), str(self.root))
                except OSError:
                    # The loop device of a keeper that is just ending is neither usable nor gone.
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.1)
                else:
                    return

    def path(self, name: str) -> Path:
        """Where a subvolume lies."""
        return self.root / name

    def stamp(self, name: str) -> dict[str, Any] | None:
        """What was noted of a finished subvolume, or None where it is not to be trusted."""
        try:
            stamp: dict[str, Any] = json.loads(
                (self.root / f"{name}.json").read_text(encoding="utf-8")
            )
        except (OSError, ValueError):
            return None
        if not stamp.get("uuid") or stamp["uuid"] != self._identity(name):
            return None
        return stamp

    def _identity(self, name: str) -> str:
        """A read-only subvolume's UUID; empty where it is writable, and so could have changed."""
        try:
            shown = _tool("btrfs", "subvolume", "show", str(self.path(name)))
        except OSError:
            return ""
        fields = dict(line.strip().split(":", 1) for line in shown.splitlines() if ":" in line)
        if "readonly" not in fields.get("Flags", ""):
            return ""
        return fields.get("UUID", "").strip()

    def create(self, name: str) -> None:
        """Make an empty subvolume."""
        _tool("btrfs", "subvolume", "create", str(self.path(name)))

    def snapshot(self, source: str, name: str) -> None:
        """Make a writable copy of a subvolume, in tens of milliseconds."""
        _tool("btrfs", "subvolume", "snapshot", str(self.path(source)), str(self.path(name)))

    def finish(self, name: str, final: str, notes: dict[str, Any]) -> None:
        """Turn a complete build into a part of the cache, atomically."""
        self.delete(final)
        _tool("btrfs", "property", "set", "-ts", str(self.path(name)), "ro", "true")
        self.path(name).rename(self.path(final))
        _tool("btrfs", "filesystem", "sync", str(self.root))
        stamp = json.dumps(notes | {"uuid": self._identity(final)}, indent=1)
        fresh = self.root / f"{final}.json.new"
        fresh.write_text(stamp, encoding="utf-8")
        fresh.rename(self.root / f"{final}.json")

    def delete(self, name: str) -> bool:
        """Remove a subvolume, and those that were made inside it; tell whether it was there."""
        (self.root / f"{name}.json").unlink(missing_ok=True)
        path = self.path(name)
        if not path.is_dir():
            return False
        # podman's btrfs driver or a user may have made subvolumes inside; overlay does not.
        listed = _tool("btrfs", "subvolume", "list", "-o", str(path)).splitlines()
        for line in sorted(listed, key=len, reverse=True):
            inner = line.split(" path ", 1)[1]
            _tool("btrfs", "subvolume", "delete", str(self.root / inner))
        _tool("btrfs", "subvolume", "delete", str(path))
        return True

    def finished(self) -> list[str]:
        """The names of all subvolumes that belong to the cache."""
        return sorted(
            each.name
            for each in self.root.iterdir()
            if each.is_dir() and not each.name.startswith(TEMPORARY)
        )

    def temporary(self) -> list[str]:
        """The names of all subvolumes that belong to a run, alive or dead."""
        return sorted(each.name for each in self.root.iterdir() if each.name.startswith(TEMPORARY))

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        with (self.cache / f"{name}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def free_bytes(path: Path) -> int:
    """Bytes that are free for new files in the file system of `path`."""
    shown = os.statvfs(path)
    return shown.f_bavail * shown.f_frsize
