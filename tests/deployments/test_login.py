"""Who may log in, and how."""

from __future__ import annotations

import pytest

from harness import judge
from harness.observations import Observations
from harness.scenario import Scenario

LOGINS = ("submission", "submissions", "imap", "imaps")


@pytest.mark.parametrize("login", LOGINS)
def test_good_password_is_accepted(
    scenario: Scenario, observations: Observations, login: str, login_vantage: str
) -> None:
    judge.login_works(observations, login_vantage, login)


@pytest.mark.parametrize("login", LOGINS)
def test_bad_password_is_refused(
    scenario: Scenario, observations: Observations, login: str, login_vantage: str
) -> None:
    judge.bad_login_refused(observations, login_vantage, login)


def test_password_in_plain_text_is_refused(
    scenario: Scenario, observations: Observations, closed_login: str
) -> None:
    judge.plaintext_auth_refused(observations, scenario.main_vantage, closed_login)


def test_password_in_plain_text_is_taken_as_expected(
    scenario: Scenario, observations: Observations, plain_login: str
) -> None:
    judge.plaintext_auth_taken(observations, scenario.main_vantage, plain_login)
