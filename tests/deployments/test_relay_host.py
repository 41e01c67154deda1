"""Users' mail leaves by the smart host that RELAY_HOST names, and by no other way."""

from __future__ import annotations

import pytest

from harness import judge_smart_host
from harness.observations import Observations
from harness.outside import smart_host
from harness.scenario import Scenario

pytestmark = pytest.mark.checks("smart_host")


@pytest.mark.parametrize("login", ["submission", "submissions"])
def test_submitted_mail_leaves_by_the_smart_host(
    scenario: Scenario, observations: Observations, login: str
) -> None:
    judge_smart_host.leaves_by_smart_host(
        observations, scenario.main_vantage, login, smart_host.USER
    )
