"""Nothing outlives a run, however and whenever it is killed; needs root and a Debian mirror."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import (
    GONE_WITHIN,
    NEEDS_ROOT,
    Run,
    dms_harness,
    is_alive,
    loop_devices,
    pytest_words,
    started,
    until,
)

from harness import cache
from harness.keeper import cgroups
from harness.keeper.client import Keeper
from harness.keeper.runtime import RUNTIME

pytestmark = NEEDS_ROOT

VARIANT = "rootless_pasta_quadlet-permit_none"
INTERRUPTED_WITHIN = 7.0
"""Seconds from Ctrl-C to the prompt: less than any deployment on its way would take."""
ERROR_WITHIN = 20.0
"""Seconds from a keeper's death to the end of its run, which writes an error for each test."""
AT_ONCE = 3
"""How many runs are killed at a time: each is mostly waiting."""


def machine_is_named(run: Run) -> bool:
    """Nothing of it needs to be there yet."""
    return bool(run.machine())


def machine_boots(run: Run) -> bool:
    return any(
        console.stat().st_size
        for owner in run.look()
        for console in (RUNTIME / owner).glob("m*.console")
    )


def container_starts(run: Run) -> bool:
    return "prepare" in run.phases()


def probes_run(run: Run) -> bool:
    return any(seen["vantage"] for seen in run.observed())


@dataclass(frozen=True)
class Case:
    """When a run is ended, whose process is signalled, and how."""

    moment: Callable[[Run], object]
    number: signal.Signals
    whole_group: bool
    workers: int = 0


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        status: of the process, negative for a signal.
        seconds: from the signal to the end of the process.
        output: what it wrote.
        phases: the phases that it ended.
        present: what was there at the time of the signal.
    """

    status: int
    seconds: float
    output: str
    phases: list[str]
    present: list[str]


KILLED = {
    "all when named": Case(machine_is_named, signal.SIGKILL, whole_group=True),
    "pytest when named": Case(machine_is_named, signal.SIGKILL, whole_group=False),
    "pytest in boot": Case(machine_boots, signal.SIGKILL, whole_group=False),
    "all in start": Case(container_starts, signal.SIGKILL, whole_group=True),
    "all in probes": Case(probes_run, signal.SIGKILL, whole_group=True),
    "terminated in boot": Case(machine_boots, signal.SIGTERM, whole_group=False),
    "terminated in probes": Case(probes_run, signal.SIGTERM, whole_group=True),
    "controller in boot": Case(machine_boots, signal.SIGKILL, whole_group=False, workers=2),
}
INTERRUPTED = {
    "when named": Case(machine_is_named, signal.SIGINT, whole_group=True),
    "in boot": Case(machine_boots, signal.SIGINT, whole_group=True),
    "in start": Case(container_starts, signal.SIGINT, whole_group=True),
    "in probes": Case(probes_run, signal.SIGINT, whole_group=True),
}
CASES = {f"killed {name}": case for name, case in KILLED.items()} | {
    f"interrupted {name}": case for name, case in INTERRUPTED.items()
}


@pytest.fixture(scope="module")
def mailserver(request: pytest.FixtureRequest) -> str:
    option: str = request.config.getoption("--mailserver")
    return option


Start = Callable[..., contextlib.AbstractContextManager[Run]]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory, mailserver: str) -> Start:
    """Starts a run of the deployments' tests."""

    runs = tmp_path_factory.mktemp("runs")
    numbers = itertools.count(1)

    def begin(select: str = VARIANT, *more: str) -> contextlib.AbstractContextManager[Run]:
        folder = runs / str(next(numbers))
        return started(pytest_words(folder, select, mailserver, *more), folder, cache.folder())

    return begin


def ended(case: Case, start: Start, looker: Keeper) -> Outcome:
    """Start a run, signal it at its moment, and see that nothing of it is left."""
    with start(VARIANT, *(["-n", str(case.workers)] if case.workers else [])) as run:
        run.expect(lambda: case.moment(run), case.moment.__name__)
        present = run.left(looker)
        signalled = time.monotonic()
        if case.whole_group:
            run.kill_group(case.number)
        else:
            run.process.send_signal(case.number)
        status = run.end()
        seconds = time.monotonic() - signalled
        run.wait_until_gone(looker)
        return Outcome(status, seconds, run.output(), run.phases(), present)


