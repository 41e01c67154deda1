"""What this computer needs for the embedded machine, and what to do where it lacks something."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HostError
from harness.keeper.cgroups import v2_root
from harness.machines import fedora
from harness.machines.debian import MIRROR
from harness.machines.distros import DEFAULT, Distro

KERNEL = (5, 14)
"""The first kernel that can kill a whole cgroup at once."""
DISK = 6 << 30
"""Bytes that building the machine image takes at its peak."""
MEMORY = 1 << 30
"""Bytes for one machine with a mail server, and the tests."""
INOTIFY = 128
"""fs.inotify.max_user_instances: each machine's systemd and journal take about a dozen."""
MIRROR_WITHIN = 10.0
"""Seconds in which a package mirror answers."""

SYSCTLS = Path("/proc/sys")
HINDRANCES = {
    "kernel.apparmor_restrict_unprivileged_userns": ("1", 0),
    "kernel.unprivileged_userns_clone": ("0", 1),
    "user.max_user_namespaces": ("0", 10_000),
}
"""What forbids user namespaces, Ubuntu's first: the value that does, and one that does not."""

# Command → the Debian package and the Fedora package that have it.
TOOLS = {
    "mmdebstrap": ("mmdebstrap", "mmdebstrap"),
    "systemd-nspawn": ("systemd-container", "systemd-container"),
    "btrfs": ("btrfs-progs", "btrfs-progs"),
    "ip": ("iproute2", "iproute"),
    "setpriv": ("util-linux", "util-linux"),
    "unshare": ("util-linux", "util-linux"),
}
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where tools for root are, also when an ordinary user looks."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: what was seen, whether it will do, and the remedy if not."""

    what: str
    good: bool
    seen: str
    remedy: str = ""


def _kernel() -> Finding:
    found = re.match(r"(\d+)\.(\d+)", platform.release())
    version = (int(found[1]), int(found[2])) if found else (0, 0)
    needed = ".".join(map(str, KERNEL))
    return Finding(
        "kernel", version >= KERNEL, platform.release(), f"boot a kernel of {needed} or later"
    )


def _root() -> Finding:
    from harness.keeper.client import privileged

    try:
        words = privileged()
    except HostError as error:
        return Finding("root", False, error.message, error.hint)
    return Finding("root", True, "by sudo, without a password" if words else "root")


def _tools() -> Finding:
    missing = [tool for tool in TOOLS if shutil.which(tool, path=_PATH) is None]
    debian = shutil.which("apt-get") is not None
    packages = " ".join(TOOLS[tool][0 if debian else 1] for tool in missing)
    install = "apt-get install" if debian else "dnf install"
    return Finding(
        "tools",
        not missing,
        f"missing: {', '.join(missing)}" if missing else "all there",
        f"make setup, or: {install} {packages}",
    )


def _device(path: str, module: str) -> Callable[[], Finding]:
    def look() -> Finding:
        there = Path(path).is_char_device()
        return Finding(path, there, "there" if there else "missing", f"modprobe {module}")

    return look


def _file_system(name: str) -> Callable[[], Finding]:
    def look() -> Finding:
        known = Path("/proc/filesystems").read_text(encoding="ascii").split()
        modules = Path("/lib/modules") / platform.release() / "modules.dep"
        loadable = modules.exists() and f"/{name}.ko" in modules.read_text(encoding="utf-8")
        seen = "in the kernel" if name in known else "a module" if loadable else "not in the kernel"
        return Finding(
            name, name in known or loadable, seen, f"use a kernel that has the {name} file system"
        )

    return look


