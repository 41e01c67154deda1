"""What a variant needs of its machine, and what is known of that before it boots."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import facts
from harness.needs import why_not
from harness.scenario_file import load

SCENARIOS = Path(__file__).parents[2] / "scenarios"
WANTED = {"selinux": "permissive|enforcing"}


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"selinux": "enforcing"}, ""),
        ({"selinux": "absent"}, "selinux is absent, and it needs permissive|enforcing"),
        # All of it must match: this is no `permissive`.
        ({"selinux": "permissive?"}, "selinux is permissive?, and it needs permissive|enforcing"),
        ({"selinux": ""}, "selinux is not there, and it needs permissive|enforcing"),
        # Nobody knows before it boots.
        ({}, ""),
    ],
)
def test_a_machine_has_what_its_facts_say(facts: dict[str, str], reason: str) -> None:
    assert why_not(WANTED, facts) == reason


def test_everything_that_is_lacking_is_said() -> None:
    said = why_not({**WANTED, "slirp4netns": ".+"}, {"selinux": "absent", "slirp4netns": ""})
    assert said == (
        "selinux is absent, and it needs permissive|enforcing; slirp4netns is not there, and it"
        " needs .+"
    )


def test_a_shared_kernel_is_asked_once_and_not_by_a_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    there = tmp_path / "enforce"
    monkeypatch.setattr(facts, "SELINUX", there)
    assert facts.of_shared_kernel() == {"selinux": "absent"}
    there.touch()
    assert facts.of_shared_kernel() == {}  # what a machine on it has, only that machine says


def test_variants_about_selinux_need_it_and_others_do_not() -> None:
    needing = {
        each.variant: dict(each.settings.needs)
        for each in load(SCENARIOS / "rootless_pasta_quadlet")
        if each.settings.needs
    }
    assert needing == {"selinux_with_z": WANTED, "selinux_label_disable": WANTED}
