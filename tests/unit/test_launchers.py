"""What the launchers run, and how they tell that a mail server will not come up."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from harness.launchers.base import Launcher
from harness.launchers.compose import Compose, PodmanCompose
from harness.launchers.generated import GeneratedUnit
from harness.launchers.run import PodmanRun


class Machine:
    """Notes what is run on it, and answers what it is told to."""

    user = "mailop"

    def __init__(self, stdout: str = "", status: int = 0) -> None:
        self.answer = SimpleNamespace(stdout=stdout, stderr="no such container", status=status)
        self.ran: list[tuple[str, str]] = []

    def succeed(self, command: str, user: str, within: float) -> str:
        self.ran.append((user, command))
        return ""

    def run(self, command: str, user: str) -> Any:
        self.ran.append((user, command))
        return self.answer


def launcher(
    kind: type[Launcher], name: str, machine: Machine, user: str = "rootless", file: str = ""
) -> Launcher:
    table = SimpleNamespace(launcher=name, user=user, unit="mail", container="mailserver")
    settings = SimpleNamespace(expect=SimpleNamespace(within=None))
    scenario: Any = SimpleNamespace(table=table, settings=settings, place={file: f"~/mail/{file}"})
    given: Any = machine
    return kind(scenario, given)


@pytest.mark.parametrize(
    ("user", "socket"),
    [
        ("root", "unix:///run/podman/podman.sock"),
        ("rootless", "unix:///var/run/user/$(id -u)/podman/podman.sock"),
    ],
)
def test_compose_works_over_the_users_own_socket(user: str, socket: str) -> None:
    machine = Machine()
    compose = launcher(Compose, "compose", machine, user, "compose.yaml")
    compose.start()
    compose.stop()
    (who, up), (_, down) = machine.ran
    assert who == ("root" if user == "root" else "mailop")
    assert up.startswith("cd ~/mail && ")
    assert f"DOCKER_HOST={socket};" in up
    assert up.endswith("compose up -d mailserver")
    assert down.endswith("compose down")


def test_podman_compose_needs_no_socket() -> None:
    machine = Machine()
    launcher(PodmanCompose, "podman_compose", machine, file="compose.yaml").start()
    assert machine.ran == [("mailop", "cd ~/mail && podman-compose up -d mailserver")]


def test_a_command_line_is_run_in_its_folder_and_its_container_removed() -> None:
    machine = Machine()
    run = launcher(PodmanRun, "run", machine, file="podman-run.sh")
    run.start()
    run.stop()
    assert machine.ran == [
        ("mailop", "cd ~/mail && sh podman-run.sh"),
        ("mailop", "cd ~/mail && podman stop mailserver && podman rm --ignore mailserver"),
    ]


@pytest.mark.parametrize(
    ("user", "folder", "systemctl"),
    [
        ("root", "/etc/systemd/system", "systemctl"),
        ("rootless", "~/.config/systemd/user", "systemctl --user"),
    ],
)
def test_a_generated_unit_lies_where_the_guide_says(user: str, folder: str, systemctl: str) -> None:
    machine = Machine()
    unit = launcher(GeneratedUnit, "generated_unit", machine, user, "podman-create.sh")
    unit.start()
    unit.stop()
    (_, start), (_, stop) = machine.ran
    assert f"podman generate systemd mailserver > {folder}/mail.service" in start
    assert start.endswith(f"{systemctl} enable --now mail.service")
    assert f"{systemctl} disable --now mail.service && rm {folder}/mail.service" in stop
    assert stop.endswith("podman rm --ignore mailserver")


def inspected(status: str, restarts: int = 0, code: int = 0) -> str:
    state = {"Status": status, "ExitCode": code}
    return json.dumps([{"State": state, "RestartCount": restarts}])


@pytest.mark.parametrize(
    ("shown", "trouble"),
    [
        (inspected("running"), ""),
        (inspected("running", 1), ""),
        (inspected("running", 2), "the container mailserver was restarted 2 times"),
        (inspected("exited", 0, 3), "the container mailserver has exited with status 3"),
        (inspected("created"), ""),
    ],
)
def test_a_container_that_exits_or_loops_is_told_from_one_that_starts(
    shown: str, trouble: str
) -> None:
    run = launcher(PodmanRun, "run", Machine(shown), file="podman-run.sh")
    assert run.trouble() == trouble


def test_no_container_at_all_is_trouble() -> None:
    run = launcher(PodmanRun, "run", Machine(status=125), file="podman-run.sh")
    assert run.trouble() == "there is no container mailserver: no such container"
