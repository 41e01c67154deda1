"""What the tests of whole runs share: runs as processes of their own, and what is left of them."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness.keeper import cgroups
from harness.keeper.client import Keeper
from harness.keeper.runtime import RUNTIME
from harness.machines.base import BaseMachine

ROOT = Path(__file__).parents[2]
MARK = "DMS_HARNESS_TEST_RUN"
"""The variable by which every process of a run is found again, wherever it has got to."""
HAPPENS_WITHIN = 120.0
"""Seconds in which a run, which may share the computer with others, gets to any moment."""
GONE_WITHIN = 5.0
"""Seconds in which nothing of a run may be left after its end; it takes less than one."""
NEEDS_ROOT = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="the keeper needs root"),
]


def until(happened: Callable[[], object], within: float) -> bool:
    """Poll until something is true; tell whether it became so in time."""
    deadline = time.monotonic() + within
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def read(path: Path) -> str:
    """A file's text; empty where it is not there, or goes while it is read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def is_alive(pid: int) -> bool:
    """Whether a process exists and is more than an entry that waits to be reaped."""
    return read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].strip()[:1] not in ("", "Z", "X")


def store_of(keeper: Keeper) -> Path:
    """The store as a living keeper sees it, in its own mount namespace."""
    return Path(f"/proc/{keeper._process.pid}/root{keeper.cache}/store")


def _names_in(folder: Path) -> list[str]:
    """What is in a folder, which may go while it is looked into, or be gone."""
    try:
        return os.listdir(folder)  # noqa: PTH208 — at once, not one after the other
    except FileNotFoundError:
        return []


def _processes(words: Sequence[str], of: Sequence[str]) -> Iterator[int]:
    """The living processes that have one of the words in one of their files in /proc."""
    for folder in Path("/proc").glob("[0-9]*"):
        text = "".join(read(folder / name) for name in of)
        if any(word in text for word in words) and is_alive(int(folder.name)):
            yield int(folder.name)


def command_line(pid: int) -> str:
    """How a process was started."""
    return read(Path(f"/proc/{pid}/cmdline")).replace("\0", " ").strip()


def loop_devices(cache: Path) -> list[str]:
    """The loop devices that hold a cache's store."""
    told = subprocess.run(
        ["losetup", "--list", "--json"], capture_output=True, text=True, check=True, timeout=10
    ).stdout
    devices = json.loads(told)["loopdevices"] if told else []
    return [d["name"] for d in devices if d["back-file"].startswith(f"{cache}/")]


def files_on(machine: BaseMachine, *folders: str) -> dict[str, str]:
    """What lies in folders of a machine: path → owner, mode, length, link, times of all changes."""
    shown = machine.succeed(
        f"find {' '.join(folders)} -printf '%p\\t%u %g %m %s %l %T@ %C@\\n' | sort"
    )
    return dict(line.split("\t", 1) for line in shown.splitlines())


