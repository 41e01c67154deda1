"""A mistake in a scenario file is named with its place and its remedy, and all are at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from scenario_support import GOOD, QUESTION, folder, refusal, said_of

COMPARISON = '{ of = "pasta against slirp4netns, bits in", is = "faster", why = "x" }'
AFTER_REBOOT = "after = 'reboot', is"


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
