from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from harness.addresses import CLIENTS, INSIDE, MACHINE, vantages_of
from harness.errors import ScenarioError
from harness.scenario import Scenario
from harness.scenario_file import STEPS, load, load_all
from harness.scenario_parts import Step

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
COMPARISON = '{ of = "pasta against slirp4netns, bits in", is = "faster", why = "x" }'
QUESTION = "{ of = 'socket', run = 'curl', is = 'OK', why = 'x' }"
AFTER_REBOOT = "after = 'reboot', is"
ANSWERS = '{ of = "mail server", after = "kill_it", is = "answers", why = "x" }'
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
        (
            'user = "rootless"',
            'user = "me"',
            ["user: ", "'root' or 'rootless'", "'me'"],
        ),
        (
            'as = "root"',
            'as = "wheel"',
            ["prepare.0.as: ", "'root', 'rootless' or 'operator'", "'wheel'"],
        ),
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
        # The machine's network.
        (
            'unit = "dms"',
            'unit = "dms"\nsecond_interface = "Eth1"',
            ["second_interface: 'Eth1' has not the form of enp2s0"],
        ),
        (
            'unit = "dms"',
            'unit = "dms"\nsecond_interface = "enp1s0"',
            ["variants.first: interface and second_interface are both enp1s0", "another name"],
        ),
        (
            'expect.why = "nobody"',
            'interface = "eth 0"\nexpect.why = "nobody"',
            ["variants.first.interface: 'eth 0' has not the form of enp2s0"],
        ),
        (
            'expect.why = "nobody"',
            'interface = "a"\nsecond_interface = "eth0"\nexpect.why = "nobody"',
            ["variants.first.interface: 'a' has not the form of"],
        ),
        ('unit = "dms"', 'unit = "dms"\nfamilies = [4, 4]', ["families: [4, 4]", "each once"]),
        ('unit = "dms"', 'unit = "dms"\nfamilies = []', ["families: ", "at least 1"]),
        ('unit = "dms"', 'unit = "dms"\nfamilies = [5]', ["families.0: ", "4 or 6", "not 5"]),
        # Ports that the firewall leads to.
        (
            "[place]",
            "[forwarded]\nimap = 10143\n[place]",
            ["forwarded.imap: publish has no imap", "it has smtp, imaps"],
        ),
        (
            "[place]",
            "[forwarded]\nsmtp = 993\n[place]",
            ["forwarded.smtp: 993 is published itself", "leave it out"],
        ),
        (
            "[place]",
            "[forwarded]\nsmtp = 10025\nimaps = 10025\n[place]",
            ["forwarded: port 10025 can lead to one of smtp, imaps only"],
        ),
        ("[place]", "[forwarded]\npop3 = 10110\n[place]", ["forwarded.pop3: ", "not 'pop3'"]),
        # Failures that are expected, and user namespaces.
        ('"the /16"', '"x"\nexpect.within = 5', ["second_1.expect: within:", "say with what in"]),
        ('"the /16"', '"x"\nexpect.fails = "("', ["second_1.expect.fails: '('", "no regular"]),
        (
            '"the /16"',
            '"x"\nexpect.fails = "x"\nexpect.within = 0',
            ["second_1.expect.within: ", "greater than 0"],
        ),
        (
            '"the /16"',
            '"x"\n[variants.second_1.expect.id_map]\nrows = [[0, 0, 1]]\nuser_is = 0\n'
            "copies_image = false",
            ["variants.second_1: expect.id_map: is looked at only with checks = 'id_map'"],
        ),
        (
            '"the /16"',
            '"x"\nchecks = "id_map"',
            ["variants.second_1: expect.id_map: is missing; checks = 'id_map'"],
        ),
        (
            '"the /16"',
            '"x"\nexpect.id_map = { rowz = [], user_is = 0, copies_image = false }',
            ["expect.id_map.rowz: there is no such key; 'rows' is one", "id_map.rows: is missing"],
        ),
        (
            '"the /16"',
            '"x"\nexpect.id_map = { rows = [[0, 0]], user_is = 0, copies_image = false }',
            ["second_1.expect.id_map.rows.0.2: is missing"],
        ),
        (
            '"the /16"',
            '"x"\nexpect.id_map = { rows = [[0, 0, 9], [5, 9, 9]], user_is = 0, '
            "copies_image = false }",
            ["second_1.expect.id_map: rows: 5 is mapped twice", "not in order"],
        ),
        (
            '"the /16"',
            '"x"\nexpect.id_map = { rows = [[0, 0, 9]], user_is = 9, copies_image = false }',
            ["second_1.expect.id_map: user_is: no row has 9"],
        ),
        (
            'env_file = "mailserver.env"\n',
            "",
            ["variants.second_1.env: there is no `env_file`", "name one, or place a file"],
        ),
        # Launchers and what they need.
        ('"quadlet"', '"quadlett"', ["launcher: ", "'podman_compose'", "not 'quadlett'"]),
        ('unit = "dms"\n', "", ["unit: is missing; the launcher quadlet needs one"]),
        ('"quadlet"', '"compose"', ["place: has no compose.yaml, which the launcher compose runs"]),
        ('"pasta"', '"pasta:--ipv4-only"', ["network: ", "'slirp4netns'"]),
        # What a variant is there to show.
        ("env = {", 'checks = "matrixx"\nenv = {', ["second_1.checks: ", "not 'matrixx'"]),
        ("env = {", 'check = "ports"\nenv = {', ["second_1.check: ", "'checks' is one"]),
        ('"localhost"]', '"peers"]', ["'peers' is no vantage", "peer"]),
        ('"the /16"', '"x"\nexpect.bans = ["outsid"]', ["expect.bans: 'outsid' is no", "outside"]),
        # What its machine must have.
        (
            "env = {",
            "needs = { selinus = 'x' }\nenv = {",
            ["second_1.needs: no machine is asked for 'selinus'; 'selinux' is one"],
        ),
        ("env = {", "needs = { selinux = '(' }\nenv = {", ["second_1.needs: '(' is no regular"]),
        # What a variant's mail server goes through.
        ("env = {", 'checks = "life"\nenv = {', ["second_1: seen: is missing; checks = 'life'"]),
        ("env = {", 'events = ["reboot"]\nenv = {', ["events: happen only with checks = 'life'"]),
        ("env = {", f"seen = [{QUESTION}]\nenv = {{", ["seen: is looked at only with checks"]),
        ("env = {", 'events = ["rebot"]\nenv = {', ["has no step 'rebot'", "it has reboot"]),
        (
            "env = {",
            'events = ["reboot", "reboot"]\nenv = {',
            [
                "variants.second_1.events: 'reboot' is there twice",
                'events = { reboot = "reboot", reboot_later',
            ],
        ),
        (
            "env = {",
            'checks = "life"\nevents = { fall = { rnu = "true" } }\nenv = {',
            ["events.fall.Step.rnu: there is no such key; 'run' is one"],
        ),
        (
            "env = {",
            f'checks = "life"\nseen = [{QUESTION.replace("of", "off", 1)}]\nenv = {{',
            ["seen.0.off: there is no such key; 'of' is one"],
        ),
        (
            "env = {",
            f'checks = "life"\nseen = [{QUESTION.replace("run", "after", 1)}]\nenv = {{',
            ["seen.0: of: 'socket' is no look (mail server, container, ", "it needs `run`"],
        ),
        (
            "env = {",
            'checks = "life"\nseen = [{ of = "relay", is = "x", why = "x" }]\nenv = {',
            ["seen.0: after: is missing; 'relay' is looked at after an event"],
        ),
        (
            "env = {",
            f'checks = "life"\nseen = [{QUESTION.replace("is", AFTER_REBOOT, 1)}]\nenv = {{',
            ["seen.0.after: there is no event 'reboot'; there are: none"],
        ),
        (
            "env = {",
            f'checks = "life"\nseen = [{QUESTION.replace("OK", "(", 1)}]\nenv = {{',
            ["seen.0.is: '(' is no regular expression"],
        ),
        # What podman's ways are compared by.
        (
            "env = {",
            'checks = "throughput"\nenv = {',
            ["second_1: seen: is missing; checks = 'throughput'"],
        ),
        (
            "env = {",
            f'checks = "throughput"\nseen = [{COMPARISON.replace("bits", "bit", 1)}]\nenv = {{',
            ["'pasta against slirp4netns, bits in' is a comparison"],
        ),
        (
            "env = {",
            f'checks = "throughput"\nseen = [{QUESTION}]\nenv = {{',
            ["seen.0.of: 'socket' is not seen with checks = 'throughput'; one is 'pasta against"],
        ),
        (
            "env = {",
            f'checks = "life"\nseen = [{COMPARISON}]\nenv = {{',
            ["seen.0.of: 'pasta against slirp4netns, bits in' is not seen with checks = 'life'"],
        ),
        # Vantages that a peer adds.
        ("[place]", '[peers]\npeer = "n"\n[place]', ["peer_v4 must be said once, and is 0×"]),
        ("[place]", '[peers]\nfriend = "n"\n[place]', ["peers.friend: ", "'peer' or 'neighbour'"]),
        # What a tear-down leaves, and logins in clear.
        (
            "[place]",
            '[[remains]]\nwhat = "("\nwhy = "x"\n[place]',
            ["remains.0.what: '(' is no regular expression"],
        ),
        ("[place]", '[[remains]]\nwhat = "x"\n[place]', ["remains.0.why: is missing"]),
        (
            "[place]",
            '[[plain_login]]\nservice = "imaps"\nwhy = "x"\n[place]',
            ["plain_login.0.service: ", "not 'imaps'"],
        ),
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


