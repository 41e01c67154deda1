from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from shell_support import LocalMachine, local_machine, tcp_server

from harness.errors import MachineError
from harness.loop import wait_for
from harness.machines.shell import Login, Shell


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalMachine]:
    with local_machine(tmp_path_factory.mktemp("cache")) as machine:
        yield machine


def test_a_connection_from_inside_carries_both_directions_and_their_ends(
    machine: LocalMachine,
) -> None:
    async def talk(port: int) -> bytes:
        sock = await machine.shell.connect("127.0.0.1", port, None)
        assert not sock.getblocking()
        reader, writer = await asyncio.open_connection(sock=sock)
        writer.write(b"x" * 300_000)
        writer.write_eof()
        answer = await reader.read(-1)
        writer.close()
        return answer

    with tcp_server(bytes.upper) as port:
        assert wait_for(talk(port), 30) == b"X" * 300_000 + b"<end>"


def test_many_connections_from_inside_at_once(machine: LocalMachine) -> None:
    async def talk(port: int, number: int) -> bytes:
        sock = await machine.shell.connect("127.0.0.1", port, None)
        loop = asyncio.get_running_loop()
        with sock:
            await loop.sock_sendall(sock, b"%d" % number)
            return await loop.sock_recv(sock, 100)

    async def all_at_once(port: int) -> list[bytes]:
        return await asyncio.gather(*(talk(port, number) for number in range(30)))

    with tcp_server(bytes.upper) as port:
        assert wait_for(all_at_once(port), 30) == [b"%d" % number for number in range(30)]


def test_nobody_listening_is_a_refusal_as_of_a_kernel(machine: LocalMachine) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))  # taken, and not listened on
        with pytest.raises(ConnectionRefusedError):
            wait_for(machine.shell.connect("127.0.0.1", sock.getsockname()[1], None), 30)


@pytest.mark.parametrize(
    ("words", "number"),
    [
        # As OpenSSH's server says them.
        ("Connection refused", errno.ECONNREFUSED),
        ("No route to host", errno.EHOSTUNREACH),
        ("Network is unreachable", errno.ENETUNREACH),
        ("Connection timed out", errno.ETIMEDOUT),
    ],
)
def test_other_failures_keep_the_number_that_the_machines_kernel_gave(
    machine: LocalMachine, words: str, number: int
) -> None:
    machine.host.refusal = words
    try:
        with pytest.raises(OSError, match=words) as raised:
            wait_for(machine.shell.connect("127.0.0.1", 9, None), 30)
    finally:
        machine.host.refusal = None
    assert raised.value.errno == number


def test_connecting_while_the_machine_is_down_is_an_oserror(tmp_path: Path) -> None:
    # Probes tell a closed port from a machine that is not there by the error that they see.
    with local_machine(tmp_path) as machine:
        wait_for(machine.host.close())
        with pytest.raises(ConnectionRefusedError):
            wait_for(machine.shell.connect("127.0.0.1", 9, None), 30)


def test_one_login_is_made_for_all_that_begins_at_once(tmp_path: Path) -> None:
    async def all_at_once(machine: LocalMachine) -> None:
        await asyncio.gather(*(machine.run_async("true") for _ in range(6)))

    with local_machine(tmp_path) as machine:
        wait_for(all_at_once(machine), 30)
        assert machine.host.logins == ["root"]


def test_one_who_gives_up_waiting_does_not_take_the_login_from_others(tmp_path: Path) -> None:
    async def two(machine: LocalMachine) -> str:
        hasty = asyncio.create_task(machine.run_async("true"))
        patient = asyncio.create_task(machine.run_async("echo fine"))
        await asyncio.sleep(0)
        hasty.cancel()
        return (await patient).stdout

    with local_machine(tmp_path) as machine:
        assert wait_for(two(machine), 30) == "fine\n"


def test_a_connection_that_went_while_nobody_looked_is_replaced(tmp_path: Path) -> None:
    with local_machine(tmp_path) as machine:
        machine.succeed("true")
        connection = wait_for(machine.shell.connection("root"))
        wait_for(machine.host.drop())
        wait_for(connection.wait_closed(), 30)
        assert machine.succeed("echo back", within=30) == "back\n"


def test_forgetting_closes_what_is_open_and_a_new_command_logs_in_again(tmp_path: Path) -> None:
    with local_machine(tmp_path) as machine:
        machine.succeed("true")
        machine.shell.forget()
        assert machine.succeed("echo back", within=30) == "back\n"
        assert machine.host.logins == ["root", "root"]


def test_whoever_waits_for_a_login_is_told_that_the_machine_is_taken_down(tmp_path: Path) -> None:
    login = Login(tmp_path / "key", None)
    dialled = asyncio.Event()

    async def dial() -> socket.socket:
        dialled.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def taken_down() -> None:
        shell = Shell("m1", login, dial)
        waiting = asyncio.create_task(shell.connection("root"))
        await dialled.wait()
        shell.forget()
        with pytest.raises(MachineError, match=r"m1: .* taken down"):
            await waiting

    async def given_up() -> None:
        shell = Shell("m1", login, dial)
        waiting = asyncio.create_task(shell.connection("root"))
        await dialled.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        shell.forget()

    asyncio.run(taken_down())
    dialled = asyncio.Event()
    asyncio.run(given_up())
