"""Which scenario variant a few words of the user's mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.scenario import Scenario
from harness.scenario_file import load_all
from harness.shell.selection import select

SCENARIOS = load_all(Path(__file__).parents[2] / "scenarios")


def test_an_id_is_that_variant() -> None:
    for each in SCENARIOS:
        assert select(each.id, SCENARIOS) is each


def test_a_folder_is_its_first_variant_though_other_ids_have_its_name_in_them() -> None:
    found = select("rootless_slirp4netns", SCENARIOS[::-1])
    assert found.folder.name == "rootless_slirp4netns"
    assert found.is_first
    assert any("rootless_slirp4netns_" in each.id for each in SCENARIOS)


def test_words_as_of_k_that_leave_one() -> None:
    words = "rootful and compose and permit_host and not podman_compose and not dual"
    (meant,) = [e for e in SCENARIOS if e.id == "rootful_compose-permit_host"]
    assert select(words, SCENARIOS) is meant


def complaint(words: str, scenarios: list[Scenario] = SCENARIOS) -> str:
    with pytest.raises(HarnessError) as error:
        select(words, scenarios)
    return str(error.value)


def test_a_typo_is_told_with_what_is_near() -> None:
    said = complaint("rootless_pasta_quadlet-permit_hots")
    assert "no scenario variant is 'rootless_pasta_quadlet-permit_hots'" in said
    assert "did you mean" in said
    assert "rootless_pasta_quadlet-permit_host" in said


def test_a_word_that_is_near_nothing_is_told_where_to_look() -> None:
    assert "`dms-harness list`" in complaint("xyzzy")


def test_a_word_that_only_tests_have_selects_no_variant() -> None:
    assert "no scenario variant is 'test_relay'" in complaint("test_relay")


def test_several_are_named_and_counted() -> None:
    said = complaint("rootless_pasta and permit_host")
    named = [each.id for each in SCENARIOS if each.id in said]
    assert len(named) == 4
    assert all(each.endswith("permit_host") for each in named)
    assert " more\n" in said


def test_what_is_no_expression_selects_nothing() -> None:
    assert "is no expression" in complaint("permit_host and and")