@pytest.fixture(scope="module")
def outcomes(
    request: pytest.FixtureRequest, start: Start, looker: Keeper
) -> Iterator[dict[str, Future[Outcome]]]:
    """All cases that are asked for, several at a time."""
    asked = [
        item.callspec.params["case"]
        for item in request.session.items
        if item.path == request.path and "case" in getattr(item, "fixturenames", ())
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {name: pool.submit(ended, CASES[name], start, looker) for name in asked}


@pytest.mark.parametrize("case", [name for name in CASES if name.startswith("killed ")])
def test_nothing_outlives_a_run_that_is_killed(
    outcomes: dict[str, Future[Outcome]], case: str
) -> None:
    outcome = outcomes[case].result()
    assert outcome.status == -CASES[case].number, outcome.output
    if CASES[case].moment is probes_run:
        # The tools of this test see everything that they say is gone.
        sorts = {thing.split()[0] for thing in outcome.present}
        assert {"process", "cgroup", "folder", "ledger", "snapshot"} <= sorts


@pytest.mark.parametrize("case", [name for name in CASES if name.startswith("interrupted ")])
def test_an_interrupted_run_takes_itself_down(
    outcomes: dict[str, Future[Outcome]], case: str
) -> None:
    outcome = outcomes[case].result()
    assert outcome.status == pytest.ExitCode.INTERRUPTED, outcome.output
    assert "KeyboardInterrupt" in outcome.output
    assert "left on this computer" not in outcome.output
    assert "Traceback" not in outcome.output
    # The first machine boots while tests are collected: there need be no deployment yet.
    if CASES[case].moment in (container_starts, probes_run):
        assert "down" in outcome.phases
    assert outcome.seconds < INTERRUPTED_WITHIN


def test_a_user_who_interrupts_twice_need_not_wait(start: Start, looker: Keeper) -> None:
    with start() as run:
        run.expect(lambda: probes_run(run), "probes")
        run.kill_group(signal.SIGINT)
        # The first sign that the tear-down is under way.
        run.expect(lambda: f"{VARIANT}: down" in run.output(), "down")
        with contextlib.suppress(ProcessLookupError):
            run.kill_group(signal.SIGINT)
        run.end(INTERRUPTED_WITHIN)
        run.wait_until_gone(looker)


@contextmanager
def held(ledger: Path) -> Iterator[Callable[[], None]]:
    """Become the next holder of a living keeper's ledger, so that no other run sweeps it.

    Call what is given after the keeper's end, to wait for the lock.
    """
    with ledger.open("rb") as file, ThreadPoolExecutor(1) as pool:
        taken = pool.submit(fcntl.flock, file, fcntl.LOCK_EX)
        # Blocked by now, or about to be: the keeper still holds it.
        yield lambda: taken.result(GONE_WITHIN)


def others(run: Run) -> list[str]:
    """Keepers of the same cache, any of which may sweep as it starts."""
    names = [path.stem for path in (run.cache / "ledger").glob("*.jsonl")]
    return [name for name in names if name not in run.owners and not name.startswith("look-")]


def test_a_killed_keeper_is_an_error_and_what_it_leaves_is_removed(
    start: Start, looker: Keeper
) -> None:
    with start() as run:
        run.expect(lambda: probes_run(run), "probes")
        machine = run.machine()
        ((owner, keeper),) = run.look().items()
        pids = cgroups.processes(machine)
        assert len(pids) > 5
        with held(run.cache / "ledger" / f"{owner}.jsonl") as wait_for_lock:
            os.kill(keeper, signal.SIGKILL)
            assert until(lambda: not any(map(is_alive, pids)), 5.0)
            wait_for_lock()
            status = run.end(ERROR_WITHIN)
            left = run.left(looker)
            left.remove(f"snapshot .#{machine}.lck")  # systemd-nspawn's
            left = [thing for thing in left if not thing.startswith("cgroup in ")]  # its older ones
            assert sorted(left) == [
                f"cgroup {machine}",
                f"folder {owner}",
                f"ledger {owner}.jsonl",
                f"snapshot {machine}",
            ]
        alone = not others(run)
        cleaned = dms_harness(run.cache, "clean")
        run.wait_until_gone(looker)
        assert cleaned.returncode == 0, cleaned.stderr
        if alone and not others(run):
            for thing in (f"snapshot {machine}", f"cgroup {machine}", f"folder {RUNTIME / owner}"):
                assert f"removed {thing}" in cleaned.stdout
            assert dms_harness(run.cache, "clean").stdout == "nothing was left behind\n"
        output = run.output()
    assert status == pytest.ExitCode.TESTS_FAILED
    summary = output.splitlines()[-1]
    assert " error" in summary, summary
    assert "failed" not in summary, summary
    assert f"HostError: {VARIANT}: the keeper is gone" in output
    assert "`dms-harness clean` removes what is left" in output


def test_the_next_run_removes_what_a_run_left_that_was_killed_with_its_keeper(
    start: Start, looker: Keeper
) -> None:
    with start() as run:
        run.expect(lambda: machine_boots(run), "boot")
        machine = run.machine()
        (keeper,) = run.look().values()
        os.kill(run.process.pid, signal.SIGSTOP)  # it does not see its keeper die
        os.kill(keeper, signal.SIGKILL)
        run.kill_group()
        run.end()
        alone = not others(run)
        with start(f"{VARIANT} and test_mail_server_comes_up") as following:
            assert following.end() == 0, following.output()
            following.wait_until_gone(looker)
        run.wait_until_gone(looker)
        if alone:
            said = following.output()
            assert f"removed what a dead run had left: snapshot {machine}" in said
            assert f"removed what a dead run had left: cgroup {machine}" in said


@pytest.fixture
def building(tmp_path: Path) -> Iterator[Run]:
    """`dms-harness setup` in a cache of its own, when it waits for a mirror that is silent."""
    own = tmp_path / "cache"
    with closing(socket.create_server(("127.0.0.1", 0))) as mirror:
        mirror.settimeout(60)
        url = f"http://127.0.0.1:{mirror.getsockname()[1]}/debian"
        words = ["-m", "harness.cli", "setup", "--mailserver", "stand-in"]
        with (
            started(words, tmp_path / "setup", own, {"DMS_HARNESS_MIRROR": url}) as run,
            # The machine's root file system and the stand-in's are built at the same time.
            mirror.accept()[0],
            mirror.accept()[0],
        ):
            run.look()
            assert loop_devices(own)
            yield run


def test_nothing_outlives_a_build_that_is_killed(building: Run) -> None:
    present = building.left()
    assert sum(thing.startswith("cgroup build-") for thing in present) == 2
    assert any("mmdebstrap" in thing for thing in present)
    scratch = [path for path in building.cache.glob("*.tmp") if any(path.iterdir())]
    assert scratch, "it has no temporary files, or elsewhere"
    building.kill_group()
    building.wait_until_gone()
    assert until(lambda: not loop_devices(building.cache), GONE_WITHIN)
    assert list((building.cache / "ledger").iterdir()) == []
    assert list((building.cache / "images").iterdir()) == []
    assert dms_harness(building.cache, "clean").stdout == "nothing was left behind\n"


def test_an_interrupted_build_takes_itself_down(building: Run) -> None:
    building.kill_group(signal.SIGINT)
    assert building.end(INTERRUPTED_WITHIN) != 0
    building.wait_until_gone()
    assert until(lambda: not loop_devices(building.cache), GONE_WITHIN)
    assert list((building.cache / "images").iterdir()) == []
    assert dms_harness(building.cache, "clean").stdout == "nothing was left behind\n"


def test_what_a_killed_keeper_leaves_of_a_build_is_named_and_removed(building: Run) -> None:
    ((owner, keeper),) = building.look().items()
    os.kill(keeper, signal.SIGKILL)
    assert building.end(GONE_WITHIN) == 2
    assert "dms-harness: the keeper ended while it was asked for" in building.output()
    assert "Traceback" not in building.output()
    cleaned = dms_harness(building.cache, "clean")
    assert cleaned.returncode == 0
    for thing in ("cgroup build-", "snapshot build-"):
        assert f"removed {thing}{owner}-rootfs" in cleaned.stdout
    assert f"removed folder {RUNTIME / owner}" in cleaned.stdout
    building.wait_until_gone()
    assert until(lambda: not loop_devices(building.cache), GONE_WITHIN)
    assert dms_harness(building.cache, "clean").stdout == "nothing was left behind\n"