@dataclass
class Run:
    """A harness's process, its children, and all that its keepers make.

    Attributes:
        process: the leader of a session of its own.
        nonce: the value of `MARK` in its environment.
        log: what it writes.
        runs: where a pytest of it puts its record.
        cache: the cache that it uses.
        owners: the keepers that were seen so far, with their process ids.
    """

    process: subprocess.Popen[bytes]
    nonce: str
    log: Path
    runs: Path
    cache: Path
    owners: dict[str, int] = field(default_factory=dict)

    def look(self) -> dict[str, int]:
        """Note the keepers that live now, beside those that were seen before."""
        for pid in _processes([f"{MARK}={self.nonce}"], ["environ"]):
            words = command_line(pid).split()
            if "--owner" in words:
                self.owners[words[words.index("--owner") + 1]] = pid
        return self.owners

    def machine(self) -> str:
        """The full name of a machine that a ledger of the run lists, or nothing."""
        for owner in self.look():
            for line in read(self.cache / "ledger" / f"{owner}.jsonl").splitlines():
                with suppress(ValueError):
                    sign, kind, name = json.loads(line)
                    if (sign, kind) == ("+", "snapshot") and name.startswith("machine-"):
                        return str(name)
        return ""

    def observed(self) -> list[dict[str, Any]]:
        """What the run has written down so far."""
        lines = [
            line
            for path in self.runs.glob("2*/observations.jsonl")
            for line in read(path).split("\n")[:-1]
        ]
        return [json.loads(line) for line in lines]

    def phases(self) -> list[str]:
        """The phases of deployments that have ended."""
        return [seen["subject"] for seen in self.observed() if seen["kind"] == "phase"]

    def output(self) -> str:
        """What it has written so far."""
        return read(self.log)

    def expect(self, happened: Callable[[], object], what: str) -> None:
        """Wait until something is true of the run, which must not end before."""
        done = until(lambda: happened() or self.process.poll() is not None, HAPPENS_WITHIN)
        assert done, f"{what}: not within {HAPPENS_WITHIN:.0f} s:\n{self.output()[-2000:]}"
        assert happened(), f"{what}: the run ended before:\n{self.output()[-2000:]}"

    def kill_group(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Signal the process and those of its children that share its process group."""
        os.killpg(self.process.pid, number)

    def end(self, within: float = HAPPENS_WITHIN) -> int:
        """Wait for the process's end; return its exit status."""
        return self.process.wait(within)

    def left(self, looker: Keeper | None = None) -> list[str]:
        """All that there is of the run and of its keepers, in words.

        Args:
            looker: a living keeper of the same cache, which sees the snapshots.
        """
        owners = list(self.look())
        left = [
            f"process {pid}: {command_line(pid)[:100]}"
            for pid in _processes([f"{MARK}={self.nonce}"], ["environ"])
        ]
        if not owners:
            return left
        left += [
            f"process {pid} of a keeper: {command_line(pid)[:100]}"
            for pid in _processes(owners, ["cmdline", "cgroup", "mountinfo"])
        ]
        places = {
            "cgroup": cgroups.path_of("x").parent,
            "folder": RUNTIME,
            "ledger": self.cache / "ledger",
            "file": self.cache / "images",
            "temporary folder": self.cache,
            "network namespace": Path("/run/netns"),
            **{f"cgroup in {v1}": v1 / cgroups.PARENT for v1 in cgroups.v1_roots()},
        }
        if looker is not None:
            assert looker.cache == self.cache
            places["snapshot"] = store_of(looker)
        left += [
            f"{sort} {name}"
            for sort, folder in places.items()
            for name in _names_in(folder)
            if any(owner in name for owner in owners)
        ]
        return left + left_on_computer(self.cache)

    def wait_until_gone(self, looker: Keeper | None = None) -> None:
        """Wait until nothing of the run is left.

        Raises:
            AssertionError: something is, after `GONE_WITHIN` seconds.
        """
        gone = until(lambda: not self.left(looker), GONE_WITHIN)
        assert gone, f"left after {GONE_WITHIN:.0f} s:\n" + "\n".join(self.left(looker))


def left_on_computer(cache: Path) -> list[str]:
    """What no run may have put in the computer's own view, even while it lives."""
    mounts = {
        Path(line.split()[4])
        for process in (1, "self")
        for line in read(Path(f"/proc/{process}/mountinfo")).splitlines()
    }
    ours = {m for m in mounts for top in (cache, RUNTIME) if top in m.parents}
    links = [path.name for path in Path("/sys/class/net").iterdir()]
    return [f"mount {path}" for path in ours] + [
        f"link {name}" for name in links if name.startswith(("ve-", "vb-", "enp1s0"))
    ]


@contextmanager
def started(
    command: Sequence[str],
    folder: Path,
    cache: Path,
    environment: dict[str, str] | None = None,
    stdin: int | None = None,
) -> Iterator[Run]:
    """Start a process of the harness in a session of its own; kill it at the end of the block.

    Args:
        command: the words after the interpreter.
        folder: an empty one, for what it writes.
        cache: the cache that it uses.
        environment: variables to set beside this process's own.
        stdin: a file descriptor that it reads from, by default nothing.
    """
    nonce = secrets.token_hex(8)
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "output.txt"
    inherited = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PYTEST_", "COV_", "GITHUB_"))
    }
    given = {MARK: nonce, "DMS_HARNESS_CACHE": str(cache), "PYTHONUNBUFFERED": "1"}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env=inherited | given | (environment or {}),
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    run = Run(process, nonce, log, folder / "runs", cache)
    try:
        yield run
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)


def pytest_words(folder: Path, select: str, mailserver: str, *more: str) -> list[str]:
    """The words that run the deployments' tests; the record goes to `folder`."""
    return [
        *("-m", "pytest", "tests/deployments", "-k", select, "-v", "-p", "no:cacheprovider"),
        *("--runs", str(folder / "runs"), "--mailserver", mailserver, *more),
    ]


def dms_harness(cache: Path, *words: str, within: float = 60.0) -> subprocess.CompletedProcess[str]:
    """Run `dms-harness` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "harness.cli", *words],
        cwd=ROOT,
        env=os.environ | {"DMS_HARNESS_CACHE": str(cache)},
        capture_output=True,
        text=True,
        check=False,
        timeout=within,
    )
