from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.addresses import CLIENTS, INSIDE, MACHINE, vantages_of
from harness.errors import ScenarioError
from harness.scenario import Scenario, load, load_all

GOOD = """\
title = "A title"
launcher = "quadlet"
network = "pasta"
user = "rootless"
unit = "dms"
container = "dms"
hostname = "mail.example.com"
env_file = "mailserver.env"

[publish]
smtp = 25
imaps = 993

[place]
"dms.container" = "~/dms.container"
"config" = "~/config"

[[accounts]]
address = "alice@example.com"
password = "a"

[[accounts]]
address = "bob@example.com"
password = "b"

[[prepare]]
as = "root"
why = "because"
run = "true"

[[client_address]]
of = "outside"
is = "own"
why = "packets keep their source"

[[client_address]]
of = "localhost"
is = "own"
why = "as above"

[[client_address]]
of = "self_v4"
is = "machine"
why = "as above"

[[client_address]]
of = "self_v6"
is = "fe80::/10"
why = "mapped"

[variants.first]
expect.why = "nobody"

[variants.second_1]
env = { PERMIT_DOCKER = "host", OTHER = "a b" }
expect.relays_from = ["outside_lan_v4", "localhost"]
expect.why = "the /16"
"""
ENVIRONMENT = "# an operator's comment\nA=1\nPERMIT_DOCKER=none"  # without a newline at its end


def folder(base: Path, text: str = GOOD, name: str = "some_folder") -> Path:
    path = base / name
    path.mkdir(parents=True)
    (path / "scenario.toml").write_text(text)
    (path / "mailserver.env").write_text(ENVIRONMENT)
    (path / "dms.container").write_text("[Container]\n")
    (path / "config").mkdir()
    return path


def refusal(path: Path) -> str:
    """What is said about a wrong scenario; always with its file and a remedy."""
    with pytest.raises(ScenarioError) as raised:
        load(path)
    assert str(path) in raised.value.message
    assert raised.value.hint
    return str(raised.value)


def said_of(base: Path, old: str, new: str) -> str:
    """What is said about the good scenario with one place of it changed."""
    assert GOOD.count(old) >= 1, old
    path = folder(base, GOOD.replace(old, new, 1))
    said = refusal(path)
    assert str(path / "scenario.toml") in said
    return said


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


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        # A key that is unknown, everywhere that keys are, with the near one of that very table.
        (
            "title =",
            "titel =",
            ["titel: there is no such key; 'title' is one", "title: is missing"],
        ),
        ("[publish]", "[publsh]", ["publsh: there is no such key; 'publish' is one"]),
        ('why = "because"', 'wy = "x"', ["prepare.0.wy: there is no such key; 'why' is one"]),
        ('as = "root"', 'user = "root"', ["prepare.0.user: there is no such key", "as, undo"]),
        ('password = "b"', 'pasword = "b"', ["accounts.1.pasword", "'password' is one"]),
        ('is = "own"', 'iss = "own"', ["client_address.0.iss", "'is' is one"]),
        ("expect.why", "expcet.why", ["variants.first.expcet", "'expect' is one"]),
        (
            "expect.relays_from",
            "expect.relay_from",
            ["second_1.expect.relay_from", "'relays_from'"],
        ),
        # A key that is missing.
        ('title = "A title"\n', "", ["title: is missing"]),
        ('run = "true"\n', "", ["prepare.0.run: is missing"]),
        ('expect.why = "nobody"', "", ["variants.first.expect: is missing"]),
        # A word that is none.
        ('"quadlet"', '"docker"', ["launcher: ", "'quadlet'", "'docker'"]),
        ('user = "rootless"', 'user = "me"', ["user: ", "'root' or 'rootless'", "'me'"]),
        ('as = "root"', 'as = "wheel"', ["prepare.0.as: ", "'root' or 'rootless'", "'wheel'"]),
        ("imaps = 993", "pop3 = 110", ["publish.pop3: ", "'imaps'", "not 'pop3'"]),
        # Vantages.
        ('"outside_lan_v4"', '"outside_lann_v4"', ["second_1.expect.relays_from", "outside_lan"]),
        ('"outside_lan_v4"', '"outside_lan_v5"', ["outside_lan_v5", "_v4 or _v6"]),
        (
            'of = "outside"',
            'of = "somewhere"',
            ["client_address.0.of", "'somewhere' is no vantage"],
        ),
        ('of = "self_v6"', 'of = "self"', ["client_address: self_v4 must be said once, and is 2×"]),
        ('of = "outside"', 'of = "outside_lan"', ["outside_far_v4 must be said once, and is 0×"]),
        ('is = "fe80::/10"', 'is = "fe80::/10000"', ["client_address.3.is: 'fe80::/10000'", "own"]),
        ('is = "machine"', 'is = "203.0.113.256"', ["client_address.2.is: '203.0.113.256'"]),
        ('is = "machine"', 'is = "10.0.0.1/8"', ["client_address.2.is: '10.0.0.1/8'", "network"]),
        # Numbers and forms.
        ("smtp = 25", "smtp = 65536", ["publish.smtp: ", "less than or equal to 65535"]),
        ("smtp = 25", "smtp = 0", ["publish.smtp: ", "greater than or equal to 1"]),
        ("smtp = 25", 'smtp = "mail"', ["publish.smtp: ", "integer"]),
        ("smtp = 25", "smtp = 993", ["publish: port 993", "smtp, imaps"]),
        ('"mail.example.com"', '"mail"', ["hostname: 'mail'", "mail.example.com"]),
        ('"bob@example.com"', '"bob"', ["accounts.1.address: 'bob'", "alice@example.com"]),
        ('unit = "dms"', 'unit = ""', ["unit: ", "at least 1"]),
        ('unit = "dms"', "unit = 3", ["unit: ", "string"]),
        ('why = "because"', 'why = ""', ["prepare.0.why: ", "at least 1"]),
        ('PERMIT_DOCKER = "host"', "PERMIT_DOCKER = 1", ["second_1.env.PERMIT_DOCKER", "string"]),
        # Variants.
        ("variants.first", "variants.First", ["variants: 'First'", "lower case"]),
        ("variants.first", "variants.a-b", ["variants: 'a-b'", "underscores"]),
        ("variants.first", 'variants.""', ["variants: ''"]),
        # Files.
        ('"mailserver.env"', '"mail.env"', ["env_file names 'mail.env'", "there are:", "config"]),
        ('"mailserver.env"', '"config"', ["env_file names 'config'"]),
        ('"config" =', '"confg" =', ["place names 'confg'", "config, dms.container"]),
        # TOML.
        ('user = "rootless"', 'user = "rootless', ["line 4"]),
        ('unit = "dms"', 'unit = "dms"\nunit = "dms"', ["line 6", "correct the TOML there"]),
    ],
)
def test_a_mistake_is_named_with_its_file_its_key_and_its_remedy(
    tmp_path: Path, old: str, new: str, expected: list[str]
) -> None:
    said = said_of(tmp_path, old, new)
    for words in expected:
        assert words in said


