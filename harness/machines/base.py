"""A machine: what each kind of it must provide, and what is waited for on all of them."""

from __future__ import annotations

import shlex
import socket
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path

from harness.errors import CommandError, MachineError
from harness.loop import wait_for
from harness.machines.outside import Outside
from harness.machines.shell import Login, Shell
from harness.machines.verbs import Verbs
from harness.patience import patient
from harness.vantage import Family

POLL = 0.03
"""Seconds between two looks at something that sends no event."""


class BaseMachine(Verbs):
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

    # -- what is waited for -------------------------------------------------------------------

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
                self._last_words(15),
            ),
        )

    def _answers(self) -> bool:
        try:
            wait_for(self.shell.connection("root"))
        except (OSError, MachineError):
            return False
        return True

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
                self._last_words(15),
            ),
        )

    # -- helpers -------------------------------------------------------------------------------

    def _poll(
        self, done: Callable[[], bool], within: float, error: Callable[[], Exception]
    ) -> None:
        """Look every `POLL` seconds until `done`, or raise `error`."""
        deadline = time.monotonic() + patient(within)
        while not done():
            if why := self.ended():
                raise MachineError(
                    f"{self.name} does not run any more: {why}",
                    self._last_words(15),
                )
            if time.monotonic() > deadline:
                raise error()
            time.sleep(POLL)
