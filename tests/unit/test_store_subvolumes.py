"""What was finished in the store has its content and its notes; nothing else is trusted."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from keeper_support import ROOT_ONLY, build, stamp, store_of

from harness.keeper.client import Keeper

pytestmark = ROOT_ONLY


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    keeper = Keeper(tmp_path / "cache", "t")
    yield keeper
    assert keeper.close() == ""


def btrfs(*words: object) -> None:
    subprocess.run(["btrfs", *map(str, words)], check=True, capture_output=True)


def names_in(keeper: Keeper) -> list[str]:
    return sorted(path.name for path in store_of(keeper).iterdir())


def test_a_finished_subvolume_has_its_content_its_notes_and_is_read_only(keeper: Keeper) -> None:
    # Braces in a command are its own.
    script = "x=hello; echo ${x} | awk '{print $1}' > file"
    build(keeper, "rootfs-1", script, what="a test", facts={"a": ["b"]})
    found = stamp(keeper, "rootfs-1")
    assert found is not None
    assert found.items() >= {"what": "a test", "facts": {"a": ["b"]}}.items()
    assert (store_of(keeper) / "rootfs-1" / "file").read_text() == "hello\n"
    with pytest.raises(OSError, match="Read-only"):
        (store_of(keeper) / "rootfs-1" / "other").touch()
    assert keeper.call("finished")["finished"] == {"rootfs-1": found}
    assert names_in(keeper) == ["rootfs-1", "rootfs-1.json"]


def test_what_is_not_there_has_no_stamp(keeper: Keeper) -> None:
    assert stamp(keeper, "rootfs-1") is None


def test_a_build_is_no_part_of_the_cache_before_it_is_finished(keeper: Keeper) -> None:
    seen: list[object] = []

    def look(line: str) -> None:
        seen.append((line, stamp(keeper, "rootfs-1"), keeper.call("finished")["finished"]))

    script = "echo I: half; read -t 0.3 nothing < /dev/zero; true"
    keeper.call(
        "bootstrap",
        progress=look,
        name="b",
        final="rootfs-1",
        notes={},
        command=["bash", "-c", script],
    )
    assert seen == [("half", None, {})]
    assert stamp(keeper, "rootfs-1") is not None


def test_a_failed_build_leaves_nothing_and_can_be_tried_again(keeper: Keeper) -> None:
    with pytest.raises(OSError, match=r"(?s)sh ended with status 3:.*no such package"):
        build(keeper, "rootfs-1", "touch part; echo no such package >&2; exit 3")
    assert names_in(keeper) == []
    assert stamp(keeper, "rootfs-1") is None
    build(keeper, "rootfs-1")
    assert stamp(keeper, "rootfs-1") is not None


def test_a_renamed_subvolume_is_not_taken_for_a_finished_one(keeper: Keeper) -> None:
    build(keeper, "rootfs-1")
    store = store_of(keeper)
    (store / "rootfs-1").rename(store / "rootfs-2")
    assert stamp(keeper, "rootfs-2") is None
    assert stamp(keeper, "rootfs-1") is None


def test_a_subvolume_that_was_made_writable_is_not_trusted(keeper: Keeper) -> None:
    build(keeper, "rootfs-1")
    btrfs("property", "set", "-ts", store_of(keeper) / "rootfs-1", "ro", "false")
    assert stamp(keeper, "rootfs-1") is None


def test_a_subvolume_that_was_put_in_the_place_of_another_is_not_trusted(keeper: Keeper) -> None:
    build(keeper, "rootfs-1")
    build(keeper, "rootfs-2")
    store = store_of(keeper)
    (store / "rootfs-1").rename(store / "rootfs-0")
    (store / "rootfs-2").rename(store / "rootfs-1")
    assert stamp(keeper, "rootfs-1") is None


@pytest.mark.parametrize(
    "spoilt", ["", '{\n "what": 1,\n "uu', "[]", "null", "\0\0", '{"uuid": ""}']
)
def test_a_spoilt_stamp_is_none(keeper: Keeper, spoilt: str) -> None:
    build(keeper, "rootfs-1")
    (store_of(keeper) / "rootfs-1.json").write_text(spoilt)
    assert stamp(keeper, "rootfs-1") is None
    build(keeper, "rootfs-1")  # and it can be made anew over the spoilt one
    assert stamp(keeper, "rootfs-1") is not None


def test_a_discarded_subvolume_is_gone_with_its_notes_and_those_inside_it(keeper: Keeper) -> None:
    build(keeper, "rootfs-1", "btrfs -q subvolume create inner; btrfs -q subv create inner/most")
    assert keeper.call("discard", name="rootfs-1") == {"was_there": True}
    assert names_in(keeper) == []
    assert keeper.call("discard", name="rootfs-1") == {"was_there": False}