def test_all_mistakes_of_a_file_are_said_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("smtp = 25", "smtp = 0").replace('"quadlet"', '"x"').replace("title", "x")
    said = refusal(folder(tmp_path, text))
    for key in ("publish.smtp:", "launcher:", "title: is missing", "x: there is no such key"):
        assert key in said


def test_a_scenario_without_variants_or_with_one_account_is_refused(tmp_path: Path) -> None:
    without = GOOD[: GOOD.index("[variants.first]")]
    assert "variants: " in refusal(folder(tmp_path / "a", without))
    assert "variants: " in refusal(folder(tmp_path / "b", without + "[variants]\n"))
    alone = GOOD.replace('[[accounts]]\naddress = "bob@example.com"\npassword = "b"\n', "")
    assert "accounts: " in refusal(folder(tmp_path / "c", alone))


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = folder(tmp_path)
    (path / "scenario.toml").write_bytes(b"title = \xff\xfe")
    assert "scenario.toml" in refusal(path)


@pytest.mark.parametrize("name", ["with-dash", "Upper", "with space", "with.dot", "ümlaut"])
def test_a_folder_that_could_not_be_told_from_its_variant_is_refused(
    tmp_path: Path, name: str
) -> None:
    path = folder(tmp_path, name=name)
    said = refusal(path)
    assert "lower case letters, digits, underscores" in said
    remedy = Path(said.rpartition(" ")[2])
    path.rename(remedy)
    assert load(remedy)


def test_a_folder_without_the_file_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "is missing" in refusal(tmp_path / "empty")
    assert "copy a neighbour's" in refusal(tmp_path / "empty")
    folder(tmp_path)
    with pytest.raises(ScenarioError, match=r"scenario\.toml is missing"):
        load_all(tmp_path)


def test_no_scenarios_at_all_is_an_error_that_says_what_one_is(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="holds no scenarios") as raised:
        load_all(tmp_path)
    assert "a folder with a scenario.toml" in raised.value.hint
    with pytest.raises(ScenarioError, match="is no folder") as raised:
        load_all(tmp_path / "none")
    assert raised.value.hint


def test_files_beside_the_scenarios_and_in_them_are_fine(tmp_path: Path) -> None:
    (folder(tmp_path) / "README.md").touch()
    (tmp_path / "claims.toml").touch()
    folder(tmp_path, name="another")
    assert [each.id for each in load_all(tmp_path)] == [
        "another-first",
        "another-second_1",
        "some_folder-first",
        "some_folder-second_1",
    ]


def test_the_projects_own_scenarios_are_good_and_their_ids_unique(tmp_path: Path) -> None:
    own = Path(__file__).parents[2] / "scenarios"
    scenarios = load_all(own)
    ids = [scenario.id for scenario in scenarios]
    assert "rootless_pasta_quadlet-permit_container" in ids
    assert len(set(ids)) == len(ids)
    for scenario in scenarios:
        for place in (*(client.place for client in CLIENTS), *INSIDE):
            for vantage in vantages_of(place):
                assert all(scenario.client_address(vantage))
    assert sum(scenario.is_first for scenario in scenarios) == len({s.folder for s in scenarios})
    # A copy of a folder is another scenario.
    shutil.copytree(scenarios[0].folder, tmp_path / "copy")
    assert load(tmp_path / "copy")[0].id.startswith("copy-")


def test_a_word_stands_for_its_places_in_one_family_or_both() -> None:
    assert vantages_of("self_v6") == ["self_v6"]
    assert vantages_of("localhost") == ["localhost_v4", "localhost_v6"]
    assert vantages_of("outside_lan_v4") == ["outside_lan_a_v4", "outside_lan_b_v4"]
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


def test_a_variants_settings_follow_the_files_own_text(second: Scenario) -> None:
    first = load(second.folder)[0]
    assert first.environment() == ENVIRONMENT
    assert second.environment() == (ENVIRONMENT + "\n# second_1\nPERMIT_DOCKER=host\nOTHER=a b\n")
    assert (second.folder / "mailserver.env").read_text() == ENVIRONMENT