def _user_namespaces() -> Finding:
    """Whether one who is not root can do in a user namespace what rootless podman does there."""
    what = "user namespaces"
    words = ["unshare", "--user", "--map-root-user", "--mount", "true"]
    if os.geteuid() == 0:
        nobody = ("--reuid=65534", "--regid=65534", "--clear-groups")
        words = ["setpriv", *nobody, *words]
    try:
        done = subprocess.run(
            words, env={"PATH": _PATH, "LC_ALL": "C"}, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        return Finding(what, False, f"not tried: {error.filename} is missing", "install the tools")
    if done.returncode == 0:
        return Finding(what, True, "for everybody")
    remedies = [
        f"sysctl {name}={wanted}"
        for name, (hinders, wanted) in HINDRANCES.items()
        if (sysctl := SYSCTLS / name.replace(".", "/")).exists()
        and sysctl.read_text(encoding="ascii").strip() == hinders
    ]
    return Finding(
        what,
        False,
        f"not for ordinary users: {done.stderr.strip() or 'refused'}",
        "; ".join(remedies) or "rootless podman needs them: see what forbids them here",
    )


def _cgroups() -> Finding:
    root = v2_root()
    return Finding(
        "cgroup v2",
        root is not None,
        f"at {root}" if root else "not mounted",
        "boot with systemd.unified_cgroup_hierarchy=1, or mount a cgroup2 file system",
    )


def _inotify() -> Finding:
    path = Path("/proc/sys/fs/inotify/max_user_instances")
    seen = int(path.read_text(encoding="ascii"))
    return Finding(
        "inotify instances",
        seen >= INOTIFY,
        str(seen),
        f"sysctl fs.inotify.max_user_instances={INOTIFY * 4}",
    )


def _memory() -> Finding:
    from harness.memory import available_memory

    seen = available_memory()
    return Finding(
        "memory",
        seen >= MEMORY,
        f"{seen >> 20} MB free",
        f"free some: {MEMORY >> 20} MB are needed",
    )


def _disk() -> Finding:
    from harness import cache

    try:
        folder = cache.folder()
    except HostError as error:
        return Finding("cache", False, error.message, error.hint)
    free = shutil.disk_usage(folder).free
    built = (folder / "store.btrfs").exists() or any((folder / "store").glob("golden-*"))
    needed = DISK >> 3 if built else DISK
    return Finding(
        "disk",
        free >= needed,
        f"{free >> 20} MB free for {folder}",
        f"free some: {needed >> 20} MB are needed; or set {cache.ENVIRONMENT} to another folder",
    )


def _mirror(distro: Distro = DEFAULT) -> Finding:
    url, variable = f"{MIRROR}/dists/{distro.release}/InRelease", "DMS_HARNESS_MIRROR"
    if distro.how == "dnf":
        url, variable = fedora.index(distro.release), "DMS_HARNESS_FEDORA_MIRROR"
    try:
        with urllib.request.urlopen(url, timeout=MIRROR_WITHIN):  # noqa: S310 - the user's own URL
            return Finding("package mirror", True, f"{url} is there")
    except (urllib.error.URLError, OSError) as error:
        return Finding(
            "package mirror",
            False,
            f"{url}: {getattr(error, 'reason', error)}",
            f"connect to the network, or set {variable} to a mirror that answers",
        )


def _dnf() -> Finding:
    missing = fedora.missing()
    seen = f"missing: {', '.join(missing)}" if missing else ", ".join(fedora.TOOLS)
    return Finding("dnf", not missing, seen, fedora.REMEDY if missing else "")


CHECKS: tuple[Callable[[], Finding], ...] = (
    _kernel,
    _root,
    _tools,
    _device("/dev/fuse", "fuse"),
    _device("/dev/net/tun", "tun"),
    _file_system("btrfs"),
    _file_system("overlay"),
    _user_namespaces,
    _cgroups,
    _inotify,
    _memory,
    _disk,
)
"""What every run needs, quick to look at. The mirror is needed only while the cache is cold."""


FOR_VM: tuple[Callable[[], Finding], ...] = (_root, _memory, _disk)
"""What a run on a virtual machine needs of them."""


def examine_for_vm() -> Iterator[Finding]:
    """Look at what a run on a virtual machine needs, whoever makes that."""
    for check in FOR_VM:
        yield check()


def examine(with_mirror: bool = False, distro: Distro = DEFAULT) -> Iterator[Finding]:
    """Look at everything, in the order in which it is needed.

    Args:
        with_mirror: whether to look at the mirror that machines are built from as well.
        distro: which distribution they would be; one that the user has needs no mirror.
    """
    for check in CHECKS:
        yield check()
    if distro.how == "dnf":
        yield _dnf()
    if with_mirror and distro.how != "rootfs":
        yield _mirror(distro)


def problems(with_mirror: bool = False) -> list[Finding]:
    """What stands in the way."""
    return [finding for finding in examine(with_mirror) if not finding.good]
