"""SSH connections to one machine, one for each user, kept open and shared by all that is done."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from harness.errors import MachineError
from harness.machines.pump import socket_to
from harness.patience import patient

SESSIONS = 8
"""Commands at once on one connection; OpenSSH's server refuses more than 10 (MaxSessions)."""
LOGIN_WITHIN = 15.0
"""Seconds for a key exchange and login, once the port answers."""

_ERRNO = {os.strerror(number): number for number in errno.errorcode}


@dataclass(frozen=True, slots=True)
class Login:
    """How to log in: the client's private key, and the key that the host must show.

    Attributes:
        private_key: the client's.
        host_key: type and base64 text, or None where any will do.
        others: further keys to try.
    """

    private_key: Path
    host_key: str | None
    others: tuple[Path, ...] = ()

    @property
    def public_key(self) -> str:
        """The public half of the client's key, one line without its end."""
        return self.private_key.with_suffix(".pub").read_text(encoding="utf-8").strip()


class Shell:
    """Connections to a machine's SSH server, made when they are first needed.

    Args:
        name: the machine's, for messages.
        login: the keys.
        dial: opens a connected socket to the machine's SSH server.
    """

    def __init__(
        self, name: str, login: Login, dial: Callable[[], Awaitable[socket.socket]]
    ) -> None:
        self.name = name
        self.login = login
        self._dial = dial
        self._connections: dict[str, asyncio.Task[asyncssh.SSHClientConnection]] = {}
        self._sessions: dict[str, asyncio.Semaphore] = {}

    async def connection(self, user: str) -> asyncssh.SSHClientConnection:
        """The connection for a user. A closed one is replaced.

        Raises:
            MachineError: the machine does not let the user in, or is just taken down.
            OSError: its SSH server does not answer.
        """
        task = self._connections.get(user)
        if task is not None and task.done():
            failed = task.cancelled() or task.exception() is not None
            if failed or task.result().is_closed():
                task = None
        if task is None:
            task = self._connections[user] = asyncio.create_task(self._connect(user))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.cancelled():
                raise  # whoever waits is to stop waiting
            raise MachineError(f"{self.name}: the login was given up: it is taken down") from None

    @contextlib.asynccontextmanager
    async def session(self, user: str) -> AsyncIterator[asyncssh.SSHClientConnection]:
        """The connection for a user, when the server has room for one more command on it."""
        async with self._sessions.setdefault(user, asyncio.Semaphore(SESSIONS)):
            yield await self.connection(user)

    async def _connect(self, user: str) -> asyncssh.SSHClientConnection:
        sock = await self._dial()
        known = f"* {self.login.host_key}" if self.login.host_key else None
        try:
            return await asyncssh.connect(
                host=self.name,
                sock=sock,
                username=user,
                client_keys=[str(key) for key in (self.login.private_key, *self.login.others)],
                known_hosts=asyncssh.import_known_hosts(known) if known else None,
                config=None,
                agent_path=None,
                # One round trip less each; nobody else listens on this wire.
                preferred_auth="publickey",
                keepalive_interval=0,
                login_timeout=patient(LOGIN_WITHIN),
                connect_timeout=patient(LOGIN_WITHIN),
            )
        except (asyncssh.DisconnectError, asyncssh.HostKeyNotVerifiable) as error:
            sock.close()
            raise MachineError(
                f"{self.name}: {user} cannot log in over SSH: {error.reason}",
                "the machine's console and journal are among the run's evidence",
            ) from error

    async def connect(self, host: str, port: int, source: str | None) -> socket.socket:
        """Open a TCP connection from inside the machine (see `harness.vantage.Connector`).

        The SSH server makes the connection; its data go through one end of a socket pair.
        """
        assert source is None, "inside, the machine chooses its own address"
        connection = await self.connection("root")
        try:
            reader, writer = await connection.open_connection(host, port)
        except asyncssh.ChannelOpenError as error:
            number = _ERRNO.get(error.reason, errno.ECONNREFUSED)
            raise OSError(number, error.reason) from error
        return await socket_to(reader, writer)

    async def connect_to_command(self, command: str) -> socket.socket:
        """A socket whose other end is the standard input and output of a command of root's."""
        connection = await self.connection("root")
        process = await connection.create_process(command, encoding=None)
        return await socket_to(process.stdout, process.stdin)

    async def log_out(self, user: str) -> None:
        """Close a user's connection, and with it the session on the machine."""
        task = self._connections.pop(user, None)
        if task is not None:
            connection = await task
            connection.close()
            await connection.wait_closed()

    def forget(self) -> None:
        """Drop all connections, for a machine that is about to go."""
        for task in self._connections.values():
            if task.done() and not task.cancelled() and task.exception() is None:
                task.result().abort()
            else:
                task.cancel()
        self._connections.clear()
