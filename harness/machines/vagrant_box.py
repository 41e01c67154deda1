"""A Vagrant box for libvirt, made from Debian's packages: `vagrant/box/make`.

    packages ──mmdebstrap──► root file system ──mke2fs──► disk ──qemu-img──► qcow2 ──tar──► box

It needs root, mmdebstrap, e2fsprogs and qemu-utils, and no loop device: the file system is written
from a folder, and the boot loader, which the box's own distribution links, by plain writes. All
that it makes on the way lies in `$TMPDIR`.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from harness.machines import debian

RECIPE = Path(__file__).parents[2] / "vagrant" / "box"
PACKAGES = (Path(__file__).parent / "guest" / "packages", RECIPE / "packages.vm")
SUITE: Final = "trixie"
GIGABYTES: Final = 16
"""The size of the disk; the file has only what is written to it."""

WITH: Final = RECIPE / "with"
"""What a box may have beside: a folder each, with `packages`, what the `kernel` is told, and the
scripts `customize.sh` and `finish.sh`; see those of SELinux."""

SECTOR: Final = 512
PARTITION: Final = 2048
"""The first partition's first sector: the boot loader lies between it and the boot sector."""
LINUX: Final = 0x83
BOOT_CODE: Final = 440
"""Bytes of the boot sector that are code; the disk's identity and its partitions follow."""


def ingredients() -> list[Path]:
    """All that a box is made of, for a digest of it."""
    return [RECIPE, PACKAGES[0], Path(__file__), Path(debian.__file__)]


def make(
    target: Path,
    suite: str = SUITE,
    gigabytes: int = GIGABYTES,
    like: tuple[Path, str] | None = None,
    extras: Sequence[str] = (),
) -> None:
    """Make a box; tell each step on standard output.

    Args:
        target: the file to write.
        suite: Debian's code name.
        gigabytes: the size of its disk.
        like: the root of a machine that has been provisioned, and its user who runs containers;
            the box has that user and both podman's stores too.
        extras: what it has beside; folders of `WITH`.

    Raises:
        subprocess.CalledProcessError: one of the tools failed; it has said why.
        ValueError: the boot loader does not fit.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="box-") as folder:
        work = Path(folder)
        root, disk, image = work / "root", work / "disk", work / "box.img"
        _run(bootstrap(suite, root, work, extras))
        if like is not None:
            _say("copying the images", started)
            _furnish(root, *like)
        for extra in extras:
            _say(f"finishing {extra}", started)
            _run([str(WITH / extra / "finish.sh"), str(root)])
        _say("writing the file system", started)
        _write_disk(disk, root, work, gigabytes << 30)
        shutil.rmtree(root)
        _say("writing the image", started)
        # Without its holes, it is smaller than what it holds; to be compressed would take longer
        # than to be copied.
        _run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-W", str(disk), str(image)])
        disk.unlink()
        _say("writing the box", started)
        metadata = {"provider": "libvirt", "format": "qcow2", "virtual_size": gigabytes}
        with tarfile.open(target, "w") as box:
            told = json.dumps(metadata).encode()
            entry = tarfile.TarInfo("metadata.json")
            entry.size = len(told)
            box.addfile(entry, io.BytesIO(told))
            box.add(RECIPE / "Vagrantfile", "Vagrantfile")
            box.add(image, "box.img")
        _say(f"the box has {target.stat().st_size >> 20} MB", started)


def bootstrap(suite: str, root: Path, work: Path, extras: Sequence[str] = ()) -> list[str]:
    """The command that makes the root file system, and puts the boot loader's parts into `work`."""
    folders = [WITH / extra for extra in extras]
    lists = [*PACKAGES, *(folder / "packages" for folder in folders)]
    packages = [each for path in lists for each in debian.package_list(path)]
    kernel = " ".join((folder / "kernel").read_text(encoding="utf-8").strip() for folder in folders)
    customize = [f'{RECIPE / "customize.sh"} "$1" {RECIPE} {work} "{kernel}"']
    customize += [f'{folder / "customize.sh"} "$1" {folder}' for folder in folders]
    tool, *words = debian.mmdebstrap(suite, packages, customize, str(root))
    # Before there are packages: the initial RAM disk is made, once, while they are installed.
    return [tool, f'--setup-hook=cp -R {RECIPE / "rootfs"}/. "$1"', *words]


