"""Sockets of another namespace, through the relay: here its namespace is this computer's own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dns.asyncquery
import dns.message
import pytest
from keeper_support import until

from harness.loop import wait_for
from harness.machines.guest.relay import FULL_FOR
from harness.machines.pump import Reader, Writer, socket_to
from harness.machines.relayed import Relayed, _Listening
from harness.outside.dns import Dns, Zone
from harness.outside.sink import Sink

RELAY = Path(__file__).parents[2] / "harness" / "machines" / "guest" / "relay.py"
CLIENT = "127.0.0.77"


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-I", RELAY, tmp_path / "relay.sock"])
    try:
        assert until((tmp_path / "relay.sock").exists, 20)
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def relayed(relay: subprocess.Popen[bytes], tmp_path: Path) -> Relayed:
    async def dial() -> tuple[Reader, Writer]:
        return await asyncio.open_unix_connection(tmp_path / "relay.sock")

    return Relayed(dial)


def free_port(host: str = "127.0.0.1") -> int:
    with socket.create_server((host, 0)) as server:
        port: int = server.getsockname()[1]
        return port


def test_a_client_has_the_address_it_is_given(relayed: Relayed) -> None:
    async def seen() -> tuple[str, bytes, bytes]:
        asked = asyncio.get_running_loop().create_future()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            said = await reader.read()  # to the end of it: one direction ends before the other
            writer.write(b"heard " + said)
            writer.close()
            asked.set_result(writer.get_extra_info("peername")[0])

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection(
            sock=await relayed.connect("127.0.0.1", port, CLIENT)
        )
        writer.write(b"hello")
        writer.write_eof()
        heard = await reader.read()
        server.close()
        return await asked, heard, b""

    assert wait_for(seen(), 10)[:2] == (CLIENT, b"heard hello")


def test_a_refusal_is_the_kernels_own(relayed: Relayed) -> None:
    with pytest.raises(ConnectionRefusedError):
        wait_for(relayed.connect("127.0.0.1", free_port(), CLIENT), 10)
    with pytest.raises(OSError, match="Cannot assign requested address"):
        wait_for(relayed.connect("127.0.0.1", 25, "203.0.113.200"), 10)


def test_a_socket_that_cannot_be_bound_says_why(relayed: Relayed) -> None:
    with pytest.raises(OSError, match="Cannot assign requested address"):
        relayed.open_socket(socket.AF_INET, socket.SOCK_STREAM, ("203.0.113.200", 25), listen=True)


def test_a_server_sees_its_clients_own_address(relayed: Relayed) -> None:
    port = free_port()
    listening = relayed.open_socket(
        socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", port), listen=True
    )
    sink = Sink()
    wait_for(sink.serve(listening))

    def send() -> None:
        with (
            socket.create_connection(("127.0.0.1", port), 10, (CLIENT, 0)) as client,
            client.makefile("rwb", buffering=0) as lines,
        ):
            for command in ("EHLO me", "MAIL FROM:<a@b.c>", "RCPT TO:<d@e.f>", "DATA"):
                lines.readline()
                lines.write(f"{command}\r\n".encode())
                while command == "EHLO me" and lines.readline()[3:4] == b"-":
                    pass
                if command == "EHLO me":
                    lines.write(b"NOOP\r\n")
            lines.readline()
            lines.write(b"X-Nonce: n\r\n\r\nhello\r\n.\r\nQUIT\r\n")
            while lines.readline():
                pass

    try:
        for _ in range(3):
            send()
        assert [each.client for each in sink.arrivals] == [CLIENT] * 3
    finally:
        wait_for(sink.close())
    # Nobody listens any more, over there neither. One at a time: more than the backlog holds would
    # be kept waiting by the kernel, and not refused.
    deadline = time.monotonic() + 10
    with pytest.raises(ConnectionRefusedError):  # noqa: PT012 — in the end
        while time.monotonic() < deadline:
            assert not is_served(port)


def test_a_client_for_whom_no_file_is_left_waits_and_costs_nothing(
    relay: subprocess.Popen[bytes], relayed: Relayed
) -> None:
    port = free_port()
    listening = relayed.open_socket(
        socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", port), listen=True
    )
    sink = Sink()
    wait_for(sink.serve(listening))

    def seconds() -> float:
        times = Path(f"/proc/{relay.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")

    usual = resource.prlimit(relay.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(relay.pid, resource.RLIMIT_NOFILE, (1, usual[1]))
    try:
        before = seconds()
        with socket.create_connection(("127.0.0.1", port), 2 * FULL_FOR) as client:
            with pytest.raises(TimeoutError):
                client.recv(1)
            assert seconds() - before < FULL_FOR
            resource.prlimit(relay.pid, resource.RLIMIT_NOFILE, usual)
            client.settimeout(10)
            assert client.recv(3) == b"220"
    finally:
        wait_for(sink.close())


def is_served(port: int) -> bytes:
    """What a client is told, nothing where it is hung up on."""
    with (
        contextlib.suppress(ConnectionResetError),
        socket.create_connection(("127.0.0.1", port), 10) as client,
    ):
        return client.recv(1)
    return b""


def test_who_comes_while_a_server_is_closed_is_hung_up_on(
    relay: subprocess.Popen[bytes], relayed: Relayed
) -> None:
    """Both wait for the relay when it goes on: the client, and whoever asked for it hanging up."""
    for _ in range(20):
        port = free_port()
        listening = relayed.open_socket(
            socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", port), listen=True
        )
        relay.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, relay.pid, os.WSTOPPED)
        listening.close()
        wait_for(asyncio.sleep(0), 10)  # its task is told in the loop's next round
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            relay.send_signal(signal.SIGCONT)
            with contextlib.suppress(ConnectionResetError):
                assert client.recv(1) == b""


def test_whom_a_closed_server_had_not_accepted_is_hung_up_on(relayed: Relayed) -> None:
    port = free_port()
    listening = relayed.open_socket(
        socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", port), listen=True
    )
    assert isinstance(listening, _Listening)
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        assert until(lambda: listening.waiting, 10)
        listening.close()
        assert client.recv(1) == b""


def test_dns_is_answered_over_udp_and_tcp(relayed: Relayed) -> None:
    port = free_port()
    zone = Zone()
    zone.add("mx.outside.test", "A", "192.0.2.1")
    server = Dns(zone)
    wait_for(
        server.serve(
            relayed.open_socket(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", port)),
            relayed.open_socket(
                socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", port), listen=True
            ),
        )
    )
    question = dns.message.make_query("mx.outside.test", "A")

    async def ask() -> list[str]:
        answers = [
            await query(question, "127.0.0.1", 10, port, source=CLIENT)
            for query in (dns.asyncquery.udp, dns.asyncquery.tcp)
        ]
        return [answer.answer[0][0].to_text() for answer in answers]

    try:
        assert asyncio.run(ask()) == ["192.0.2.1"] * 2
        assert [query.client for query in server.queries] == [CLIENT] * 2
    finally:
        wait_for(server.close())


def open_files() -> set[Path]:
    """This process's descriptors."""
    return set(Path("/proc/self/fd").iterdir())


def test_whoever_gives_up_before_there_is_a_socket_leaves_none() -> None:
    closed: list[bool] = []
    writer: Any = SimpleNamespace(close=lambda: closed.append(True))

    async def left() -> set[str]:
        await asyncio.sleep(0)  # the loop has its own files by now
        before = open_files()
        coming = asyncio.create_task(socket_to(asyncio.StreamReader(), writer))
        await asyncio.sleep(0)  # it has begun
        coming.cancel()
        with pytest.raises(asyncio.CancelledError):
            await coming
        await asyncio.sleep(0)  # a transport closes its socket in the loop's next round
        return open_files() - before

    assert asyncio.run(left()) == set()
    assert closed == [True]


def test_whoever_gives_up_waiting_is_not_connected(relayed: Relayed) -> None:
    """A listener that accepts nobody: the connection after its backlog is never opened."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        where = deaf.getsockname()
        filling = []
        try:
            with pytest.raises(TimeoutError):  # noqa: PT012 — the kernel takes one or two
                for _ in range(4):
                    filling.append(wait_for(relayed.connect(*where, CLIENT), 0.7))
        finally:
            for each in filling:
                with contextlib.suppress(OSError):
                    each.close()
