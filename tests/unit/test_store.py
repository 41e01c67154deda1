from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from keeper_support import ROOT_ONLY, child, loop_devices, store_of, until

from harness.errors import HostError
from harness.keeper.client import Keeper
from harness.keeper.store import FILE_SIZE, MOUNT_WITHIN

pytestmark = ROOT_ONLY


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    keeper = Keeper(tmp_path / "cache", "t")
    yield keeper
    assert keeper.close() == ""


def build(keeper: Keeper, final: str, script: str = "true", **notes: Any) -> None:
    command = ["sh", "-c", f'cd "$1" && {script}', "sh", "{target}"]
    keeper.call("bootstrap", name=f"of-{final}", final=final, command=command, notes=notes)


def stamp(keeper: Keeper, name: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = keeper.call("stamp", name=name)["stamp"]
    return found


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


CRASHING = """
import json, sys
from pathlib import Path
from harness.keeper import netns, store as module
from harness.keeper.store import Store

class Crash(BaseException): pass
left = None
def crashing(function, torn=None):
    def wrapped(*args, **kwargs):
        global left
        if left is not None:
            if left == 0:
                raise Crash
            left -= 1
            if torn and left == 0:
                torn(*args)
                raise Crash
            if torn:
                left -= 1
        return function(*args, **kwargs)
    return wrapped

netns.leave_host_mounts()
store = Store(Path(sys.argv[1]))
store.mount()
write = Path.write_text
module._tool = crashing(module._tool)
Path.rename = crashing(Path.rename)
Path.unlink = crashing(Path.unlink)
Path.write_text = crashing(write, lambda path, text, **kw: write(path, text[:len(text) // 2]))
seen = []
for steps in range(100):
    store.create("build-old")
    write(store.path("build-old") / "file", "old")
    store.finish("build-old", "final", {"content": "old"})
    store.create("build-new")
    write(store.path("build-new") / "file", "new")
    left = steps
    try:
        store.finish("build-new", "final", {"content": "new"})
    except Crash:
        pass
    else:
        break
    finally:
        left = None
    # What another process sees now, and what it does about it.
    stamp = store.stamp("final")
    content = store.path("final") / "file"
    seen.append([stamp and stamp["content"], content.exists() and content.read_text()])
    store.delete("build-new")
    store.delete("final")
    assert [p.name for p in store.root.iterdir() if not p.name.endswith(".json.new")] == []
print(json.dumps([seen, store.stamp("final")["content"]]))
"""


def test_finishing_is_atomic_wherever_it_is_cut_off(tmp_path: Path) -> None:
    said, errors = child(CRASHING, tmp_path).communicate()
    assert errors == ""
    seen, last = json.loads(said)
    assert len(seen) >= 8
    assert last == "new"
    for stamp, content in seen:
        assert stamp is None or stamp == content, seen
    assert [None, "new"] in seen  # renamed, and not yet good


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
