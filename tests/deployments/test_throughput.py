"""The measurement of podman's ways leaves the machine as it was."""

from __future__ import annotations

import pytest

from harness.deployment import Deployment
from harness.observations import Observations
from harness.peers import PREFIX
from harness.scenario import Scenario


@pytest.mark.checks("throughput")
def test_measurement_leaves_nothing(
    scenario: Scenario, running: Deployment, observations: Observations
) -> None:
    assert observations.find("throughput")
    machine = running.machine
    containers = "podman ps --all --format '{{.Names}}'"
    everything = (
        machine.succeed(containers)
        + machine.succeed(containers, machine.user)
        + machine.succeed("ip -brief link; firewall-cmd --zone=trusted --list-interfaces")
        + machine.succeed("ps -eo comm")
    )
    assert scenario.table.container in everything
    for name in (PREFIX, "iperf3", "smtp-sink"):
        assert name not in everything
