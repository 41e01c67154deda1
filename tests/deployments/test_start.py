"""The operator's files lead to a mail server that runs."""

from __future__ import annotations

import pytest

from harness.deployment import Deployment
from harness.machines.testinfra import host_of
from harness.scenario import Scenario


def test_mail_server_comes_up(deployment: Deployment) -> None:
    if deployment.failure is not None:
        pytest.fail(str(deployment.failure), pytrace=False)


def test_container_is_the_one_that_the_files_describe(
    scenario: Scenario, running: Deployment
) -> None:
    with running.podman() as podman:
        (container,) = podman.containers.list()
        seen = container.inspect()
    assert seen["Name"].lstrip("/") == scenario.table.container
    assert seen["ImageName"] == "docker.io/mailserver/docker-mailserver:latest"
    assert seen["HostConfig"]["NetworkMode"] == scenario.table.network
    assert seen["Config"]["Hostname"] == scenario.table.hostname


def test_operators_files_are_used_verbatim(scenario: Scenario, running: Deployment) -> None:
    host = host_of(running.machine, running.launcher.user)
    home = host.user(running.launcher.user).home
    for name, place in scenario.table.place.items():
        source = scenario.files(name).get("")
        if name == scenario.table.env_file or source is None:
            continue
        assert host.file(place.replace("~", home)).content_string == source.read_text()


@pytest.mark.once_per_scenario
def test_machine_listens_on_published_ports_only(scenario: Scenario, running: Deployment) -> None:
    host = host_of(running.machine, "root")
    for port in scenario.table.publish.values():
        assert host.socket(f"tcp://{port}").is_listening
    for port in scenario.closed_ports:
        assert not host.socket(f"tcp://{port}").is_listening
