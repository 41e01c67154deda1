"""What every machine can do, built on what each kind of machine must provide.

Verbs run a command on the machine over SSH, as root or as any of its users, and either return
what it did, or insist on an outcome. They are synchronous; the coroutine behind `run` is there
for what has to happen at the same time.
"""

from __future__ import annotations

import shlex
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import asyncssh

from harness.errors import CommandError, MachineError
from harness.loop import wait_for
from harness.machines.execution import Completed, execute, text_of
from harness.machines.outside import Outside
from harness.machines.shell import Login, Shell
from harness.patience import patient
from harness.vantage import Family

POLL = 0.03
"""Seconds between two looks at something that sends no event."""


class BaseMachine(ABC):
    """A host with systemd and podman.

    Attributes:
        name: unique within the run.
        kind: the word of `--machine` that selects it.
        user: the user who runs rootless containers.
        address: the address that others reach it by, per family.
        outside: the network that it is connected to.
        facts: what it is made of, for reports: distribution, podman, systemd, …
        sshd: the command of an SSH server that speaks with its standard input, as the others do.
        begun: when it began to boot for the first time, by the monotonic clock, or None.
    """

    kind: str
    user: str
    address: Mapping[Family, str]
    outside: Outside
    facts: Mapping[str, str]
    sshd = "/usr/sbin/sshd -i"

    def __init__(self, name: str, login: Login) -> None:
        self.name = name
        self.begun: float | None = None
        self.shell = Shell(name, login, self._dial)

    # -- what a kind provides ------------------------------------------------------------------

    @abstractmethod
    def start(self) -> None:
        """Begin to boot, once; do not wait for it."""

    @abstractmethod
    async def _dial(self) -> socket.socket:
        """A connected socket to the SSH server; OSError while there is none."""

    def ended(self) -> str:
        """Why the machine cannot answer any more, where its kind can tell; otherwise nothing."""
        return ""

    @abstractmethod
    def console(self) -> str:
        """What the machine wrote on its console: the last resort when it does not answer."""

    @abstractmethod
    def destroy(self) -> list[str]:
        """End the machine and free all that it used; return what is left of it, in words."""

    def ssh_words(self, user: str, address: str, known_hosts: Path) -> list[str]:
        """The command by which a person logs in, from a terminal of this computer.

        Args:
            user: who, on the machine.
            address: one that the machine has.
            known_hosts: a file for the machine's host key, which is written.
        """
        login = self.shell.login
        key = login.host_key
        known_hosts.write_text(f"* {key}\n" if key else "", encoding="utf-8")
        options = {
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": str(known_hosts),
            "StrictHostKeyChecking": "yes" if key else "no",
        }
        return [
            *(self.outside.entered_by() or []),
            *("ssh", "-F", "none"),
            *(word for file in (login.private_key, *login.others) for word in ("-i", str(file))),
            *(word for name, value in options.items() for word in ("-o", f"{name}={value}")),
            f"{user}@{address}",
        ]

    # -- verbs ---------------------------------------------------------------------------------

    def wait_until_up(self, within: float = 60.0) -> None:
        """Wait until root can log in and systemd has started everything.

        Raises:
            MachineError: it did not come up; the text holds the end of its console.
        """
        if wrong := self.wait_until_booted(within):
            raise MachineError(f"{self.name} is {wrong}")

    def wait_until_booted(self, within: float = 60.0) -> str:
        """Wait until root can log in and systemd has nothing left to start.

        Returns:
            Nothing where all that it started runs; otherwise its state, and what failed.

        Raises:
            MachineError: root cannot log in; the text holds the end of the console.
        """
        self.wait_until_answering(within)
        state = self.run("systemctl is-system-running --wait", within=within).stdout.strip()
        if state == "running":
            return ""
        failed = self.run("systemctl --failed --plain --no-legend").stdout.strip()
        return f"{state} after its boot: {failed or 'no unit failed'}"

    def wait_until_answering(self, within: float = 60.0) -> None:
        """Wait until root can log in.

        Raises:
            MachineError: root cannot; the text holds the end of the console.
        """
        self._poll(
            self._answers,
            within,
            lambda: MachineError(
                f"{self.name} did not answer on SSH within {within:.0f} s",
                "the end of its console:\n" + "\n".join(self.console().splitlines()[-15:]),
            ),
        )

    def _answers(self) -> bool:
        try:
            wait_for(self.shell.connection("root"))
        except (OSError, MachineError):
            return False
        return True

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
                "the end of its console:\n" + "\n".join(self.console().splitlines()[-5:]),
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

    def wait_for_unit(self, unit: str, user: str = "root", within: float = 60.0) -> None:
        """Wait until a systemd unit is active.

        Args:
            unit: its name.
            user: `root` for the system's units, another for that user's own.
            within: seconds.

        Raises:
            CommandError: it failed, or is not active in time; the text holds its journal.
        """
        scope = "" if user == "root" else "--user "

        def active() -> bool:
            state = self.run(f"systemctl {scope}is-active {shlex.quote(unit)}", user).stdout.strip()
            if state == "failed":
                raise CommandError(f"{self.name}: {unit} failed:\n{self.journal(unit, user)}")
            return state == "active"

        self._poll(
            active,
            within,
            lambda: CommandError(
                f"{self.name}: {unit} is not active after {within:.0f} s:\n"
                + self.journal(unit, user)
            ),
        )

    def wait_for_port(self, port: int, host: str = "127.0.0.1", within: float = 60.0) -> None:
        """Wait until something accepts TCP connections on a port, as seen from inside.

        Raises:
            CommandError: nothing does within `within` seconds.
        """

        def accepted() -> bool:
            try:
                wait_for(self.shell.connect(host, port, None)).close()
            except OSError:
                return False
            return True

        self._poll(
            accepted,
            within,
            lambda: CommandError(f"{self.name}: nothing listens on {host} port {port}"),
        )

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
        """The end of a unit's journal, the system's for root and otherwise the user's own."""
        scope = "" if user == "root" else "--user "
        command = f"journalctl {scope}--no-pager -q -o short-precise -n {lines} -u "
        return self.run(command + shlex.quote(unit), user).stdout

    def forward(self, remote: str, local: Path, user: str = "root") -> Path:
        """Make a unix socket of the machine reachable as a unix socket here.

        It lasts as long as the connection to the machine.
        """

        async def listen() -> None:
            connection = await self.shell.connection(user)
            await connection.forward_local_path(str(local), remote)

        wait_for(listen())
        return local

    def reboot(self, within: float = 120.0) -> None:
        """Shut down in order, boot again, and wait until root can log in.

        Raises:
            MachineError: it did not go down, or did not come back.
        """
        boot_id = "cat /proc/sys/kernel/random/boot_id"
        before = self.succeed(boot_id)
        self.run("systemctl --no-block reboot")

        def another_boot() -> bool:
            try:
                seen = wait_for(self.run_async(boot_id), within=patient(5.0)).stdout
            except (MachineError, TimeoutError):
                # A machine that went may not have said so to whoever was connected.
                self.shell.forget()
                return False
            return seen not in ("", before)

        self._poll(
            another_boot,
            within,
            lambda: MachineError(
                f"{self.name} did not come back within {within:.0f} s after a reboot",
                "the end of its console:\n" + "\n".join(self.console().splitlines()[-15:]),
            ),
        )

    # -- helpers -------------------------------------------------------------------------------

    def _shown(self, command: str, user: str) -> str:
        """A command as one could paste it into the machine."""
        return f"{self.name}: as {user}: {command}"

    def _poll(
        self, done: Callable[[], bool], within: float, error: Callable[[], Exception]
    ) -> None:
        """Look every `POLL` seconds until `done`, or raise `error`."""
        deadline = time.monotonic() + patient(within)
        while not done():
            if why := self.ended():
                raise MachineError(
                    f"{self.name} does not run any more: {why}",
                    "the end of its console:\n" + "\n".join(self.console().splitlines()[-15:]),
                )
            if time.monotonic() > deadline:
                raise error()
            time.sleep(POLL)
