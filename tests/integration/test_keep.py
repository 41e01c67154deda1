"""`pytest --keep`: what outlives its run can be used, is left alone by others, and can be ended."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest
from support import (
    GONE_WITHIN,
    NEEDS_ROOT,
    ROOT,
    Run,
    dms_harness,
    is_alive,
    pytest_words,
    started,
    until,
)

from harness import cache
from harness.keeper.client import Keeper
from harness.kept.leave import LOG
from harness.kept.marker import Kept, kept_in
from harness.machines.supply import MEMORY
from harness.memory_locks import held
from harness.outside.world import DOMAIN, EXCHANGER

pytestmark = NEEDS_ROOT

BASE = ROOT / "scenarios" / "rootless_pasta_quadlet"
SCENARIO = f"""
base = "{BASE}"
title = "One variant whose expectation is not true"

[variants.permit_unset]
expect.relays_from = ["outside_far_v4"]
expect.why = "untrue: PERMIT_DOCKER unset means none"

[variants.permit_none]
expect.why = "mynetworks is empty"
"""
WRONG, RIGHT = "kept-permit_unset", "kept-permit_none"
QUICK = "(comes_up or open_relay or stopping)"
"""Tests that pass or fail in a second once the mail server was probed, and one that ends it."""
COMMAND_WITHIN = 30.0

Begin = Callable[..., AbstractContextManager[Run]]


@pytest.fixture
def begin(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Begin]:
    """Starts a run of the deployments' tests; ends what it has kept, whatever is broken."""
    folder = tmp_path / "scenarios" / "kept"
    folder.mkdir(parents=True)
    (folder / "scenario.toml").write_text(SCENARIO, encoding="utf-8")
    mailserver = request.config.getoption("--mailserver")

    def start(keep: str, select: str, *more: str) -> AbstractContextManager[Run]:
        words = pytest_words(tmp_path, f"({select}) and {QUICK}", mailserver, "--keep", keep, *more)
        return started([*words, "--scenarios", str(folder.parent)], tmp_path, cache.folder())

    with ExitStack() as at_end:
        at_end.callback(lambda: [each.end() for each in kept_by(tmp_path)])
        yield start


def kept_by(folder: Path) -> list[Kept]:
    """What the runs of a test have kept."""
    return [each for each in kept_in(cache.folder()) if each.run.parent == folder / "runs"]


