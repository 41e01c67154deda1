"""What a variant needs of its machine, and what is known of that before it boots."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import facts
from harness.errors import ScenarioError
from harness.needs import checked, fits, holds, why_not
from harness.on_machine import on_machine
from harness.scenario_file import load, load_all

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


@pytest.mark.parametrize(
    ("wanted", "said", "fit"),
    [
        (">= 5.0", "podman version 5.4.2", True),
        (">= 5.0", "podman version 5.0", True),
        (">= 5.0", "podman version 4.9.9", False),
        # Numbers, not letters.
        (">= 5.10", "podman version 5.8.6", False),
        ("< 5", "podman version 4.3.1", True),
        ("< 5", "podman version 5.0.0", False),
        ("= 5.0", "podman version 5.0.0", True),
        ("<= 252", "systemd 252 (252.39-1~deb12u1)", True),
        ("> 252", "systemd 252 (252.39-1~deb12u1)", False),
        (">= 1", "", False),
        ("< 1", "not a number", False),
        ("yes", "yes", True),
        ("yes", "no", False),
    ],
)
def test_versions_are_compared_as_numbers(wanted: str, said: str, fit: bool) -> None:
    assert fits(wanted, said) is fit


def test_a_machine_that_has_not_said_it_is_not_known_to_be_so() -> None:
    assert not holds({"podman": "< 5"}, {})
    assert holds({"podman": "< 5"}, {"podman": "podman version 4.3.1"})
    assert not holds({"podman": "< 5", "quadlet": "yes"}, {"podman": "podman version 4.3.1"})


@pytest.mark.parametrize(
    ("conditions", "says"),
    [
        ({"podmann": ">= 5"}, "'podman' is one"),
        ({"podman": ">= five"}, "compares with no version"),
        ({"podman": "=> 5"}, "compares with no version"),
        ({"podman": "("}, "no regular expression"),
    ],
)
def test_a_condition_that_means_nothing_is_a_mistake(conditions: dict[str, str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        checked(conditions)


PODMAN_4 = {
    "podman": "podman version 4.3.1",
    "quadlet": "no",
    "pasta network": "no",
    "slirp4netns network": "yes",
    "compose": "1.29.2",
    "podman-compose": "1.0.3",
}
WITHOUT_SLIRP = {
    "podman": "podman version 6.0.0",
    "quadlet": "yes",
    "pasta network": "yes",
    "slirp4netns network": "no",
    "compose": "2.40.3",
    "podman-compose": "1.6.0",
}


@pytest.mark.parametrize("facts", [PODMAN_4, WITHOUT_SLIRP], ids=["podman 4.3", "podman 6"])
def test_what_the_launcher_and_the_network_need_nobody_has_to_say(facts: dict[str, str]) -> None:
    lacking = {name for name in ("quadlet", "pasta network") if facts[name] == "no"}
    lacking |= {"slirp4netns network"} if facts["slirp4netns network"] == "no" else set()
    for each in load_all(SCENARIOS):
        needed = {each.table.launcher, f"{each.table.network} network"} & lacking
        reason = why_not(each.needs, facts)
        for name in needed:
            assert f"no {name}: {facts['podman']}" in reason, each.id
        if needed or not each.settings.needs:
            assert bool(needed) is bool(reason), each.id


def write(folder: Path, more: str, variant: str = "") -> Path:
    """A scenario with something that is for some machines only."""
    made = folder / "other"
    made.mkdir()
    base = SCENARIOS / "rootful_compose"
    text = f'base = "{base}"\ntitle = "other"\n{more}\n'
    text += '[variants.a]\nexpect.why = "usual"\nchecks = "life"\n' + variant
    (made / "scenario.toml").write_text(text)
    return made


SEEN = """
seen = [
    { of = "first", run = "echo 1", is = "1", why = "as usual" },
    { of = "first", run = "echo 2", is = "2", where = { podman = "< 5" }, why = "in old times" },
    { of = "only new", run = "echo 3", is = "3", where = { podman = ">= 5" }, why = "new" },
    { of = "last", run = "echo 4", is = "4", why = "as usual" },
]
"""


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, ["1", "4"]),
        ({"podman": "podman version 4.3.1"}, ["2", "4"]),
        ({"podman": "podman version 5.4.2"}, ["1", "3", "4"]),
    ],
)
def test_a_row_for_some_machines_takes_the_place_of_the_usual_one(
    tmp_path: Path, facts: dict[str, str], expected: list[str]
) -> None:
    (read,) = load(write(tmp_path, "", SEEN))
    (made,) = on_machine([read], facts)
    assert [row.is_ for row in made.settings.seen] == expected
    assert [row.is_ for row in read.settings.seen] == ["1", "4"]  # while no machine is known


def test_a_variant_may_be_expected_to_end_otherwise(tmp_path: Path) -> None:
    more = """
[[variants.a.otherwise]]
where = { podman = "< 5" }
expect.fails = "no such network"
expect.why = "it is older than that network"
"""
    (read,) = load(write(tmp_path, "", SEEN + more))
    old, new = (
        on_machine([read], {"podman": f"podman version {version}"})[0].settings.expect
        for version in ("4.3.1", "5.4.2")
    )
    assert (old.fails, new.fails) == ("no such network", None)
    assert old.why == "it is older than that network"


def test_an_address_may_be_another_on_some_machines(tmp_path: Path) -> None:
    row = """
[[variants.a.client_address]]
of = "localhost_v4"
is = "10.89.0.9"
why = "in this variant"

[[variants.a.client_address]]
of = "localhost_v4"
is = "refused"
why = "in old times"
where = { netavark = "< 1.10" }
"""
    (read,) = load(write(tmp_path, "", SEEN + row))
    old, new = (
        on_machine([read], {"netavark": f"netavark {version}"})[0] for version in ("1.4.0", "1.14")
    )
    assert "localhost_v4" in read.reachable
    assert new.client_address("localhost_v4") == ("10.89.0.9", "in this variant")
    assert "localhost_v4" not in old.reachable
    assert old.unanswered("localhost_v4") == ("refused", "in old times")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ('where = { podmn = "< 5" }\nexpect.why = "x"', "otherwise.0.where.*'podman' is one"),
        ('where = { podman = "< 5" }\nexpct.why = "x"', "expct: there is no such key; 'expect'"),
        ('expect.why = "x"', "otherwise.0.where: is missing"),
    ],
)
def test_a_typo_in_a_condition_is_named(tmp_path: Path, wrong: str, says: str) -> None:
    with pytest.raises(ScenarioError, match=says):
        load(write(tmp_path, "", SEEN + f"\n[[variants.a.otherwise]]\n{wrong}\n"))
