"""A keeper's life: it begins quickly, and nothing is left of it or its run, however they end."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from keeper_support import (
    ENDLESS,
    ROOT_ONLY,
    child,
    end_without_a_trace,
    left_of,
    loop_devices,
    machine_of,
    store_of,
    swept_by_next,
    until,
)

from harness.errors import HostError
from harness.keeper import cgroups
from harness.keeper.client import Keeper

pytestmark = ROOT_ONLY

# A run that is in the middle of everything: its keeper builds a subvolume and a file.
RUN = f"""
import signal, sys, threading, time
from pathlib import Path
from harness.keeper.client import Keeper
# A shell has its background jobs ignore Ctrl-C, and they pass that on.
signal.signal(signal.SIGINT, signal.default_int_handler)
keeper = Keeper(Path(sys.argv[1]), "t")
begun = threading.Barrier(3)
def ask(verb, **arguments):
    try:
        keeper.call(verb, lambda _: begun.wait(), command={ENDLESS!r}, **arguments)
    except Exception:
        pass
asked = [("bootstrap", dict(name="b", final="f", notes={{}})),
         ("make_file", dict(name="m", path=sys.argv[1] + "/made"))]
for verb, arguments in asked:
    threading.Thread(target=ask, args=(verb,), kwargs=arguments, daemon=True).start()
