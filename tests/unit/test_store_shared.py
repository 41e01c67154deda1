"""One store for several keepers, which outlives each of them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from keeper_support import ROOT_ONLY, build, child, loop_devices, stamp, store_of, until

from harness.keeper.client import Keeper

pytestmark = ROOT_ONLY


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    keeper = Keeper(tmp_path / "cache", "t")
    yield keeper
    assert keeper.close() == ""


def test_two_keepers_share_a_cache_that_neither_has_made_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Making it takes long enough that both begin before one is done.
    (mkfs := tmp_path / "mkfs.btrfs").write_text(
        f'#!/bin/sh\nsleep 0.3\nexec {shutil.which("mkfs.btrfs")} "$@"\n'
    )
    mkfs.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    starts = [
        child(
            "import sys; from pathlib import Path; from harness.keeper.client import Keeper\n"
            "keeper = Keeper(Path(sys.argv[1]), 't')\n"
            "word = sys.argv[2]\n"
            "keeper.call('bootstrap', name='b', final=word, command=['true'], notes={})\n"
            "print('built', flush=True); input()\n"
            "print(sorted(keeper.call('finished')['finished'])); print(keeper.close(), end='')",
            tmp_path / "cache",
            word,
        )
        for word in ("one", "two")
    ]
    for process in starts:
        assert process.stdout is not None
        assert process.stdout.readline() == "built\n"
    for process in starts:
        assert process.communicate("\n", 60) == ("['one', 'two']\n", "")


def test_a_second_keeper_sees_what_the_first_one_builds_and_removes(
    keeper: Keeper, tmp_path: Path
) -> None:
    other = Keeper(tmp_path / "cache", "t")
    build(keeper, "rootfs-1", "echo 1 > file")
    assert stamp(other, "rootfs-1") == stamp(keeper, "rootfs-1") is not None
    assert (store_of(other) / "rootfs-1" / "file").read_text() == "1\n"
    other.call("discard", name="rootfs-1")
    assert stamp(keeper, "rootfs-1") is None
    build(other, "rootfs-2")
    assert other.close() == ""
    assert stamp(keeper, "rootfs-2") is not None  # the store outlives one of its keepers


def test_the_cache_outlives_its_keepers(tmp_path: Path) -> None:
    first = Keeper(tmp_path, "t")
    build(first, "rootfs-1", "echo 1 > file", what="kept")
    before = stamp(first, "rootfs-1")
    first.close()
    second = Keeper(tmp_path, "t")
    assert stamp(second, "rootfs-1") == before is not None
    second.close()


def test_the_loop_device_goes_with_the_last_keeper(tmp_path: Path) -> None:
    first, second = Keeper(tmp_path, "t"), Keeper(tmp_path, "t")
    assert len(loop_devices(tmp_path)) == 1
    first.close()
    assert len(loop_devices(tmp_path)) == 1
    second.close()
    assert until(lambda: not loop_devices(tmp_path))