LIVES = 'expect.why = "nobody"\nchecks = "life"\n'


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("seen = [{ of = 'queue', is = 'x', why = 'y' }]", ["seen.0: of: 'queue' is no look"]),
        ("seen = [{ of = 'container', is = 'x', why = 'y' }]", ["seen.0: after: is missing"]),
        (
            "seen = [{ of = 'container', run = 'true', is = 'x', why = 'y' }]",
            ["seen.0: of: 'container' is a look", "another name"],
        ),
        (
            "events = ['reboot']\n"
            "seen = [{ of = 'queued mail at last', after = 'reboot', is = 'x', why = 'y' }]",
            ["seen.0: after: 'queued mail at last' is looked at after the last event"],
        ),
        (
            "seen = [{ of = 'queued mail at last', is = 'x', why = 'y' }]",
            ["variants.first: seen.0: 'queued mail at last' needs `events`"],
        ),
    ],
)
def test_what_cannot_be_seen_of_a_life_is_a_mistake(
    tmp_path: Path, more: str, expected: list[str]
) -> None:
    said = said_of(tmp_path, 'expect.why = "nobody"', LIVES + more)
    for words in expected:
        assert words in said


def test_the_last_look_at_the_queue_has_no_event(tmp_path: Path) -> None:
    more = "events = ['reboot']\nseen = [{ of = 'queued mail at last', is = 'x', why = 'y' }]"
    text = GOOD.replace('expect.why = "nobody"', LIVES + more)
    (seen,) = load(folder(tmp_path, text))[0].settings.seen
    assert (seen.subject, str(seen)) == ("queued mail at last", "queued_mail_at_last")


