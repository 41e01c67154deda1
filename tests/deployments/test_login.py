"""Who may log in, and how."""

from __future__ import annotations

import pytest

from harness import judge
from harness.observations import Observations
from harness.scenario import Scenario

CLIENTS = ("outside_lan_a_v4", "localhost_v4")
LOGINS = ("submission", "submissions", "imap", "imaps")


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("login", LOGINS)
def test_good_password_is_accepted(
    scenario: Scenario, observations: Observations, login: str, client: str
) -> None:
    judge.login_works(observations, client, login)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("login", LOGINS)
def test_bad_password_is_refused(
    scenario: Scenario, observations: Observations, login: str, client: str
) -> None:
    judge.bad_login_refused(observations, client, login)


@pytest.mark.parametrize("login", ["smtp", "submission", "imap"])
def test_password_in_plain_text_is_refused(
    scenario: Scenario, observations: Observations, login: str
) -> None:
    judge.plaintext_auth_refused(observations, "outside_lan_a_v4", login)
