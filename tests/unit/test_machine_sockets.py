"""A machine's ports and sockets: waited for there, and reached from here."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from shell_support import LocalMachine, free_port, local_machine, tcp_server

from harness.errors import CommandError
from harness.loop import wait_for


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalMachine]:
    with local_machine(tmp_path_factory.mktemp("cache")) as machine:
        yield machine


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
