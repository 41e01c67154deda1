"""The operator's files lead to a mail server that runs."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from harness import peers
from harness.deployment import Deployment
from harness.machines.testinfra import host_of
from harness.podman_api import podman_of
from harness.scenario import Scenario
from harness.scenario_words import Checks

CHECKS = get_args(Checks)


@pytest.mark.checks(*CHECKS)
def test_mail_server_comes_up(deployment: Deployment) -> None:
    if deployment.failure is not None:
        pytest.fail(str(deployment.failure), pytrace=False)


@pytest.mark.must_fail
@pytest.mark.checks(*CHECKS)
def test_mail_server_does_not_come_up(scenario: Scenario, deployment: Deployment) -> None:
    expected = scenario.settings.expect
    assert expected.fails is not None
    why = f"expected: it fails with {expected.fails!r}, because {expected.why}"
    assert deployment.failure is not None, f"{why}\nseen: it came up"
    assert re.search(expected.fails, str(deployment.failure)), f"{why}\nseen: {deployment.failure}"


def test_container_is_the_one_that_the_files_describe(
    scenario: Scenario, running: Deployment
) -> None:
    with podman_of(running.machine, running.launcher.user) as podman:
        # Beside it there are only the peers that the harness itself has started.
        (name,) = [
            name
            for name in (container.name for container in podman.containers.list())
            if not name.startswith(peers.PREFIX)
        ]
        seen = podman.containers.get(name).inspect()
    assert seen["Name"].lstrip("/") == scenario.table.container
    assert seen["ImageName"] == "docker.io/mailserver/docker-mailserver:latest"
    assert seen["HostConfig"]["NetworkMode"] == scenario.table.network
    assert seen["Config"]["Hostname"] == scenario.table.hostname


def test_operators_files_are_used_verbatim(scenario: Scenario, running: Deployment) -> None:
    host = host_of(running.machine, running.launcher.user)
    home = host.user(running.launcher.user).home
    for name, place in scenario.place.items():
        source = scenario.files(name).get("")
        if name == scenario.table.env_file or source is None:
            continue
        assert host.file(place.replace("~", home)).content_string == source.read_text()


@pytest.mark.once_per_scenario
def test_machine_listens_on_published_ports_only(scenario: Scenario, running: Deployment) -> None:
    host = host_of(running.machine, "root")
    sockets = {name.rpartition(":")[2] for name in host.socket.get_listening_sockets()}
    listening = {int(port) for port in sockets if port.isdigit()}
    assert listening >= scenario.listening_ports
    assert not listening & set(scenario.closed_ports)
