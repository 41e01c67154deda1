"""Whom fail2ban keeps out after one client's bad logins."""

from __future__ import annotations

import pytest

from harness import judge_bans
from harness.observations import Observations
from harness.probes.bans import OFFENDER
from harness.scenario import Scenario

pytestmark = pytest.mark.checks("bans")


def test_fail2ban_runs(scenario: Scenario, observations: Observations) -> None:
    judge_bans.fail2ban_runs(observations)


def test_bad_logins_are_seen_and_refused(scenario: Scenario, observations: Observations) -> None:
    judge_bans.bad_logins_refused(observations, OFFENDER)


def test_fail2ban_knows_the_offender_by_the_logged_address(
    scenario: Scenario, observations: Observations
) -> None:
    address, _ = scenario.client_address(OFFENDER)
    judge_bans.knows_offender_as(observations, address)


def test_client_is_kept_out(
    scenario: Scenario, observations: Observations, banned_vantage: str
) -> None:
    try:
        judge_bans.is_kept_out(observations, banned_vantage)
    except AssertionError as error:
        error.add_note(f"why it was expected: {scenario.settings.expect.why}")
        raise


def test_client_is_let_in(
    scenario: Scenario, observations: Observations, unbanned_vantage: str
) -> None:
    try:
        judge_bans.is_let_in(observations, unbanned_vantage)
    except AssertionError as error:
        error.add_note(f"why it was expected: {scenario.settings.expect.why}")
        raise
