"""Commands and files on a machine, over SSH, as root or as any of its users.

Verbs run a command and either return what it did, or insist on an outcome. They are synchronous;
the coroutine behind `run` is there for what has to happen at the same time.
"""

from __future__ import annotations

import shlex
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncssh

from harness.errors import CommandError, MachineError
from harness.loop import wait_for
from harness.machines.execution import Completed, execute, text_of
from harness.machines.shell import Shell
from harness.patience import patient

# What `-u` stands for, and what it misses: journald asks /proc to whose unit a process belongs, and
# one that has written why it fails is often gone by then (systemd's issue 2913). For the system's
# units it is told the name beforehand. A line without one is only known by the stream it came in.
_OF_USER_UNIT = """$(
    owner="_UID=$(id -u)" unit="$(systemctl --user show -P Id {unit})"
    echo "_SYSTEMD_USER_UNIT=$unit $owner + USER_UNIT=$unit $owner"
    journalctl --user -q -o json --output-fields=_STREAM_ID,_SYSTEMD_USER_UNIT _TRANSPORT=stdout |
        grep -v '"_SYSTEMD_USER_UNIT":"' | grep -o '"_STREAM_ID":"[0-9a-f]*"' | sort -u |
        sed 's/.*:"/+ _STREAM_ID=/; s/"//'
)"""


class Verbs(ABC):
    """What is done on a machine that answers.

    Attributes:
        name: unique within the run.
        shell: leads to it.
    """

    name: str
    shell: Shell

    @abstractmethod
    def console(self) -> str:
        """What the machine wrote on its console: the last resort when it does not answer."""

    async def run_async(
        self,
        command: str,
        user: str = "root",
        within: float = 60.0,
        stdin: bytes | None = None,
    ) -> Completed:
        """Run a command in a user's login shell and wait for its end, whatever its outcome.

        Raises:
            CommandError: it did not end within `within` seconds.
            MachineError: the machine does not answer.
        """
        started = time.monotonic()
        try:
            async with self.shell.session(user) as connection:
                done = await execute(connection, command, patient(within), stdin)
        except asyncssh.TimeoutError as error:
            raise CommandError(
                f"{self._shown(command, user)} did not end within {patient(within):.0f} s",
                f"it had written: {text_of(error.stdout)}{text_of(error.stderr)}",
            ) from None
        except (asyncssh.Error, OSError) as error:
            raise MachineError(
                f"{self.name} does not answer any more: {error}",
                self._last_words(5),
            ) from error
        status = done.returncode
        return Completed(
            command,
            text_of(done.stdout),
            text_of(done.stderr),
            255 if status is None else status,
            time.monotonic() - started,
        )

    def run(
        self,
        command: str,
        user: str = "root",
        within: float = 60.0,
        stdin: bytes | None = None,
    ) -> Completed:
        """Run a command as a user and return how it ended; see `run_async`."""
        return wait_for(self.run_async(command, user, within, stdin))

    def succeed(
        self,
        command: str,
        user: str = "root",
        within: float = 60.0,
        stdin: bytes | None = None,
    ) -> str:
        """Run a command that must succeed; return its standard output.

        Raises:
            CommandError: it failed; the text holds all that it wrote.
        """
        done = self.run(command, user, within, stdin)
        if done.status != 0:
            raise CommandError(
                f"{self._shown(command, user)} failed with status {done.status}:\n"
                f"{(done.stdout + done.stderr).strip()}"
            )
        return done.stdout

    def fail(self, command: str, user: str = "root", within: float = 60.0) -> str:
        """Run a command that must fail; return all that it wrote.

        Raises:
            CommandError: it succeeded.
        """
        done = self.run(command, user, within)
        if done.status == 0:
            raise CommandError(f"{self._shown(command, user)} succeeded, and should not have")
        return done.stdout + done.stderr

    def copy_to(self, local: Path, remote: str, user: str = "root") -> None:
        """Copy a file or a folder to the machine, owned by `user`, with its modes.

        Raises:
            CommandError: it cannot be written there.
        """
        what = f"{local} to {remote}"
        wait_for(
            self._copy(
                what, user, lambda sftp: sftp.put(local, remote, preserve=True, recurse=True)
            )
        )

    def copy_from(self, remote: str, local: Path, user: str = "root") -> None:
        """Copy a file or a folder from the machine.

        Raises:
            CommandError: it cannot be read there.
        """
        what = f"{remote} from there to {local}"
        wait_for(
            self._copy(
                what, user, lambda sftp: sftp.get(remote, local, preserve=True, recurse=True)
            )
        )

    async def _copy(
        self, what: str, user: str, action: Callable[[asyncssh.SFTPClient], Awaitable[None]]
    ) -> None:
        try:
            async with (
                self.shell.session(user) as connection,
                connection.start_sftp_client() as sftp,
            ):
                await action(sftp)
        except (asyncssh.SFTPError, OSError) as error:
            raise CommandError(f"{self.name}: cannot copy {what} as {user}: {error}") from error

    def write_file(self, remote: str, content: str | bytes, user: str = "root") -> None:
        """Write a file, and the folders that it lies in; `~/` is the user's home.

        Raises:
            CommandError: it cannot be written.
        """
        data = content.encode() if isinstance(content, str) else content
        where = shlex.quote(remote)
        if remote.startswith("~/"):
            where = '"$HOME"/' + shlex.quote(remote[2:])
        self.succeed(f'mkdir -p "$(dirname {where})" && cat > {where}', user, stdin=data)

    def journal(self, unit: str, user: str = "root", lines: int = 200) -> str:
        """The end of a unit's journal, the system's for root and otherwise the user's own.

        A user's journal comes with those lines of which journald no longer knew whose they were.
        """
        if user == "root":
            of = f"-u {shlex.quote(unit)}"
        else:
            of = f"--user {_OF_USER_UNIT.format(unit=shlex.quote(unit))}"
        return self.run(f"journalctl --no-pager -q -o short-precise -n {lines} {of}", user).stdout

    def forward(self, remote: str, local: Path, user: str = "root") -> Path:
        """Make a unix socket of the machine reachable as a unix socket here.

        It lasts as long as the connection to the machine.
        """

        async def listen() -> None:
            connection = await self.shell.connection(user)
            await connection.forward_local_path(str(local), remote)

        wait_for(listen())
        return local

    def _shown(self, command: str, user: str) -> str:
        """A command as one could paste it into the machine."""
        return f"{self.name}: as {user}: {command}"

    def _last_words(self, lines: int) -> str:
        """The end of the console, for whoever reads why the machine did not answer."""
        return "the end of its console:\n" + "\n".join(self.console().splitlines()[-lines:])