def here(command: str, *more: str) -> str:
    """What a command line says that was printed for people, run as from another terminal."""
    done = subprocess.run(
        [*shlex.split(command), *more],
        capture_output=True,
        text=True,
        check=False,
        timeout=COMMAND_WITHIN,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def line_of(output: str, name: str) -> str:
    """What is said of the kept machine under a name."""
    found = re.search(rf"^    {name} +(.*)$", output, re.MULTILINE)
    assert found, output
    return found[1]


def test_what_failed_stays_as_it_was_until_it_is_ended(
    begin: Begin, looker: Keeper, tmp_path: Path
) -> None:
    with begin("failing", "permit_unset or permit_none") as run:
        assert run.end(240) == pytest.ExitCode.TESTS_FAILED, run.output()
        output = run.output()
        (kept,) = kept_by(tmp_path)
        assert kept.scenarios == [WRONG]
        record = kept.run.name
        assert "kept (--keep failing) until `dms-harness clean --kept` is run:" in output
        # What would have ended it was not done, and nobody says that it passed.
        assert re.search(rf"test_stopping_leaves\S*\[{WRONG}\] SKIPPED", output), output

        # The line that was printed leads in; the mail server runs; names and mail go outside.
        log_in = line_of(output, "log in")
        user, address = line_of(output, "operator").split()[3].strip(";").split("@")
        as_operator = log_in.replace(f"root@{address}", f"{user}@{address}")
        assert here(log_in, "hostname") == "mailhost\n"
        assert here(as_operator, "podman ps --format '{{.Status}}'").startswith("Up ")
        assert EXCHANGER in here(log_in, f"getent hosts {EXCHANGER}")
        message = f"Subject: kept\nTo: probe@{DOMAIN}\n\nkept\n"
        sent = f"printf %s {shlex.quote(message)} | podman exec -i dms sendmail probe@{DOMAIN}"
        here(as_operator, sent)
        log = kept.run / LOG
        took = f"{WRONG}: the mail exchanger took a message of "
        assert until(lambda: took in log.read_text(encoding="utf-8"), COMMAND_WITHIN)
        assert f"'probe@{DOMAIN}'" in log.read_text(encoding="utf-8")

        # Others leave it alone, and say that it is there.
        cleaned = dms_harness(run.cache, "clean")
        assert cleaned.returncode == 0, cleaned.stderr
        assert f"kept: {WRONG} (--keep failing, since " in cleaned.stdout
        listed = run.left(looker)
        assert {"snapshot", "cgroup", "process", "folder"} <= {each.split()[0] for each in listed}
        assert len([each for each in listed if each.startswith("snapshot machine")]) == 1
        assert here(log_in, "hostname") == "mailhost\n"

        wrong = dms_harness(run.cache, "clean", "--kept", "20200101-000000-0000")
        assert wrong.returncode != 0
        assert record in wrong.stderr
        ended = dms_harness(run.cache, "clean", "--kept", record)
        assert ended.returncode == 0, ended.stderr
        assert f"removed kept {WRONG} (--keep failing, since " in ended.stdout
        assert kept_by(tmp_path) == []
        run.wait_until_gone(looker)


def test_each_failing_repetition_stays_by_itself_and_holds_its_memory(
    begin: Begin, looker: Keeper, tmp_path: Path
) -> None:
    before = kept_memory()
    with begin("failing", "permit_unset or permit_none", "--repeat", "2") as run:
        assert run.end(360) == pytest.ExitCode.TESTS_FAILED, run.output()
        (kept,) = kept_by(tmp_path)
        assert kept.scenarios == [f"{WRONG}.1", f"{WRONG}.2"]
        for name in kept.scenarios:
            assert f"  {name}: " in run.output()
        assert kept_memory() == [*before, MEMORY, MEMORY]
        kept.end()
        run.wait_until_gone(looker)
        assert until(lambda: kept_memory() == before, GONE_WITHIN)


def kept_memory() -> list[int]:
    """The megabytes that machines hold that have outlived their runs."""
    return [each.megabytes for each in held(cache.folder()) if each.is_kept]


def test_each_worker_keeps_its_own_and_the_next_run_says_so(
    begin: Begin, looker: Keeper, tmp_path: Path
) -> None:
    with begin("always", "permit_unset or permit_none", "-n", "2", "-x") as run:
        assert run.end(240) in (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED)
        kept = kept_by(tmp_path)
        names = sorted(name for each in kept for name in each.scenarios)
        # Of two workers, the other one may be told to stop before it has begun.
        assert WRONG in names, run.output()
        assert names in ([RIGHT, WRONG], [WRONG])
        assert len(kept) == len(names)
        for name in names:
            assert f"  {name}: " in run.output()
        with begin("failing", f"{RIGHT} and comes_up") as following:
            assert following.end(240) == 0, following.output()
            said = following.output()
        assert sorted(name for each in kept_by(tmp_path) for name in each.scenarios) == names
        for each in kept:
            assert f"kept by a run before: {each}; `dms-harness clean --kept` ends it" in said
        for each in kept:
            each.end()
        run.wait_until_gone(looker)


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["one process", "two workers"])
def test_whoever_interrupts_keeps_nothing(
    begin: Begin, looker: Keeper, tmp_path: Path, workers: tuple[str, ...]
) -> None:
    with begin("always", "kept", *workers) as run:
        run.expect(lambda: "test_mail_server_comes_up" in run.output(), "a test")
        run.kill_group(signal.SIGINT)
        assert run.end(GONE_WITHIN * 6) == pytest.ExitCode.INTERRUPTED, run.output()
        run.wait_until_gone(looker)
        assert kept_by(tmp_path) == []
        assert "until `dms-harness clean --kept`" not in run.output()


def test_a_run_that_is_killed_keeps_nothing(begin: Begin, looker: Keeper) -> None:
    with begin("always", "kept") as run:
        run.expect(lambda: "test_mail_server_comes_up" in run.output(), "a test")
        run.kill_group()
        run.end()
        run.wait_until_gone(looker)


def test_what_is_kept_by_a_keeper_that_is_killed_is_swept(
    begin: Begin, looker: Keeper, tmp_path: Path
) -> None:
    with begin("always", f"{RIGHT} and comes_up") as run:
        assert run.end(240) == 0, run.output()
        (kept,) = kept_by(tmp_path)
        run.look()
        os.kill(kept.pid, signal.SIGKILL)
        # A process of several threads is a zombie before the last of them lets go of its files.
        assert until(lambda: not is_alive(kept.pid) and not kept_by(tmp_path), GONE_WITHIN)
        cleaned = dms_harness(run.cache, "clean")
        assert cleaned.returncode == 0, cleaned.stderr
        assert WRONG not in cleaned.stdout
        run.wait_until_gone(looker)  # the process that served its outside as well


def test_machines_that_cannot_be_kept_are_an_error_at_the_start(begin: Begin) -> None:
    consent = ("--machine", "ssh:nobody@192.0.2.1", "--i-know-this-changes-the-host")
    with begin("failing", RIGHT, *consent) as run:
        assert run.end(60) == pytest.ExitCode.USAGE_ERROR
        assert "--keep failing with --machine ssh:nobody@192.0.2.1: " in run.output()
