"""The store: a btrfs file system that holds root file systems, goldens and machines' snapshots.

Where the cache lies on btrfs it is a plain folder there, elsewhere a sparse file with a btrfs in
it, mounted through a loop device in the keeper's private mount namespace. The loop device clears
itself when the last keeper that mounted it is gone.

A subvolume that is complete is read-only, carries its final name and has a stamp that names its
btrfs UUID: all three are checked before it is used, so a build that was cut off, or one that
somebody changed, is never taken for a good one.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE_SIZE = 64 << 30
"""Bytes that the store's file may grow to; it is sparse and starts at a few MB."""
MOUNT_WITHIN = 10.0
"""Seconds to wait for another keeper's mount of the same file to come or go."""
SUPERBLOCK = 64 << 10
"""Where a btrfs has its first superblock."""
MOST_LINKS = 40
"""Symbolic links on the way to a file before they are taken for a circle, as by the kernel."""
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


def _delete(path: Path) -> None:
    """Remove a subvolume after those inside it: podman's btrfs driver makes some, overlay none."""
    listed = _tool("btrfs", "subvolume", "list", "-o", str(path)).splitlines()
    if listed:
        _tool("btrfs", "property", "set", "-ts", str(path), "ro", "false")
        # Paths are told from the top of the file system, wherever that is mounted.
        own = _tool("btrfs", "subvolume", "show", str(path)).splitlines()[0]
        for line in listed:
            _delete(path / line.split(" path ", 1)[1].removeprefix(f"{own}/"))
    _tool("btrfs", "subvolume", "delete", str(path))


def _check_file(file: Path) -> None:
    """Look at the file before the kernel does, whose refusal does not tell what is wrong.

    Raises:
        HostError: it is not a btrfs, or its end is missing.
    """
    with file.open("rb") as opened:
        opened.seek(SUPERBLOCK)
        block = opened.read(0x78)
        length = opened.seek(0, os.SEEK_END)
    wrong = ""
    if block[0x40:0x48] != b"_BHRfS_M":
        wrong = "is not a btrfs file system"
    elif length < (total := int.from_bytes(block[0x70:0x78], "little")):
        wrong = f"has been cut off: it has {length} of {total} bytes"
    if wrong:
        raise HostError(f"the store {file} {wrong}", f"remove it, it is made again: rm {file}")


class Store:
    """The mounted store.

    Args:
        cache: the harness's folder in the user's cache directory.
    """

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.root = cache / "store"

    def mount(self) -> None:
        """Make the store usable in this mount namespace; create it where there is none yet.

        Raises:
            HostError: the store's file is spoilt, or cannot be mounted.
            OSError: it cannot be made.
        """
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
            _check_file(file)
            deadline = time.monotonic() + MOUNT_WITHIN
            while True:
                try:
                    _tool("mount", "-o", "loop,noatime,compress=no", str(file), str(self.root))
                except OSError as error:
                    # The loop device of a keeper that is just ending is neither usable nor gone.
                    if time.monotonic() > deadline:
                        raise HostError(
                            f"the store cannot be mounted: {error}",
                            f"where loop devices work, remove it, it is made again: rm {file}",
                        ) from error
                    time.sleep(0.1)
                else:
                    return

    def path(self, name: str) -> Path:
        """Where a subvolume lies."""
        return self.root / name

    def stamp(self, name: str) -> dict[str, Any] | None:
        """What was noted of a finished subvolume, or None where it is not to be trusted."""
        try:
            stamp = json.loads((self.root / f"{name}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if not isinstance(stamp, dict) or not stamp.get("uuid"):
            return None
        return stamp if stamp["uuid"] == self._identity(name) else None

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
        # A systemd-nspawn that was killed leaves its lock.
        (self.root / f".#{name}.lck").unlink(missing_ok=True)
        path = self.path(name)
        if not path.is_dir():
            return False
        _delete(path)
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


def _resolved(root: Path, path: Path) -> Path:
    """Where a folder of a root file system lies here. Its links lead to where they do in there.

    Raises:
        OSError: its links lead in circles.
    """
    found, rest, links = root, list(reversed(path.parts)), 0
    while rest:
        part = rest.pop()
        if part == "/":
            found = root
        elif part == "..":
            found = found if found == root else found.parent
        elif (found / part).is_symlink():
            links += 1
            if links > MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
            rest += reversed((found / part).readlink().parts)
        else:
            found /= part
    return found


def write_inside(root: Path, path: str, text: str) -> None:
    """Write a file of a root file system that is not in use, and the folders that it lies in.

    Nothing outside of it is touched, whatever links it holds; a link of that name is replaced.
    """
    file = _resolved(root, Path(path).parent) / Path(path).name
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.is_symlink():
        file.unlink()
    file.write_text(text, encoding="utf-8")


def free_bytes(path: Path) -> int:
    """Bytes that are free for new files in the file system of `path`."""
    shown = os.statvfs(path)
    return shown.f_bavail * shown.f_frsize
