"""The connection to somebody's own host, as `ssh USER@HOST` would make it."""

from __future__ import annotations

import asyncio
import re
import shlex
import socket
from dataclasses import dataclass

import asyncssh

from harness.errors import HostError
from harness.loop import wait_for
from harness.machines.execution import Completed, execute, text_of
from harness.machines.pump import socket_to

FORM = re.compile(
    r"(?:(?P<user>[^@\s]+)@)?(?P<host>\[[\da-fA-F:.%\w]+\]|[^@:\s\[\]]+)(?::(?P<port>\d+))?"
)
LOGIN_WITHIN = 30.0
"""Seconds for the way there, the key exchange and the login."""
ALIVE = 15.0
"""Seconds after which a silent host is asked whether it is still there."""


@dataclass(frozen=True, slots=True)
class Where:
    """A host as a user names it; what is None is left to the user's SSH configuration."""

    host: str
    user: str | None = None
    port: int | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = f":{self.port}" if self.port else ""
        return f"{self.user}@{host}{port}" if self.user else f"{host}{port}"

    @property
    def ssh(self) -> str:
        """The command that logs in there."""
        port = f" -p {self.port}" if self.port else ""
        return f"ssh{port} {self.user}@{self.host}" if self.user else f"ssh{port} {self.host}"


def parse(text: str) -> Where:
    """`[USER@]HOST[:PORT]`; an IPv6 address stands in brackets.

    Raises:
        HostError: it is something else.
    """
    found = FORM.fullmatch(text)
    port = int(found["port"]) if found and found["port"] else None
    if found is None or (port is not None and not 0 < port < 1 << 16):
        raise HostError(
            f"--machine ssh:{text}: this is no host",
            "--machine ssh:[USER@]HOST[:PORT], an IPv6 address in brackets",
        )
    return Where(found["host"].strip("[]"), found["user"], port)


class Login:
    """An open connection, and commands of root's over it.

    Args:
        where: the host.

    Raises:
        HostError: it cannot be opened, or the user can do nothing there; with the remedy.
    """

    def __init__(self, where: Where) -> None:
        self.where = where
        self._connection = wait_for(self._open())
        self._sudo = ""
        if self.run("id -u").stdout.strip() != "0":
            if self.run("sudo -n true").status != 0:
                self.close()
                raise HostError(
                    f"{where}: the user is not root, and sudo asks for a password",
                    "log in as root, or let sudo ask for none: NOPASSWD in /etc/sudoers.d",
                )
            self._sudo = "sudo -n "

    async def _open(self) -> asyncssh.SSHClientConnection:
        where = self.where
        more: dict[str, object] = {}
        if where.user is not None:
            more["username"] = where.user
        if where.port is not None:
            more["port"] = where.port
        try:
            return await asyncssh.connect(
                where.host,
                login_timeout=LOGIN_WITHIN,
                connect_timeout=LOGIN_WITHIN,
                keepalive_interval=ALIVE,
                **more,
            )
        except asyncssh.HostKeyNotVerifiable as error:
            raise HostError(
                f"{where}: its host key is not the known one, or not known: {error.reason}",
                f"log in once by hand and look at the key: {where.ssh}",
            ) from error
        except asyncssh.PermissionDenied as error:
            raise HostError(
                f"{where}: nobody is let in: {error.reason}",
                f"keys of ~/.ssh and of the agent are tried; does this work? {where.ssh}",
            ) from error
        except (asyncssh.Error, OSError, TimeoutError) as error:
            raise HostError(
                f"{where}: cannot be reached: {error or type(error).__name__}",
                f"does this work? {where.ssh}",
            ) from error

    def as_root(self, command: str) -> str:
        """A command line by which root runs a script."""
        return f"{self._sudo}/bin/sh -c {shlex.quote(command)}"

    async def run_async(self, command: str, within: float, stdin: bytes | None) -> Completed:
        """Run a command as the login's user; see `run`."""
        try:
            done = await execute(self._connection, command, within, stdin)
        except (asyncssh.Error, OSError) as error:
            raise HostError(f"{self.where}: does not answer any more: {error}") from error
        status = 255 if done.returncode is None else done.returncode
        return Completed(command, text_of(done.stdout), text_of(done.stderr), status, 0.0)

    def run(self, command: str, within: float = 60.0, stdin: bytes | None = None) -> Completed:
        """Run a command as the login's user and return how it ended.

        Raises:
            HostError: the host does not answer.
        """
        return wait_for(self.run_async(command, within, stdin))

    async def process(self, command: str) -> asyncssh.SSHClientProcess[bytes]:
        """Begin a command of root's, to speak with it."""
        return await self._connection.create_process(self.as_root(command), encoding=None)

    async def dial(self, command: str) -> socket.socket:
        """A socket whose other end is the standard input and output of a command of root's.

        Raises:
            OSError: the connection is closed.
        """
        try:
            process = await self.process(command)
        except asyncssh.Error as error:
            raise OSError(f"{self.where}: {error.reason}") from error
        return await socket_to(process.stdout, process.stdin)

    @property
    def is_open(self) -> bool:
        """Whether the host is still there, as far as one knows."""
        return not self._connection.is_closed()

    def close(self) -> None:
        """Hang up."""

        async def hang_up() -> None:
            self._connection.close()
            async with asyncio.timeout(5):
                await self._connection.wait_closed()

        try:
            wait_for(hang_up())
        except TimeoutError:
            self._connection.abort()