begun.wait()
print(keeper.owner, flush=True)
time.sleep(600)
"""


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    keeper = Keeper(tmp_path / "cache", "t")
    yield keeper
    end_without_a_trace(keeper)


@contextlib.contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[None]:
    """Kill a process at the end of a block, however that ends: else it would be waited for."""
    try:
        yield
    finally:
        process.kill()


def busy(keeper: Keeper) -> list[threading.Thread]:
    """Have a keeper build a subvolume and a file for ever."""
    begun = threading.Barrier(3)

    def ask(verb: str, **arguments: object) -> None:
        with pytest.raises((OSError, HostError)):
            keeper.call(verb, lambda _: bool(begun.wait()), command=ENDLESS, **arguments)

    threads = [
        threading.Thread(
            target=ask, args=("bootstrap",), kwargs={"name": "b", "final": "f", "notes": {}}
        ),
        threading.Thread(
            target=ask,
            args=("make_file",),
            kwargs={"name": "m", "path": str(keeper.cache / "made")},
        ),
    ]
    for thread in threads:
        thread.start()
    begun.wait(30)
    return threads


def test_a_keeper_is_ready_in_less_than_a_second(tmp_path: Path) -> None:
    seconds = []
    for _ in range(8):  # the best of some, for a computer that is busy with other tests
        started = time.monotonic()
        keeper = Keeper(tmp_path, "t")
        seconds.append(time.monotonic() - started)
        keeper.close()
        if seconds[-1] < 1:
            return
    pytest.fail(f"{seconds} s")


def test_a_keeper_that_is_closed_leaves_nothing(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path, "t")
    owner = keeper.owner
    assert any("process" in each for each in left_of(owner, tmp_path))
    assert any("runtime" in each for each in left_of(owner, tmp_path))
    assert any("loop device" in each for each in left_of(owner, tmp_path))
    assert any("file" in each for each in left_of(owner, tmp_path))  # its ledger
    assert keeper.close() == ""
    assert until(lambda: not left_of(owner, tmp_path)), left_of(owner, tmp_path)
    assert swept_by_next(tmp_path) == []


def test_closing_ends_builds_that_are_under_way(keeper: Keeper) -> None:
    threads = busy(keeper)
    there = " ".join(left_of(keeper.owner, keeper.cache))
    assert f"cgroup {cgroups.path_of(f'build-{keeper.owner}-b')}" in there
    assert (store_of(keeper) / f"build-{keeper.owner}-b").is_dir()
    assert keeper.close() == ""
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert until(lambda: not left_of(keeper.owner, keeper.cache))
    assert swept_by_next(keeper.cache) == []


@pytest.mark.parametrize(
    ("number", "group"),
    [
        (signal.SIGKILL, False),
        (signal.SIGTERM, False),
        # Ctrl-C goes to all processes of the terminal's foreground; the keeper is none of them.
        (signal.SIGINT, True),
        (signal.SIGKILL, True),
    ],
    ids=["SIGKILL", "SIGTERM", "Ctrl-C", "SIGKILL to the group"],
)
def test_nothing_outlives_a_run_that_is_killed(
    tmp_path: Path, number: signal.Signals, group: bool
) -> None:
    with child(RUN, tmp_path, new_session=True) as run, ended(run):
        assert run.stdout is not None
        owner = run.stdout.readline().strip()
        assert owner, run.stderr and run.stderr.read()
        there = " ".join(left_of(owner, tmp_path))
        for sort in ("process", "cgroup", "runtime", "file", "loop device", "sleep 600"):
            assert sort in there
        (os.killpg if group else os.kill)(run.pid, number)
        run.wait(30)
    assert until(lambda: not left_of(owner, tmp_path)), left_of(owner, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "ledger",
        "mount.lock",
        "store",
        "store.btrfs",
    ]
    assert swept_by_next(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_keeper_ends_it_in_order(keeper: Keeper, number: signal.Signals) -> None:
    threads = busy(keeper)
    keeper._process.send_signal(number)
    assert keeper._process.wait(30) == 0
    for thread in threads:
        thread.join(30)
    assert until(lambda: not left_of(keeper.owner, keeper.cache))
    assert swept_by_next(keeper.cache) == []


def test_what_a_killed_keeper_leaves_is_removed_and_named_by_the_next(keeper: Keeper) -> None:
    machine = machine_of(keeper)
    machine.start()
    threads = busy(keeper)
    own = keeper.owner
    keeper._process.kill()
    keeper._process.wait(30)
    for thread in threads:
        thread.join(30)
    # Processes die with it, those that they have started too; things stay.
    assert until(lambda: not any("sleep 600" in each for each in left_of(own, keeper.cache)))
    assert any("cgroup" in each for each in left_of(own, keeper.cache))
    assert sorted(swept_by_next(keeper.cache)) == sorted(
        [
            f"cgroup build-{own}-b",
            f"cgroup build-{own}-m",
            f"cgroup machine-{own}-m1",
            f"file {keeper.cache / f'{own}.made'}",
            f"folder /run/dms-harness/{own}",
            f"folder {keeper.cache / f'build-{own}-b.tmp'}",
            f"folder {keeper.cache / f'build-{own}-m.tmp'}",
            f"snapshot build-{own}-b",
            f"snapshot machine-{own}-m1",
        ]
    )


def test_a_keeper_that_does_not_come_to_an_end_is_named(keeper: Keeper) -> None:
    keeper._process.send_signal(signal.SIGSTOP)
    assert keeper.close(within=0.1) == (
        f"the keeper (process {keeper._process.pid}) still works after 0 s"
    )
    keeper._process.send_signal(signal.SIGCONT)
    assert keeper._process.wait(30) == 0


def test_snapshots_that_no_ledger_lists_are_removed_as_well(tmp_path: Path) -> None:
    # As after a crash of the computer, which may lose a ledger's last lines.
    first = Keeper(tmp_path, "t")
    machine_of(first).start()
    first._process.kill()
    first._process.wait(30)
    for ledger in (tmp_path / "ledger").iterdir():
        ledger.unlink()
    shutil.rmtree(f"/run/dms-harness/{first.owner}")
    cgroups.remove(f"machine-{first.owner}-m1")
    assert swept_by_next(tmp_path) == [f"snapshot machine-{first.owner}-m1"]


def test_a_keeper_leaves_what_belongs_to_its_neighbours(keeper: Keeper) -> None:
    threads = busy(keeper)
    neighbour = Keeper(keeper.cache, "t")
    assert neighbour.call("hello")["swept"] == []
    assert (store_of(neighbour) / f"build-{keeper.owner}-b").is_dir()
    assert neighbour.close() == ""
    assert cgroups.processes(f"build-{keeper.owner}-b") != []
    keeper.close()
    for thread in threads:
        thread.join(30)


@pytest.mark.parametrize("milliseconds", [0, 5, 15, 60])
def test_a_run_that_ends_while_a_machine_starts_leaves_nothing(
    milliseconds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A computer on which a snapshot takes its time.
    (btrfs := tmp_path / "btrfs").write_text(
        f'#!/bin/sh\n[ "$2" = snapshot ] && sleep 0.15\nexec {shutil.which("btrfs")} "$@"\n'
    )
    btrfs.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    keeper = Keeper(tmp_path / "cache", "t")
    machine = machine_of(keeper)

    def start() -> None:
        with contextlib.suppress(OSError, HostError):  # it may also be in time
            machine.start()

    starting = threading.Thread(target=start)
    starting.start()
    time.sleep(milliseconds / 1000)
    assert keeper.close() == ""
    starting.join(30)
    assert until(lambda: not left_of(keeper.owner, keeper.cache))
    assert swept_by_next(keeper.cache) == []


def test_an_owner_whose_run_was_killed_at_birth_is_swept(tmp_path: Path) -> None:
    # Only the first bytes of its ledger were written.
    (tmp_path / "ledger").mkdir()
    (tmp_path / "ledger" / "t-1-abcd.jsonl").write_text('["+", "fold')
    assert swept_by_next(tmp_path) == []


def test_the_store_is_nowhere_on_the_computer_when_all_is_over(tmp_path: Path) -> None:
    keepers = [Keeper(tmp_path, "t") for _ in range(3)]
    for keeper in keepers:
        assert keeper.close() == ""
    assert until(lambda: not loop_devices(tmp_path))
