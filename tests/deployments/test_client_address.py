"""Which client address the mail server sees: what it trusts, bans and judges by."""

from __future__ import annotations

import pytest

from harness import judge
from harness.observations import Observations
from harness.scenario import Scenario


@pytest.mark.parametrize("log_of", ["smtp", "submission", "imaps"])
def test_logged_client_address(
    scenario: Scenario, observations: Observations, vantage: str, log_of: str
) -> None:
    expected, why = scenario.client_address(vantage)
    try:
        judge.client_address_is(observations, vantage, log_of, [expected])
    except AssertionError as error:
        error.add_note(f"why it was expected: {why}")
        raise