def _furnish(root: Path, like: Path, user: str) -> None:
    """Copy a user and the container stores, root's and the user's, from another root."""
    for folder in ("var/lib/containers", f"home/{user}"):
        (root / folder).mkdir(parents=True, exist_ok=True)
        _run(["cp", "--archive", f"{like / folder}/.", str(root / folder)])
    for name in ("passwd", "shadow", "group", "gshadow", "subuid", "subgid"):
        lines = (like / "etc" / name).read_text(encoding="utf-8").splitlines()
        with (root / "etc" / name).open("a", encoding="utf-8") as out:
            out.writelines(f"{line}\n" for line in lines if line.startswith(f"{user}:"))


def _write_disk(disk: Path, root: Path, parts: Path, size: int) -> None:
    with disk.open("wb") as out:
        out.truncate(size)
    blocks = (size - PARTITION * SECTOR) // 4096
    _run(
        [
            *("mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-m", "0", "-L", "root"),
            # What the boot loader of any distribution can read; nothing here outlives a crash.
            *("-O", "^has_journal,^metadata_csum_seed,^orphan_file"),
            *("-E", f"offset={PARTITION * SECTOR},lazy_itable_init=1,nodiscard"),
            *("-d", str(root), str(disk), str(blocks)),
        ]
    )
    boot, core = ((parts / name).read_bytes() for name in ("boot.img", "core.img"))
    with disk.open("r+b") as out:
        out.write(boot_sectors(boot, core, size // SECTOR))


def boot_sectors(boot: bytes, core: bytes, sectors: int) -> bytes:
    """The beginning of a disk with one Linux partition that takes all of it.

    Args:
        boot: GRUB's `boot.img`, which loads the next sector.
        core: GRUB's `core.img`, which begins with a sector that loads what follows it.
        sectors: the size of the disk.

    Raises:
        ValueError: there is no room for `core` before the partition.
    """
    if len(core) > (PARTITION - 1) * SECTOR:
        raise ValueError(f"core.img has {len(core)} bytes, and does not fit before the partition")
    anywhere = b"\xfe\xff\xff"  # cylinder, head and sector, which nobody reads any more
    partition = struct.pack(
        "<B3sB3sII", 0x80, anywhere, LINUX, anywhere, PARTITION, sectors - PARTITION
    )
    identity = b"dms\0\0\0"
    rest = bytes(3 * len(partition))
    return boot[:BOOT_CODE] + identity + partition + rest + b"\x55\xaa" + core


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def _say(step: str, started: float) -> None:
    print(f"I: {step} (after {time.monotonic() - started:.0f} s)", flush=True)


def main(words: Sequence[str] | None = None) -> int:
    """The command `vagrant/box/make`; returns its exit status."""
    parser = argparse.ArgumentParser(prog="make", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("target", type=Path, help="the box to write")
    parser.add_argument("--suite", default=SUITE, help="Debian's code name (%(default)s)")
    parser.add_argument("--gigabytes", type=int, default=GIGABYTES, help="disk size (%(default)s)")
    parser.add_argument(
        "--mirror", default=debian.MIRROR, help="Debian mirror; also $DMS_HARNESS_MIRROR"
    )
    parser.add_argument("--like", type=Path, metavar="ROOT", help="take USER and images from there")
    parser.add_argument(
        "--with",
        dest="extras",
        action="append",
        default=[],
        choices=sorted(folder.name for folder in WITH.iterdir()),
        help="what it has beside",
    )
    parser.add_argument("--user", help="with --like: who runs rootless containers there")
    given = parser.parse_args(words)
    if bool(given.like) != bool(given.user):
        parser.error("--like and --user go together")
    debian.MIRROR = given.mirror
    os.umask(0o022)
    try:
        like = (given.like, given.user) if given.like else None
        make(given.target, given.suite, given.gigabytes, like, given.extras)
    except (subprocess.CalledProcessError, OSError, ValueError) as error:
        print(f"E: {error}", file=sys.stderr)
        return 1
    return 0
