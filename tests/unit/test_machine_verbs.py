from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from keeper_support import until
from shell_support import MAX_SESSIONS, Host, LocalMachine, local_machine, tcp_server

from harness import cache
from harness.errors import CommandError, MachineError
from harness.loop import wait_for
from harness.machines import base
from harness.machines.execution import Completed
from harness.machines.shell import SESSIONS, Login


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalMachine]:
    with local_machine(tmp_path_factory.mktemp("cache")) as machine:
        yield machine


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


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


# -- sockets ---------------------------------------------------------------------------------------


def test_waiting_for_a_port_ends_when_it_opens(machine: LocalMachine) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        opener = threading.Timer(0.2, sock.listen)
        opener.start()
        started = time.monotonic()
        machine.wait_for_port(port, within=30)
        assert 0.15 < time.monotonic() - started < 20
        opener.join()


def test_waiting_for_a_port_that_stays_closed_names_it(machine: LocalMachine) -> None:
    port = free_port()
    with pytest.raises(CommandError, match=rf"local: nothing listens on 127\.0\.0\.1 port {port}"):
        machine.wait_for_port(port, within=0.1)


def test_a_unix_socket_of_the_machine_is_reachable_here(
    machine: LocalMachine, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as far:
        far.bind(str(tmp_path / "far.sock"))
        far.listen()
        local = machine.forward(str(tmp_path / "far.sock"), tmp_path / "near.sock")
        assert local == tmp_path / "near.sock"
        with socket.socket(socket.AF_UNIX) as near:
            near.settimeout(30)
            near.connect(str(local))
            near.sendall(b"question")
            served, _ = far.accept()
            with served:
                assert served.recv(100) == b"question"
                served.sendall(b"answer")
                assert near.recv(100) == b"answer"


# -- when the machine is not there -----------------------------------------------------------------


def test_a_machine_that_went_down_between_two_commands_is_connected_to_again(
    tmp_path: Path,
) -> None:
    with local_machine(tmp_path) as machine:
        machine.succeed("true")
        wait_for(machine.host.close())
        with pytest.raises(
            MachineError, match=r"local does not answer any more: (?s:.*)last words"
        ):
            machine.run("true")
        machine.start()
        assert machine.succeed("echo back") == "back\n"


def test_a_connection_that_breaks_during_a_command_is_no_success(tmp_path: Path) -> None:
    with local_machine(tmp_path) as machine:
        machine.succeed("true")
        breaking = threading.Timer(0.2, lambda: wait_for(machine.host.drop()))
        breaking.start()
        with pytest.raises(MachineError) as raised:
            machine.succeed("sleep 20; echo done")
        breaking.join()
        assert "local" in str(raised.value)
        assert machine.succeed("echo again") == "again\n"


def test_a_machine_that_does_not_answer_is_named_with_the_end_of_its_console(
    tmp_path: Path,
) -> None:
    host = Host(cache.login(tmp_path))
    host.port = free_port()
    with pytest.raises(MachineError, match="did not answer on SSH within 0 s") as raised:
        LocalMachine(host).wait_until_up(within=0.1)
    assert "last words" in str(raised.value)


@pytest.mark.parametrize(
    ("state", "failed", "wrong"),
    [
        ("running", "", ""),
        ("degraded", "mail.service failed", "degraded after its boot: mail.service failed"),
        ("stopping", "", "stopping after its boot: no unit failed"),
    ],
)
def test_a_machine_is_booted_whatever_failed_and_up_where_nothing_did(
    machine: LocalMachine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    state: str,
    failed: str,
    wrong: str,
) -> None:
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(f'#!/bin/sh\ntest "$1" = --failed && echo "{failed}" || echo {state}\n')
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert machine.wait_until_booted() == wrong
    if wrong:
        with pytest.raises(MachineError, match=f"local is {wrong}"):
            machine.wait_until_up()
    else:
        machine.wait_until_up()


def test_a_user_whom_the_machine_does_not_let_in_is_named(tmp_path: Path) -> None:
    with local_machine(tmp_path) as machine:
        (tmp_path / "other").mkdir()
        stranger = cache.login(tmp_path / "other")
        refused = LocalMachine(
            machine.host, Login(stranger.private_key, machine.host.login.host_key)
        )
        with pytest.raises(MachineError, match="local: alice cannot log in over SSH"):
            refused.run("true", "alice")


def test_a_host_that_shows_another_key_is_not_talked_to(tmp_path: Path) -> None:
    with local_machine(tmp_path) as machine:
        other = Host(machine.host.login).login.host_key
        deceived = LocalMachine(machine.host, Login(machine.host.login.private_key, other))
        with pytest.raises(MachineError, match="cannot log in over SSH"):
            deceived.run("true")
        assert machine.host.logins == []


def test_the_computers_own_ssh_settings_have_no_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text("Host *\n  KexAlgorithms none\n  User mallory\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    with local_machine(tmp_path) as machine:
        machine.succeed("true", "alice")
        assert machine.host.logins == ["alice"]


def test_a_deployed_port_answers_through_the_outside(machine: LocalMachine) -> None:
    async def ask(port: int) -> bytes:
        sock = await machine.outside.connect("127.0.0.1", port, "127.0.0.1")
        with sock:
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(sock, b"hello")
            return await loop.sock_recv(sock, 100)

    with tcp_server(bytes.upper) as port:
        assert wait_for(ask(port), 30) == b"HELLO"
    with pytest.raises(ConnectionRefusedError):
        wait_for(machine.outside.connect("127.0.0.1", free_port(), None), 30)


def test_an_address_that_is_not_the_outsides_is_an_error_and_leaves_no_socket(
    machine: LocalMachine,
) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    errors = []  # each keeps what it was raised over
    for _ in range(20):
        with pytest.raises(OSError, match="Cannot assign") as raised:
            wait_for(machine.outside.connect("127.0.0.1", 1, "203.0.113.1"), 30)
        errors.append(raised)
    assert len(os.listdir("/proc/self/fd")) < before + 10  # noqa: PTH208


def test_after_a_reboot_a_connection_that_hangs_is_given_up(
    machine: LocalMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A virtual machine that restarts may leave those who were connected without a word."""
    forgotten: list[bool] = []
    rebooted: list[str] = []

    async def run_async(
        command: str, user: str = "root", within: float = 60.0, stdin: bytes | None = None
    ) -> Completed:
        if "reboot" in command:
            rebooted.append(command)
        elif rebooted and not forgotten:
            await asyncio.sleep(60)
        return Completed(command, "new" if rebooted else "old", "", 0, 0.0)

    monkeypatch.setattr(machine, "run_async", run_async)
    monkeypatch.setattr(machine.shell, "forget", lambda: forgotten.append(True))
    monkeypatch.setattr(base, "patient", lambda seconds: 0.3 if seconds == 5.0 else 10.0)
    machine.reboot()
    assert forgotten
