"""A real SSH server on loopback whose sessions are shells of this computer; holds no tests."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncssh

from harness import cache
from harness.loop import background, wait_for
from harness.machines.base import BaseMachine
from harness.machines.outside import Outside
from harness.machines.shell import Login

MAX_SESSIONS = 10
"""As OpenSSH's server has it."""


class Host:
    """The server, and what a test may want to know of it or do to it."""

    def __init__(self, login: Login) -> None:
        self.key = asyncssh.generate_private_key("ssh-ed25519")
        self.login = Login(
            login.private_key, " ".join(self.key.export_public_key().decode().split()[:2])
        )
        self._authorized = str(login.private_key.with_suffix(".pub"))
        self.logins: list[str] = []
        self.running = 0
        self.most = 0
        self.refusal: str | None = None
        self.connections: set[asyncssh.SSHServerConnection] = set()
        self.port = 0
        self._acceptor: asyncssh.SSHAcceptor | None = None

    async def listen(self) -> None:
        self._acceptor = await asyncssh.create_server(
            lambda: _Server(self),
            "127.0.0.1",
            self.port,
            server_host_keys=[self.key],
            authorized_client_keys=self._authorized,
            process_factory=self._process,
            sftp_factory=True,
            encoding=None,
        )
        self.port = self._acceptor.get_port()

    async def close(self) -> None:
        if self._acceptor is not None:
            self._acceptor.close()
            await self._acceptor.wait_closed()
            self._acceptor = None
        for connection in self.connections:
            connection.abort()

    async def drop(self) -> None:
        """Cut all connections, as a machine does that goes down."""
        for connection in self.connections:
            connection.abort()

    async def _process(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            # Through a pipe of its own, so that the command ends with its session.
            shell = await asyncio.create_subprocess_exec(
                *("/bin/sh", "-c", process.command or "exit 1"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
            pumps = [
                asyncio.create_task(_pump(process.stdin, shell.stdin)),
                asyncio.create_task(_pump(shell.stdout, process.stdout)),
                asyncio.create_task(_pump(shell.stderr, process.stderr)),
            ]
            ended = asyncio.gather(*pumps[1:])
            hung_up = asyncio.create_task(process.channel.wait_closed())
            await asyncio.wait([ended, hung_up], return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                os.killpg(shell.pid, signal.SIGKILL)
            status = await shell.wait()
            for pump in [*pumps, hung_up]:
                pump.cancel()
        finally:
            self.running -= 1
        if status < 0:
            process.exit_with_signal(signal.Signals(-status).name.removeprefix("SIG"))
        else:
            process.exit(status)


async def _pump(reader: Any, writer: Any) -> None:
    with contextlib.suppress(OSError, asyncssh.Error):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        if isinstance(writer, asyncio.StreamWriter):
            writer.close()


class _Server(asyncssh.SSHServer):
    def __init__(self, host: Host) -> None:
        self._host = host

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._host.connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        self._host.connections.discard(self._connection)

    def begin_auth(self, username: str) -> bool:
        self._host.logins.append(username)
        return True

    def session_requested(self) -> Any:
        if self._host.running >= MAX_SESSIONS:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "too many sessions")
        return True

    def connection_requested(self, *_: object) -> bool:
        if self._host.refusal:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, self._host.refusal)
        return True

    def unix_connection_requested(self, dest_path: str) -> bool:
        return True


class LocalMachine(BaseMachine):
    """This computer as a machine, reached over real SSH."""

    kind = "local"
    user = "somebody"
    address = {4: "127.0.0.1", 6: "::1"}  # noqa: RUF012
    outside = Outside()
    facts = {}  # noqa: RUF012

    def __init__(self, host: Host, login: Login | None = None) -> None:
        super().__init__("local", login or host.login)
        self.host = host

    def start(self) -> None:
        wait_for(self.host.listen())

    async def _dial(self) -> socket.socket:
        return await self.outside.connect("127.0.0.1", self.host.port, None)

    def console(self) -> str:
        return "first line\nlast words"

    def destroy(self) -> list[str]:
        background().call_soon_threadsafe(self.shell.forget)
        wait_for(self.host.close())
        return []


@contextmanager
def local_machine(folder: Path) -> Iterator[LocalMachine]:
    """A machine that answers; it and its server are gone afterwards."""
    machine = LocalMachine(Host(cache.login(folder)))
    machine.start()
    try:
        yield machine
    finally:
        machine.destroy()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def tcp_server(answer: Callable[[bytes], bytes]) -> Iterator[int]:
    """A port of loopback that answers what it is told, until its client is done."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(answer(data))
            await writer.drain()
        writer.write(b"<end>")
        writer.close()

    async def begin() -> asyncio.Server:
        return await asyncio.start_server(serve, "127.0.0.1", 0)

    async def end() -> None:
        server.close()

    server = wait_for(begin())
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        wait_for(end())
