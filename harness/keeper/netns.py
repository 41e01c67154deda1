"""Network namespaces: a machine's own, and the outside that it is linked to.

The names exist only in the keeper's private mount namespace, so that they vanish with it, and
with them the namespaces, their links and their addresses.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import subprocess
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

CLONE_NEWNET = 0x40000000
CLONE_NEWNS = 0x00020000
MS_REC = 0x4000
MS_PRIVATE = 0x40000

NAMES = Path("/run/netns")

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def leave_host_mounts() -> None:
    """Give this process a mount namespace of its own, from which nothing gets back to the host."""
    _check(_libc.unshare(CLONE_NEWNS), "unshare(CLONE_NEWNS)")
    _check(_libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "mount --make-rprivate /")


def mount_tmpfs(path: Path) -> None:
    """Lay an empty tmpfs over a directory of the keeper's own view."""
    path.mkdir(parents=True, exist_ok=True)
    _check(_libc.mount(b"tmpfs", bytes(path), b"tmpfs", 0, b"mode=0755"), f"mount tmpfs {path}")


@contextmanager
def entered(name: str) -> Iterator[None]:
    """Run a block inside a named network namespace. Only this thread changes its place."""
    with (
        Path("/proc/thread-self/ns/net").open("rb") as here,
        (NAMES / name).open("rb") as there,
    ):
        _check(_libc.setns(there.fileno(), CLONE_NEWNET), f"enter network namespace {name}")
        try:
            yield
        finally:
            _check(_libc.setns(here.fileno(), CLONE_NEWNET), "return to the host's namespace")


def open_socket(
    name: str, family: int, kind: int, bind: tuple[str, int] | None, listen: bool
) -> socket.socket:
    """Make a socket that lives in a namespace, wherever it is used afterwards.

    Args:
        name: the namespace.
        family: `socket.AF_INET` or `socket.AF_INET6`.
        kind: `socket.SOCK_STREAM` or `socket.SOCK_DGRAM`.
        bind: address and port to bind to; ports below 1024 are allowed.
        listen: whether to listen (streams only).
    """
    with entered(name):
        sock = socket.socket(family, kind)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if bind is not None:
            if bind[1]:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(bind)
        if listen:
            sock.listen(128)
    except OSError:
        sock.close()
        raise
    return sock


def set_default(name: str, setting: str, value: str) -> None:
    """Set one of a namespace's own network settings (a path below /proc/sys/net)."""
    with entered(name):
        (Path("/proc/sys/net") / setting).write_text(value, encoding="ascii")


def addresses_script(device: str, addresses: Sequence[str]) -> str:
    """`ip -batch` lines that bring a device up with addresses, without waiting for DAD."""
    lines = [f"link set {device} up"]
    lines += [
        f"addr add {address} dev {device}" + (" nodad" if ":" in address else "")
        for address in addresses
    ]
    return "\n".join(lines) + "\n"


async def ip(script: str, namespace: str | None = None, may_fail: bool = False) -> None:
    """Run `ip -batch` in a namespace.

    Raises:
        OSError: a line of it failed.
    """
    where = ("-netns", namespace) if namespace else ()
    process = await asyncio.create_subprocess_exec(
        *("ip", *where, "-batch", "-"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    said, _ = await process.communicate(script.encode())
    if process.returncode != 0 and not may_fail:
        raise OSError(f"ip -batch in {namespace or 'the keeper'}: {said.decode().strip()}")
