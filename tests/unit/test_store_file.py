"""The store's file: what room it takes, and what is said where there is none or it is spoilt."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from keeper_support import ROOT_ONLY, build, child, loop_devices, until

from harness.errors import HostError
from harness.keeper.client import Keeper
from harness.keeper.store import FILE_SIZE, MOUNT_WITHIN

pytestmark = ROOT_ONLY


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    keeper = Keeper(tmp_path / "cache", "t")
    yield keeper
    assert keeper.close() == ""


def test_the_store_takes_little_room_and_is_not_seen_outside_the_keeper(keeper: Keeper) -> None:
    file = keeper.cache / "store.btrfs"
    assert file.stat().st_size == FILE_SIZE
    assert file.stat().st_blocks * 512 < 32 << 20
    build(keeper, "rootfs-1")
    assert list((keeper.cache / "store").iterdir()) == []


@pytest.mark.parametrize("spoilt", ["empty", "garbage", "short", "cut off"])
def test_a_spoilt_store_is_one_error_that_names_the_file_and_the_remedy(
    tmp_path: Path, spoilt: str
) -> None:
    file = tmp_path / "store.btrfs"
    if spoilt == "cut off":
        Keeper(tmp_path, "t").close()
        assert until(lambda: not loop_devices(tmp_path))
        os.truncate(file, 8 << 20)
    else:
        file.write_bytes({"empty": b"", "short": b"x" * 65_600, "garbage": b"x" * 300_000}[spoilt])
    started = time.monotonic()
    with pytest.raises(HostError) as raised:
        Keeper(tmp_path, "t")
    assert time.monotonic() - started < MOUNT_WITHIN  # it was not tried until then
    assert str(file) in raised.value.message
    assert f"rm {file}" in raised.value.hint
    assert "has been cut off" in raised.value.message or "not a btrfs" in raised.value.message
    file.unlink()  # the remedy
    assert Keeper(tmp_path, "t").close() == ""


def test_a_store_that_the_kernel_does_not_mount_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    Keeper(tmp_path, "t").close()
    assert until(lambda: not loop_devices(tmp_path))
    file = tmp_path / "store.btrfs"
    with file.open("r+b") as opened:  # the superblock's checksum is wrong, its magic is right
        opened.seek((64 << 10) + 0x90)
        opened.write(b"\xff" * 16)
    script = (
        "import sys; from pathlib import Path; from harness.keeper import netns, store\n"
        "store.MOUNT_WITHIN = 0.2\n"
        "netns.leave_host_mounts(); store.Store(Path(sys.argv[1])).mount()"
    )
    _, errors = child(script, tmp_path).communicate()
    assert "HostError: the store cannot be mounted: mount" in errors
    assert f"rm {file}" in errors


def test_a_disk_without_room_for_the_store_is_an_error_and_leaves_no_half_of_one(
    tmp_path: Path,
) -> None:
    script = (
        "import subprocess, sys; from pathlib import Path\n"
        "from harness.errors import HostError\n"
        "from harness.keeper import netns; from harness.keeper.client import Keeper\n"
        "netns.leave_host_mounts()\n"
        "small = ['mount', '-t', 'tmpfs', '-o', 'size=1m', 'none', sys.argv[1]]\n"
        "subprocess.run(small, check=True)\n"
        "try: Keeper(Path(sys.argv[1]), 't')\n"
        "except HostError as error: print(error)\n"
        "print(list(Path(sys.argv[1]).glob('*.btrfs')))"
    )
    said, errors = child(script, tmp_path).communicate()
    assert errors == ""
    assert "the keeper did not start" in said
    assert str(tmp_path / "store") in said
    assert said.endswith("\n[]\n")


def test_a_cache_on_btrfs_needs_no_file_and_removes_as_thoroughly(tmp_path: Path) -> None:
    script = (
        "import subprocess, sys; from pathlib import Path; from harness.keeper import netns\n"
        "from harness.keeper.store import Store\n"
        "def btrfs(*words): subprocess.run(['btrfs', '-q', *map(str, words)], check=True)\n"
        "netns.leave_host_mounts(); host = Store(Path(sys.argv[1])); host.mount()\n"
        "host.create('home')\n"
        "cache = host.path('home') / 'cache'; cache.mkdir(); store = Store(cache); store.mount()\n"
        "store.create('build-a'); inner = store.path('build-a') / 'x' / 'inner'\n"
        "inner.parent.mkdir()\n"
        "btrfs('subv', 'create', inner); btrfs('subv', 'create', inner / 'b')\n"
        "store.finish('build-a', 'a', {}); assert store.stamp('a')\n"
        "store.delete('a'); print([str(p.relative_to(cache)) for p in cache.rglob('*')])"
    )
    assert child(script, tmp_path).communicate() == ("['store']\n", "")
