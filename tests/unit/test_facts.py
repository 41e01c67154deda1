"""What is asked of a machine and of a container, with both played."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from harness.errors import CommandError
from harness.facts import OF_THE_CONTAINER, observe_container, of_machine
from harness.machines.execution import Completed
from harness.observations import Observations


def said(stdout: str, status: int = 0, stderr: str = "") -> Completed:
    return Completed("command", stdout, stderr, status, 0.1)


def machine(stdout: str) -> Any:
    facts = {"podman": "podman version 5"}
    return SimpleNamespace(kind="nspawn", facts=facts, run=lambda _: said(stdout))


@pytest.mark.parametrize(
    ("stdout", "selinux", "own_kernel"),
    [("absent\nno\n", "absent", "no"), ("enforcing\nyes\n", "enforcing", "yes")],
)
def test_machine_and_its_host(stdout: str, selinux: str, own_kernel: str) -> None:
    assert of_machine(machine(stdout)) == {
        "kind": "nspawn",
        "podman": "podman version 5",
        "selinux": selinux,
        "kernel of its own": own_kernel,
    }


def test_machine_that_says_nothing_is_no_fact() -> None:
    assert of_machine(machine(""))["selinux"] == "error"


def looked_at(inspect: Completed | Exception, postconf: Completed | Exception) -> Observations:
    async def run_async(command: str, user: str, within: float) -> Completed:
        assert user == "mailop"
        answer = inspect if command.startswith("podman inspect") else postconf
        if isinstance(answer, Exception):
            raise answer
        return answer

    launcher: Any = SimpleNamespace(
        machine=SimpleNamespace(run_async=run_async),
        user="mailop",
        scenario=SimpleNamespace(table=SimpleNamespace(container="dms")),
    )
    seen = Observations("a-b")
    asyncio.run(observe_container(launcher, seen))
    return seen


INSPECTED = said("pasta\nexample/image:latest\nmail.example.com\n")


def test_container_and_whom_postfix_trusts() -> None:
    seen = looked_at(INSPECTED, said("127.0.0.0/8 [::1]/128\n"))
    assert seen.one("container", "network mode").outcome == "pasta"
    assert seen.one("container", "image").outcome == "example/image:latest"
    assert seen.one("container", "hostname").outcome == "mail.example.com"
    assert seen.one("mail server", "mynetworks").outcome == "127.0.0.0/8 [::1]/128"


def test_nobody_trusted_is_a_fact() -> None:
    assert looked_at(INSPECTED, said("\n")).one("mail server", "mynetworks").outcome == "empty"


@pytest.mark.parametrize("wrong", [said("", 125, "no such container"), CommandError("too late")])
def test_what_cannot_be_asked_is_told_and_ends_nothing(wrong: Completed | Exception) -> None:
    seen = looked_at(wrong, wrong)
    for subject in OF_THE_CONTAINER:
        assert seen.one("container", subject).outcome == "error"
    trusted = seen.one("mail server", "mynetworks")
    assert trusted.outcome == "error"
    assert "no such container" in str(trusted) or "too late" in str(trusted)
