"""When a machine counts as up, and what is said of one that is not, or lets nobody in."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from shell_support import Host, LocalMachine, free_port, local_machine

from harness import cache
from harness.errors import MachineError
from harness.loop import wait_for
from harness.machines import base
from harness.machines.execution import Completed
from harness.machines.shell import Login


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalMachine]:
    with local_machine(tmp_path_factory.mktemp("cache")) as machine:
        yield machine


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
