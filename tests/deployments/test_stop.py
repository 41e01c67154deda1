"""The operator's own tear-down leaves the machine as it was."""

from __future__ import annotations

import pytest

from harness.deployment import Deployment
from harness.observations import Observations
from harness.scenario import Scenario


@pytest.mark.once_per_scenario
def test_setup_command_manages_accounts(scenario: Scenario, running: Deployment) -> None:
    address = f"carol@{scenario.domain}"
    for command, listed in (
        (f"setup email add {address} new-password-3", True),
        (f"setup email del {address}", False),
    ):
        done = running.exec(command)
        assert done.status == 0, done.stdout + done.stderr
        assert (address in running.exec("setup email list").stdout) is listed


@pytest.mark.once_per_scenario
@pytest.mark.ends_deployment
def test_stopping_leaves_nothing_on_the_machine(
    scenario: Scenario, running: Deployment, observations: Observations
) -> None:
    left = running.stop()
    assert not left, "left on the machine:\n" + "\n".join(left)
