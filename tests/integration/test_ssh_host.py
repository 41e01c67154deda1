"""Runs on a host that somebody has: what they find out, and that the host is as it was then."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, suppress
from pathlib import Path

import pytest
from ssh_host import ADMIN, Reachable, somebodys_host
from support import NEEDS_ROOT, Run, dms_harness, pytest_words, read, started, until

from harness import cache
from harness.errors import MachineError
from harness.leaks import State
from harness.machines.ssh import look
from harness.machines.ssh.guard import UNDONE_WITHIN
from harness.machines.ssh.login import Login, Where

pytestmark = NEEDS_ROOT

CLEANED_WITHIN = 120.0
RUN_WITHIN = 400.0
SSH = ("--machine", f"ssh:{ADMIN}@myhost", "--i-know-this-changes-the-host")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reachable]:
    with somebodys_host(tmp_path_factory.mktemp("host")) as made:
        yield made


@pytest.fixture
def login(host: Reachable, monkeypatch: pytest.MonkeyPatch) -> Iterator[Login]:
    """A look at the host that has nothing to do with the run's own."""
    monkeypatch.setenv("HOME", str(host.home))
    made = Login(Where("myhost", ADMIN))
    yield made
    made.close()


def begun(host: Reachable, folder: Path, select: str, *more: str) -> AbstractContextManager[Run]:
    return started(
        pytest_words(folder, select, "stand-in", *(more or SSH)),
        folder,
        cache.folder(),
        {"HOME": str(host.home)},
    )


def as_before(login: Login, before: State) -> list[str]:
    return look.differences(before, look.look(login))


@pytest.mark.parametrize(
    "select", ["rootless_pasta_quadlet-permit_unset", "rootful_compose-permit_container"]
)
def test_a_scenario_is_judged_there_and_nothing_is_left(
    host: Reachable, login: Login, tmp_path: Path, select: str
) -> None:
    before = look.look(login)
    with begun(host, tmp_path, select) as run:
        assert run.end(RUN_WITHIN) == 0, run.output()[-3000:]
    assert " failed" not in run.output()
    assert f"{ADMIN}@myhost is as it was before the run" in run.output()
    assert as_before(login, before) == []


def test_a_killed_run_leaves_the_host_as_it_was(
    host: Reachable, login: Login, tmp_path: Path
) -> None:
    before = look.look(login)
    with begun(host, tmp_path, "rootless_pasta_quadlet-permit_unset") as run:
        assert until(lambda: "ready" in run.phases() or run.process.poll() is not None, RUN_WITHIN)
        changed = as_before(login, before)
        assert any("mailop" in each for each in changed), changed
        assert any("dms0" in each for each in changed), changed
        run.kill_group(signal.SIGKILL)
        run.end()
    assert until(lambda: not as_before(login, before), UNDONE_WITHIN), as_before(login, before)


def test_a_port_in_use_is_refused_before_anything_is_changed(
    host: Reachable, login: Login, tmp_path: Path
) -> None:
    host.machine.succeed(
        "systemd-run --quiet --unit=my-mail python3 -c"
        " 'import socket, time; s = socket.create_server((\"127.0.0.1\", 25)); time.sleep(600)'"
    )
    host.machine.wait_for_port(25)
    try:
        before = look.look(login)
        with begun(host, tmp_path, "rootless_pasta_quadlet-permit_unset") as run:
            assert run.end(RUN_WITHIN) != 0
        assert 'port 25: users:(("python3"' in run.output()
        assert as_before(login, before) == []
    finally:
        host.machine.succeed("systemctl stop my-mail")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (SSH[:2], "--i-know-this-changes-the-host"),
        ((*SSH, "-n", "2"), "the host is one, and -n runs several at once"),
        ((SSH[0], f"ssh:{ADMIN}@127.0.0.1:1", SSH[2]), "does this work? ssh -p 1"),
    ],
)
def test_what_cannot_be_is_one_clear_error(
    host: Reachable, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    with begun(host, tmp_path, "rootless_pasta_quadlet-permit_unset", *words) as run:
        assert run.end(RUN_WITHIN) == 4
    assert said in run.output()
    assert "Traceback" not in run.output()


def test_an_unknown_host_key_is_one_clear_error(host: Reachable, tmp_path: Path) -> None:
    known = host.home / ".ssh" / "known_hosts"
    text = read(known)
    known.write_text("")
    try:
        with begun(host, tmp_path, "rootless_pasta_quadlet-permit_unset") as run:
            assert run.end(RUN_WITHIN) == 4
    finally:
        known.write_text(text)
    assert f"log in once by hand and look at the key: ssh {ADMIN}@myhost" in run.output()


def test_what_a_crash_of_the_host_left_is_undone_by_hand(
    host: Reachable, login: Login, tmp_path: Path
) -> None:
    """Nobody is left there who knows that there was a run: a guard that is killed undoes all.

    Comes last: after its reboot, the host has other addresses.
    """
    before = look.look(login)
    with begun(host, tmp_path, "rootless_pasta_quadlet-permit_unset") as run:
        assert until(lambda: "ready" in run.phases() or run.process.poll() is not None, RUN_WITHIN)
        with suppress(MachineError):
            host.machine.run("systemctl reboot --force --force", within=5)
        run.kill_group(signal.SIGKILL)
        run.end()
    host.machine.shell.forget()
    host.machine.wait_until_up()
    words = ("clean", "--machine", f"ssh:{ADMIN}@myhost")
    with closing(Login(Where("myhost", ADMIN))) as afterwards:
        assert any("mailop" in each for each in as_before(afterwards, before))
        cleaned = dms_harness(cache.folder(), *words, within=CLEANED_WITHIN)
        assert cleaned.returncode == 0, cleaned.stderr
        assert "undone what a dead run had left: " in cleaned.stdout
        assert [each for each in as_before(afterwards, before) if "enp" not in each] == []
    again = dms_harness(cache.folder(), *words)
    assert (again.returncode, again.stdout) == (0, "nothing was left behind\n"), again.stderr