def test_a_step_that_is_not_known_is_named_with_its_place_and_those_that_are(
    tmp_path: Path,
) -> None:
    (tmp_path / "steps.toml").write_text(
        '[open_ports]\nas = "root"\nwhy = "x"\nrun = "true"\n[linger]\nwhy = "y"\nrun = "z"\n'
    )
    steps = GOOD.replace("env = {", 'prepare = ["open_prots"]\nenv = {')
    said = refusal(folder(tmp_path, steps))
    assert "variants.second_1.prepare: " in said
    assert f"{tmp_path / 'steps.toml'} has no step 'open_prots'" in said
    assert "it has open_ports" in said


def test_steps_are_taken_by_name_and_a_variants_after_the_scenarios(tmp_path: Path) -> None:
    (tmp_path / "steps.toml").write_text(
        '[open_ports]\nas = "root"\nwhy = "x"\nrun = "open"\nundo = "close"\n'
        '[linger]\nas = "rootless"\nwhy = "y"\nrun = "stay"\n'
    )
    steps = GOOD.replace("env = {", 'prepare = ["open_ports", "linger"]\nenv = {')
    first, second = load(folder(tmp_path, steps))
    assert [step.run for step in first.prepare] == ["true"]
    assert [(step.run, step.undo, step.user) for step in second.prepare] == [
        ("true", None, "root"),
        ("open", "close", "root"),
        ("stay", None, "rootless"),
    ]


