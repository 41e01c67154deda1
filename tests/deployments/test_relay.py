"""Whose mail the server passes on to the outside, proved at the outside's exchanger."""

from __future__ import annotations

from harness import judge, judge_relay
from harness.observations import Observations
from harness.scenario import Scenario


def test_mail_flows_so_that_a_refusal_means_something(
    scenario: Scenario, observations: Observations
) -> None:
    judge_relay.positive_controls(observations)


def test_no_strangers_mail_is_relayed(
    scenario: Scenario, observations: Observations, closed_relay_vantage: str
) -> None:
    judge_relay.no_relay(observations, closed_relay_vantage)


def test_expected_open_relay_is_seen(
    scenario: Scenario, observations: Observations, open_relay_vantage: str
) -> None:
    # The hole must be there for the expected reason: the address that mynetworks trusts.
    expected, _ = scenario.client_address(open_relay_vantage)
    judge_relay.relays(observations, open_relay_vantage)
    judge.client_address_is(observations, open_relay_vantage, "smtp", [expected])
