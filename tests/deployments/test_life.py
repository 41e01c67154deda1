"""What outlives a reboot, a logout, a kill and the like; how fast ways to the mail server are."""

from __future__ import annotations

import pytest

from harness import judge_life
from harness.observations import Observations
from harness.scenario import Scenario
from harness.scenario_expected import Seen

pytestmark = pytest.mark.checks("life", "throughput")


def test_is_seen(scenario: Scenario, observations: Observations, seen: Seen) -> None:
    judge_life.is_seen(observations, seen)
