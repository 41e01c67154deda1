"""Commands and files on a machine, over real SSH on loopback."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from keeper_support import until
from shell_support import MAX_SESSIONS, LocalMachine, local_machine

from harness.errors import CommandError
from harness.loop import wait_for
from harness.machines.shell import SESSIONS


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalMachine]:
    with local_machine(tmp_path_factory.mktemp("cache")) as machine:
        yield machine


# -- running ---------------------------------------------------------------------------------------


def test_running_tells_what_a_command_did_whatever_its_outcome(machine: LocalMachine) -> None:
    done = machine.run("echo out; echo err >&2; exit 7")
    assert (done.stdout, done.stderr, done.status) == ("out\n", "err\n", 7)
    assert done.command == "echo out; echo err >&2; exit 7"
    assert 0 < done.seconds < 20


def test_a_command_that_a_signal_ended_has_not_succeeded(machine: LocalMachine) -> None:
    assert machine.run("kill -KILL $$").status != 0


def test_what_is_no_text_is_shown_as_well_as_it_can_be(machine: LocalMachine) -> None:
    assert machine.run(r"printf 'a\377b'").stdout == "a\ufffdb"


def test_much_output_arrives_whole(machine: LocalMachine) -> None:
    done = machine.run("head -c 3000000 /dev/zero | tr '\\0' x; head -c 100000 /dev/zero >&2")
    assert len(done.stdout) == 3_000_000
    assert len(done.stderr) == 100_000


def test_standard_input_is_what_is_given_and_empty_otherwise(machine: LocalMachine) -> None:
    assert machine.succeed("cat", stdin=b"given\n" * 100_000) == "given\n" * 100_000
    assert machine.succeed("cat", within=30) == ""
    assert machine.succeed("cat", within=5, stdin=b"") == ""


def test_success_is_insisted_on_with_a_line_to_paste_and_all_that_was_written(
    machine: LocalMachine,
) -> None:
    assert machine.succeed("echo fine") == "fine\n"
    with pytest.raises(CommandError) as raised:
        machine.succeed("echo half; echo 'no such thing' >&2; exit 3", "alice")
    said = str(raised.value)
    assert "echo half; echo 'no such thing' >&2; exit 3" in said
    assert "local: as alice: " in said
    assert "status 3" in said
    assert "half\nno such thing" in said


def test_failure_is_insisted_on_with_a_line_to_paste(machine: LocalMachine) -> None:
    assert machine.fail("echo out; echo err >&2; false") == "out\nerr\n"
    with pytest.raises(CommandError, match=r"local: as root: true succeeded, and should not have"):
        machine.fail("true")


def test_a_command_that_takes_too_long_is_named_with_what_it_wrote(machine: LocalMachine) -> None:
    started = time.monotonic()
    with pytest.raises(CommandError) as raised:
        machine.run("echo begun; sleep 30", "alice", within=0.3)
    assert time.monotonic() - started < 20
    said = str(raised.value)
    assert "local: as alice: echo begun; sleep 30 did not end within" in said
    assert "it had written: begun" in said


def test_commands_that_took_too_long_do_not_take_the_place_of_others(
    machine: LocalMachine,
) -> None:
    for _ in range(MAX_SESSIONS + 1):
        with pytest.raises(CommandError, match="did not end"):
            machine.run("sleep 30", "slow", within=0.02)
    with pytest.raises(TimeoutError):
        wait_for(machine.run_async("sleep 30", "slow"), within=0.02)
    assert until(lambda: machine.host.running == 0)
    assert machine.succeed("echo fine", "slow", within=30) == "fine\n"


def test_users_have_connections_of_their_own_that_are_kept(machine: LocalMachine) -> None:
    before = len(machine.host.logins)
    for _ in range(3):
        machine.succeed("true", "carol")
        machine.succeed("true", "dave")
    assert sorted(machine.host.logins[before:]) == ["carol", "dave"]


def test_more_commands_at_once_than_a_connection_takes_all_run(machine: LocalMachine) -> None:
    machine.host.most = 0

    async def all_at_once() -> list[str]:
        commands = [f"sleep 0.05; echo {n}" for n in range(3 * SESSIONS)]
        done = await asyncio.gather(*(machine.run_async(each, "busy") for each in commands))
        return [each.stdout for each in done]

    assert wait_for(all_at_once(), 30) == [f"{n}\n" for n in range(3 * SESSIONS)]
    assert machine.host.most == SESSIONS < MAX_SESSIONS


def test_threads_may_use_a_machine_at_once(machine: LocalMachine) -> None:
    with ThreadPoolExecutor(12) as pool:
        said = list(pool.map(lambda n: machine.succeed(f"echo {n}"), range(24)))
    assert said == [f"{n}\n" for n in range(24)]


# -- files -----------------------------------------------------------------------------------------


def test_a_copied_file_keeps_its_bytes_and_its_mode(machine: LocalMachine, tmp_path: Path) -> None:
    source = tmp_path / "script"
    source.write_bytes(bytes(range(256)) * 4000)
    for mode in (0o755, 0o600, 0o444):
        source.chmod(mode)
        machine.copy_to(source, str(tmp_path / f"to-{mode:o}"))
        machine.copy_from(str(tmp_path / f"to-{mode:o}"), tmp_path / f"back-{mode:o}")
        for copy in (tmp_path / f"to-{mode:o}", tmp_path / f"back-{mode:o}"):
            assert copy.read_bytes() == source.read_bytes()
            assert copy.stat().st_mode & 0o777 == mode


def test_a_copied_folder_keeps_what_is_in_it(machine: LocalMachine, tmp_path: Path) -> None:
    source = tmp_path / "config"
    (source / "inner" / "empty").mkdir(parents=True)
    (source / "run.sh").write_text("#!/bin/sh\n")
    (source / "run.sh").chmod(0o755)
    (source / "inner" / "sécret file").write_text("x")
    (source / "inner" / "sécret file").chmod(0o600)
    (source / "inner").chmod(0o750)
    machine.copy_to(source, str(tmp_path / "to"))
    machine.copy_from(str(tmp_path / "to"), tmp_path / "back")
    for copy in (tmp_path / "to", tmp_path / "back"):
        shown = {
            str(path.relative_to(copy)): path.stat().st_mode & 0o777 for path in copy.rglob("*")
        }
        assert shown == {
            str(path.relative_to(source)): path.stat().st_mode & 0o777 for path in source.rglob("*")
        }


def test_a_copy_that_fails_names_the_machine_and_the_place(
    machine: LocalMachine, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        CommandError, match=r"local: cannot copy .*/file to .*/no/such/folder/file as root: "
    ):
        machine.copy_to(tmp_path / "file", str(tmp_path / "no" / "such" / "folder" / "file"))
    with pytest.raises(
        CommandError, match=r"cannot copy .*/nothing-here from there to .* as alice"
    ):
        machine.copy_from(str(tmp_path / "nothing-here"), tmp_path / "x", "alice")
    with pytest.raises(CommandError, match="cannot copy"):
        machine.copy_to(tmp_path / "none", str(tmp_path / "x"))


def test_a_file_is_written_with_the_folders_it_lies_in(
    machine: LocalMachine, tmp_path: Path
) -> None:
    path = tmp_path / "a folder" / 'it\'s "quoted" $HOME' / "file"
    machine.write_file(str(path), "täxt\n")
    assert path.read_text() == "täxt\n"
    machine.write_file(str(path), b"\0\xff")
    assert path.read_bytes() == b"\0\xff"
    machine.write_file(str(path), "")
    assert path.read_bytes() == b""


def test_a_file_in_the_users_home_is_written_there(
    machine: LocalMachine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "my home"))  # the server's shells inherit it
    machine.write_file("~/.config/a b/file", "x")
    assert (tmp_path / "my home" / ".config" / "a b" / "file").read_text() == "x"


def test_a_file_that_cannot_be_written_is_an_error_with_the_command(machine: LocalMachine) -> None:
    with pytest.raises(CommandError, match="/proc/nowhere/file"):
        machine.write_file("/proc/nowhere/file", "x")
