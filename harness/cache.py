"""The harness's folder in the user's cache directory, and the keys that are made in it."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import HostError

if TYPE_CHECKING:
    from harness.machines.shell import Login

ENVIRONMENT = "DMS_HARNESS_CACHE"


def folder() -> Path:
    """Where everything that survives a run lies: `$DMS_HARNESS_CACHE`, or in the user's cache.

    Raises:
        HostError: it cannot be written to.
    """
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    path = Path(os.environ.get(ENVIRONMENT) or Path(base) / "dms-harness").absolute()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HostError(
            f"the cache {path} cannot be made: {error.strerror}",
            f"make it writable, or set {ENVIRONMENT} to another folder",
        ) from error
    return path


@contextmanager
def exclusive(cache: Path, name: str, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold a lock of the cache; call `waiting` once where another process holds it.

    The lock goes with the process, however it ends.
    """
    with (cache / f"{name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def login(cache: Path) -> Login:
    """The key pair that machines of this cache are entered with; made on first use."""
    from harness.machines.shell import Login  # takes long, and `folder` does not need it

    path = cache / "ssh" / "id_ed25519"
    public = path.with_suffix(".pub")
    with exclusive(cache, "ssh", lambda: None):
        if not (path.exists() and public.exists()):
            import asyncssh

            path.parent.mkdir(mode=0o700, exist_ok=True)
            key = asyncssh.generate_private_key("ssh-ed25519", comment="dms-harness")
            path.unlink(missing_ok=True)
            path.touch(mode=0o600)
            path.write_bytes(key.export_private_key())
            # The public half comes last and at once: it says that the private one is complete.
            fresh = public.with_suffix(".new")
            fresh.write_bytes(key.export_public_key())
            fresh.rename(public)
    return Login(path, None)


def digest(*parts: str | bytes | Path) -> str:
    """A short name for a recipe: changes whenever a word, a file or a file's mode in it does.

    Raises:
        FileNotFoundError: a file of it is not there.
    """
    sha = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            inside = sorted(each for each in part.rglob("*") if each.is_file())
            for file in inside if part.is_dir() else [part]:
                name = file.relative_to(part) if part.is_dir() else file.name
                sha.update(f"{name}\0{file.stat().st_mode & 0o111:o}\0".encode())
                sha.update(file.read_bytes())
        else:
            sha.update(part if isinstance(part, bytes) else part.encode())
        sha.update(b"\0\0")
    return sha.hexdigest()[:16]
