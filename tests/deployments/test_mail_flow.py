"""Mail comes in, goes out, and stays what it was."""

from __future__ import annotations

import pytest

from harness import judge
from harness.observations import Observations
from harness.scenario import Scenario


def test_mail_from_outside_is_delivered_unchanged(
    scenario: Scenario, observations: Observations, outside_vantage: str
) -> None:
    judge.delivered_unchanged(observations, outside_vantage, "outside to mailbox")


@pytest.mark.parametrize("address", ["alias", "user+tag"])
def test_mail_to_other_name_of_mailbox_is_delivered_unchanged(
    scenario: Scenario, observations: Observations, address: str
) -> None:
    judge.delivered_unchanged(observations, scenario.main_vantage, f"outside to {address}")


@pytest.mark.parametrize("login", ["submission", "submissions"])
def test_submitted_mail_reaches_a_mailbox_unchanged(
    scenario: Scenario, observations: Observations, login: str
) -> None:
    judge.delivered_unchanged(observations, scenario.main_vantage, f"{login} to mailbox")


@pytest.mark.parametrize("login", ["submission", "submissions"])
def test_submitted_mail_reaches_the_outside_exchanger_unchanged(
    scenario: Scenario, observations: Observations, login: str
) -> None:
    judge.submitted_to_outside(observations, scenario.main_vantage, login)


def test_mail_to_unknown_mailbox_is_refused(scenario: Scenario, observations: Observations) -> None:
    judge.unknown_recipient_refused(observations, scenario.main_vantage)


def test_verify_command_tells_nothing(scenario: Scenario, observations: Observations) -> None:
    judge.vrfy_discloses_nothing(observations, scenario.main_vantage)
