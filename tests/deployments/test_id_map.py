"""Whose the container's users are on the host, and what mapping them costs."""

from __future__ import annotations

import pytest

from harness import judge_id_map
from harness.observations import Observations
from harness.scenario import Scenario
from harness.scenario_expected import IdMap

pytestmark = pytest.mark.checks("id_map")


@pytest.fixture
def expected(scenario: Scenario) -> IdMap:
    id_map = scenario.settings.expect.id_map
    assert id_map is not None  # the scenario's table sees to it
    return id_map


def test_user_ids_are_mapped_as_the_file_says(
    scenario: Scenario, observations: Observations, expected: IdMap
) -> None:
    judge_id_map.uid_map_is(observations, expected.rows)


def test_group_ids_are_mapped_like_user_ids(scenario: Scenario, observations: Observations) -> None:
    judge_id_map.groups_follow_users(observations)


def test_files_of_one_container_user_are_the_hosts_users(
    scenario: Scenario, observations: Observations, expected: IdMap
) -> None:
    judge_id_map.files_of_user_are(observations, expected.user_is)


def test_image_is_copied_only_for_another_map(
    scenario: Scenario, observations: Observations, expected: IdMap
) -> None:
    judge_id_map.image_is_copied(observations, expected.copies_image)
