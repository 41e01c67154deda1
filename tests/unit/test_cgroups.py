from __future__ import annotations

import os
import secrets
import signal
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from keeper_support import ROOT_ONLY, until

from harness.keeper import cgroups

pytestmark = ROOT_ONLY


@pytest.fixture
def name() -> Iterator[str]:
    name = f"test-{os.getpid()}-{secrets.token_hex(2)}"
    yield name
    cgroups.remove(name)


def start_in(cgroup: Path, script: str) -> subprocess.Popen[bytes]:
    """A shell script in a cgroup; returns when it is in there."""
    process = subprocess.Popen(
        ["sh", "-c", f'echo $$ > "{cgroup}/cgroup.procs" && echo in && {script}'],
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"in\n"
    return process


def is_alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_cgroup_is_made_below_the_harness_own_and_is_empty(name: str) -> None:
    path = cgroups.create(name)
    assert path == cgroups.path_of(name)
    assert path.parent.name == cgroups.PARENT
    assert (path / "cgroup.procs").exists()
    assert cgroups.processes(name) == []


def test_making_it_twice_is_the_same_as_once(name: str) -> None:
    assert cgroups.create(name) == cgroups.create(name)


def test_it_offers_what_its_parent_has(name: str) -> None:
    path = cgroups.create(name)
    offered = (path.parent / "cgroup.controllers").read_text(encoding="utf-8").split()
    assert cgroups.controllers(name) == offered


def test_removing_says_whether_it_was_there(name: str) -> None:
    cgroups.create(name)
    assert cgroups.remove(name) is True
    assert not cgroups.path_of(name).exists()
    assert cgroups.remove(name) is False


def test_processes_are_those_in_it_and_below_it(name: str) -> None:
    path = cgroups.create(name)
    (path / "a" / "b").mkdir(parents=True)
    with (
        start_in(path, "exec sleep 60") as here,
        start_in(path / "a" / "b", "exec sleep 60") as below,
    ):
        assert set(cgroups.processes(name)) == {here.pid, below.pid}
        cgroups.remove(name)
    assert cgroups.processes(name) == []


def test_removing_kills_live_processes_at_every_depth(name: str) -> None:
    path = cgroups.create(name)
    (path / "a" / "b").mkdir(parents=True)
    with (
        start_in(path / "a" / "b", "exec sleep 60") as deep,
        start_in(path, "trap '' TERM INT HUP; while :; do sleep 60; done") as stubborn,
    ):
        assert cgroups.remove(name)
    assert (deep.returncode, stubborn.returncode) == (-signal.SIGKILL, -signal.SIGKILL)
    assert not path.exists()


def test_removing_takes_empty_directories_inside_with_it(name: str) -> None:
    path = cgroups.create(name)
    for inner in ("a/b/c/d", "a/e", "f"):
        (path / inner).mkdir(parents=True)
    assert cgroups.remove(name)
    assert not path.exists()


def test_removing_ends_processes_that_fork_and_leave_their_parents(name: str) -> None:
    path = cgroups.create(name)
    # Children that have a session of their own and whose parents are gone, more all the time.
    with start_in(path, "while :; do setsid sh -c 'sleep 60 & sleep 60 &' & sleep 0.001; done"):
        assert until(lambda: len(cgroups.processes(name)) > 20)
        known = cgroups.processes(name)
        assert cgroups.remove(name)
    assert not path.exists()
    assert until(lambda: not any(is_alive(pid) for pid in known))


def test_what_nspawn_makes_of_it_in_older_hierarchies_is_removed_as_well(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A folder is one of these as far as making and removing directories goes.
    monkeypatch.setattr(cgroups, "v1_roots", lambda: [tmp_path])
    cgroups.create(name)
    (tmp_path / cgroups.PARENT / name / "payload").mkdir(parents=True)
    others = tmp_path / cgroups.PARENT / "another-runs"
    others.mkdir()
    assert cgroups.remove(name)
    assert [path.name for path in (tmp_path / cgroups.PARENT).iterdir()] == ["another-runs"]
    others.rmdir()
    cgroups.create(name)
    cgroups.remove(name)
    assert list(tmp_path.iterdir()) == []


def test_the_last_one_takes_the_harness_own_with_it_and_the_next_makes_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cgroups, "PARENT", f"harness-test-{secrets.token_hex(2)}")
    for _ in range(2):
        parent = cgroups.create("a").parent
        cgroups.create("b")
        cgroups.remove("a")
        assert parent.is_dir()
        cgroups.remove("b")
        assert not parent.exists()


def test_a_process_that_nobody_reaps_does_not_keep_a_cgroup(name: str) -> None:
    path = cgroups.create(name)
    zombie = start_in(path, "exec sleep 60")  # not waited for until the end
    assert cgroups.remove(name)
    assert not path.exists()
    assert not is_alive(zombie.pid)
    zombie.communicate()


def test_two_removers_at_once_both_come_to_an_end(name: str) -> None:
    for _ in range(10):
        path = cgroups.create(name)
        for inner in range(10):
            (path / f"a{inner}" / "b").mkdir(parents=True)
        with ThreadPoolExecutor(3) as pool:
            removers = [pool.submit(cgroups.remove, name) for _ in range(3)]
            answers = {remover.result(30) for remover in removers}
        assert True in answers
        assert not path.exists()


def test_listing_processes_survives_that_the_cgroup_goes_meanwhile(name: str) -> None:
    for _ in range(20):
        path = cgroups.create(name)
        for inner in range(10):
            (path / f"a{inner}" / "b").mkdir(parents=True)
        remover = threading.Thread(target=cgroups.remove, args=(name,))
        remover.start()
        while remover.is_alive():
            assert cgroups.processes(name) == []
        remover.join()


def test_a_computer_without_the_unified_hierarchy_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "v2_root", lambda: None)
    with pytest.raises(FileNotFoundError, match="no cgroup v2 hierarchy is mounted"):
        cgroups.create("x")
