"""What is known of a scenario variant: who may relay, addresses, ports, its environment."""

from __future__ import annotations

from pathlib import Path

import pytest
from scenario_support import ENVIRONMENT, GOOD, folder

from harness.addresses import CLIENTS, MACHINE, vantages_of
from harness.scenario import Scenario
from harness.scenario_file import load, load_all


def test_a_good_scenario_is_loaded_with_all_its_variants(tmp_path: Path) -> None:
    first, second = load(folder(tmp_path))
    assert (first.id, second.id) == ("some_folder-first", "some_folder-second_1")
    assert (first.is_first, second.is_first) == (True, False)
    assert str(second) == second.id
    assert second.settings.env == {"PERMIT_DOCKER": "host", "OTHER": "a b"}
    assert first.domain == "example.com"
    assert [each.address for each in first.accounts] == ["alice@example.com", "bob@example.com"]
    (step,) = first.table.prepare
    assert (step.user, step.run, step.undo) == ("root", "true", None)


def test_a_word_stands_for_its_places_in_one_family_or_both() -> None:
    assert vantages_of("self_v6") == ("self_v6",)
    assert vantages_of("localhost") == ("localhost_v4", "localhost_v6")
    assert vantages_of("outside_lan_v4") == ("outside_lan_a_v4", "outside_lan_b_v4")
    assert set(vantages_of("outside")) == {
        f"{client.place}_v{family}" for client in CLIENTS for family in (4, 6)
    }
    for word in ("", "_v4", "outside_v46", "v4", "OUTSIDE"):
        with pytest.raises(ValueError, match="is no vantage"):
            vantages_of(word)


@pytest.fixture
def second(tmp_path: Path) -> Scenario:
    return load(folder(tmp_path))[1]


def test_who_may_relay_is_told_by_vantage(second: Scenario, tmp_path: Path) -> None:
    assert second.relays_from == {
        "outside_lan_a_v4",
        "outside_lan_b_v4",
        "localhost_v4",
        "localhost_v6",
    }
    first = load(second.folder)[0]
    assert first.relays_from == set()


@pytest.mark.parametrize(
    ("vantage", "address"),
    [
        *(
            (f"{client.place}_v{family}", client.addresses[family])
            for client in CLIENTS
            for family in (4, 6)
        ),
        ("localhost_v4", "127.0.0.1"),
        ("localhost_v6", "::1"),
        ("self_v4", MACHINE[4]),
        ("self_v6", "fe80::/10"),
    ],
)
def test_a_clients_address_is_its_own_the_machines_or_what_is_said(
    second: Scenario, vantage: str, address: str
) -> None:
    assert second.client_address(vantage)[0] == address


def test_own_and_machine_mean_an_address_of_the_clients_family(tmp_path: Path) -> None:
    text = GOOD.replace('of = "localhost"\nis = "own"', 'of = "localhost"\nis = "machine"').replace(
        '"fe80::/10"', '"own"'
    )
    scenario = load(folder(tmp_path, text))[0]
    assert scenario.client_address("localhost_v4") == (MACHINE[4], "as above")
    assert scenario.client_address("localhost_v6") == (MACHINE[6], "as above")
    assert scenario.client_address("self_v6") == (MACHINE[6], "mapped")


def test_the_firewalls_ports_are_listened_on_instead_of_the_published_ones(
    tmp_path: Path,
) -> None:
    plain = load(folder(tmp_path))[0]
    assert plain.listening_ports == {25, 993}
    assert plain.forwarded_ports == []
    text = GOOD.replace("[place]", "[forwarded]\nsmtp = 10025\n[place]")
    scenario = load(folder(tmp_path, text, "forwarded"))[0]
    assert scenario.listening_ports == {10025, 993}
    assert scenario.forwarded_ports == [10025]
    assert 25 not in scenario.closed_ports


@pytest.mark.parametrize(
    ("unanswered", "family"),
    [((), 4), (("outside_v6",), 4), (("outside_v4",), 6), (("outside",), None)],
)
def test_over_which_ip_version_somebody_outside_gets_through(
    tmp_path: Path, unanswered: tuple[str, ...], family: int | None
) -> None:
    rules = "".join(
        f'[[variants.first.client_address]]\nof = "{word}"\nis = "timeout"\nwhy = "dropped"\n'
        for word in unanswered
    )
    scenario = load(folder(tmp_path, GOOD + rules))[0]
    assert scenario.outside_family == family


def test_a_variant_may_have_interfaces_of_its_own(tmp_path: Path) -> None:
    text = GOOD.replace(
        'expect.why = "nobody"',
        'interface = "eth0"\nsecond_interface = "eth1"\nexpect.why = "nobody"',
    )
    first, second = load(folder(tmp_path, text))
    assert (first.interface, first.second_interface) == ("eth0", "eth1")
    assert (second.interface, second.second_interface) == ("enp1s0", None)


def test_a_variants_settings_follow_the_files_own_text(second: Scenario) -> None:
    first = load(second.folder)[0]
    assert first.environment() == ENVIRONMENT
    assert second.environment() == (ENVIRONMENT + "\n# second_1\nPERMIT_DOCKER=host\nOTHER=a b\n")
    assert (second.folder / "mailserver.env").read_text() == ENVIRONMENT


def test_without_an_environment_file_there_is_no_environment(tmp_path: Path) -> None:
    text = GOOD.replace('env_file = "mailserver.env"\n', "")
    text = text.replace('env = { PERMIT_DOCKER = "host", OTHER = "a b" }\n', "")
    first, second = load(folder(tmp_path, text))
    assert (first.table.env_file, first.environment(), second.environment()) == (None, "", "")


def test_what_a_record_notes_of_expectations_is_what_tests_hold_it_against() -> None:
    scenarios = {each.id: each for each in load_all(Path(__file__).parents[2] / "scenarios")}
    container = scenarios["rootless_compose-permit_container"].noted
    assert set(container["relays_from"]) == {
        vantage for word in ("outside", "inside") for vantage in vantages_of(word)
    }
    assert "container's own address" in container["why"]
    assert container["checks"] == "matrix"
    assert scenarios["rootless_compose-permit_unset"].noted["relays_from"] == []
    # Where nothing answers nobody can relay, whatever the expectation's words stand for.
    for scenario in scenarios.values():
        noted = scenario.noted
        assert noted["vantages"] == scenario.reachable
        assert set(noted["relays_from"]) == scenario.relays_from & set(scenario.reachable)
        assert noted["fails"] == scenario.settings.expect.fails
    assert any(each.relays_from - set(each.reachable) for each in scenarios.values())
    assert any(each.noted["fails"] for each in scenarios.values())