def test_a_wrong_step_is_named_by_where_it_is_used(tmp_path: Path) -> None:
    (tmp_path / "steps.toml").write_text('[linger]\nwhy = "y"\nrum = "z"\n')
    steps = GOOD.replace("env = {", 'prepare = ["linger"]\nenv = {')
    said = refusal(folder(tmp_path, steps))
    assert "variants.second_1.prepare.0.rum: there is no such key; 'run' is one" in said


LIFE = 'checks = "life"\nseen = [{ of = "relay", after = "again", is = "refused", why = "x" }]\n'


def test_events_are_a_list_of_names_or_a_table_that_names_them_anew(tmp_path: Path) -> None:
    (tmp_path / "steps.toml").write_text('[again]\nwhy = "y"\nrun = "stop"\nas = "operator"\n')
    cases = (
        ('["reboot", "again"]', {"reboot": "reboot", "again": "stop"}),
        ('{ first = "again", again = "reboot" }', {"first": "stop", "again": "reboot"}),
        ('{ again = { why = "z", run = "own" } }', {"again": "own"}),
    )
    for position, (events, expected) in enumerate(cases):
        text = GOOD.replace("env = {", f"{LIFE}events = {events}\nenv = {{")
        _, second = load(folder(tmp_path, text, f"scenario_{position}"))
        happening = second.settings.events
        seen = {
            name: each.run if isinstance(each, Step) else each for name, each in happening.items()
        }
        assert list(seen.items()) == list(expected.items())


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ('["again", "again"]', 'events = { again = "again", again_later = "again" }'),
        ('["agian"]', "variants.second_1.events: "),
        ('{ again = "agian" }', "has no step 'agian'"),
        ('{ again = "rebot" }', "it has reboot"),
        ('["reboot"]', "there is no event 'again'; there are: reboot"),
    ],
)
def test_a_wrong_event_is_named_with_what_would_be_right(
    tmp_path: Path, events: str, expected: str
) -> None:
    (tmp_path / "steps.toml").write_text('[again]\nwhy = "y"\nrun = "stop"\n')
    text = GOOD.replace("env = {", f"{LIFE}events = {events}\nenv = {{")
    assert expected in refusal(folder(tmp_path, text))


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
    # A copy of a folder, beside the steps that it names, is another scenario.
    shutil.copy(own / STEPS, tmp_path)
    shutil.copytree(scenarios[0].folder, tmp_path / "copy")
    assert load(tmp_path / "copy")[0].id.startswith("copy-")


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


def test_the_verbatim_scenario_has_the_guides_own_file() -> None:
    # The example of docs/content/config/advanced/podman.md, section "Rootless Quadlet".
    file = Path(__file__).parents[2] / "scenarios/rootless_guide_verbatim/dms.container"
    assert hashlib.sha256(file.read_bytes()).hexdigest() == (
        "444ad5a150a3c0c556c3bbb716efc85b77abc4b5b06f4f8f9cde7672ab72b043"
    )


def test_root_cannot_log_out(tmp_path: Path) -> None:
    life = f'checks = "life"\nevents = {{ away = "logout" }}\nseen = [{QUESTION}]\n'
    text = GOOD.replace("env = {", life + "env = {")
    assert len(load(folder(tmp_path, text, "rootless"))) == 2
    said = refusal(folder(tmp_path, text.replace('user = "rootless"', 'user = "root"'), "rootful"))
    assert "variants.second_1.events: root, by whom the harness looks, cannot log out" in said


def test_events_are_steps_by_name_and_seen_rows_have_names_that_k_selects(tmp_path: Path) -> None:
    (tmp_path / "steps.toml").write_text(
        '[kill_it]\nas = "operator"\nwhy = "x"\nrun = "kill $CONTAINER"\n'
    )
    life = f'checks = "life"\nevents = ["reboot", "kill_it"]\nseen = [{QUESTION}, {ANSWERS}]\n'
    _, second = load(folder(tmp_path, GOOD.replace("env = {", life + "env = {")))
    reboot, kill = second.settings.events.items()
    assert reboot == ("reboot", "reboot")
    assert (kill[0], getattr(kill[1], "run", ""), getattr(kill[1], "user", "")) == (
        "kill_it",
        "kill $CONTAINER",
        "operator",
    )
    assert [str(seen) for seen in second.settings.seen] == ["socket", "mail_server_after_kill_it"]
    assert second.settings.seen[1].subject == "mail server after kill it"


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
