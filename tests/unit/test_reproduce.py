"""What is inferred from a report, what stands for what, and what an answer is."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
import zstandard

from harness import cli
from harness.errors import MachineError
from harness.observations import Observation
from harness.reproduce.bundle import checked, write_bundle
from harness.reproduce.claim import FORMS, Claim, parse_claim
from harness.reproduce.engine import Asked, Plan, plan
from harness.reproduce.intake import ReportError
from harness.reproduce.notes import Notes
from harness.reproduce.podman_info import compare, read_info
from harness.reproduce.recognise import recognised
from harness.reproduce.scrub import Scrubber
from harness.reproduce.summary import Result, as_markdown
from harness.reproduce.verdict import Held, Outcome, answer, hold
from harness.scenario_file import load

SAMPLES = Path(__file__).parent / "samples"
SCENARIOS = Path(__file__).parents[2] / "scenarios"
ORIGINALS = (
    *("acme-widgets", "jane", "Tr0ub4dor", "cheap-pills", "jdoe", "Zm9yLXRlc3Rz", "vps-31337"),
    *("blumen-krause", "fisch-handel", "g3heim", "postausgang", "vereinsheim", "51.15.44.9"),
    "kleine-firma",
)


def planned(sample: str, **asked: object) -> Plan:
    return plan(SAMPLES / sample, Asked(SCENARIOS, **asked))  # type: ignore[arg-type]


# What is inferred


@pytest.mark.parametrize(
    ("sample", "launcher", "user", "network", "near", "ports", "claims"),
    [
        (
            "compose_open_relay",
            "compose",
            "rootless",
            "bridge",
            "rootless_compose",
            {"smtp": 10025, "submission": 10587, "imaps": 10993},
            ["client address outside_v4 = container", "relays from outside_v4"],
        ),
        (
            "quadlet_bridge",
            "quadlet",
            "rootless",
            "bridge",
            "rootless_bridge_quadlet",
            {"smtp": 25, "imaps": 993, "submission": 587},
            ["client address outside_v4 = container", "does not relay from outside_v4"],
        ),
        (
            "quadlet_pasta_eth0",
            "quadlet",
            "rootless",
            "pasta",
            "rootless_pasta_default_quadlet",
            {"smtp": 25, "imaps": 993, "submission": 587},
            ['does not come up: Device "eth0" does not exist'],
        ),
        (
            "old_podman_run",
            "run",
            "rootless",
            "slirp4netns",
            "rootless_slirp4netns_rootlessport",
            {"smtp": 25, "submission": 587, "imaps": 993},
            [],
        ),
        (
            "podman_compose_slirp",
            "podman_compose",
            "rootless",
            "slirp4netns",
            "rootless_podman_compose_slirp4netns",
            {"smtp": 25, "imap": 143, "submissions": 465},
            ["port 465 from outside refused"],
        ),
        (
            "pasted",
            "compose",
            "root",
            "bridge",
            "rootful_compose",
            {"smtp": 25, "imaps": 993},
            ["client address outside_v4 = gateway"],
        ),
    ],
)
def test_a_realistic_report_is_understood(
    tmp_path: Path,
    sample: str,
    launcher: str,
    user: str,
    network: str,
    near: str,
    ports: dict[str, int],
    claims: list[str],
) -> None:
    made = planned(sample)
    (scenario,) = load(made.write(tmp_path))
    table = scenario.table
    assert (table.launcher, table.user, table.network) == (launcher, user, network)
    assert dict(table.publish) == ports
    assert made.nearest == near
    assert [str(claim) for claim in made.claims] == claims
    assert table.hostname == "mail.example.com"
    for place, file in scenario.place.items():
        assert scenario.files(place), f"{place} → {file} has nothing in it"


@pytest.mark.parametrize("sample", sorted(path.name for path in SAMPLES.iterdir()))
def test_nothing_of_the_reporters_is_in_what_is_deployed_or_sent(sample: str) -> None:
    made = planned(sample)
    texts = [*made.files.values(), *made.sent().values(), str(made.table)]
    texts += [as_markdown(Result("not comparable", "", made.notes), made.scrub)]
    for original in ORIGINALS:
        assert not [text for text in texts if original in text], original


@pytest.mark.parametrize("sample", sorted(path.name for path in SAMPLES.iterdir()))
def test_what_was_sent_on_is_the_same_report(tmp_path: Path, sample: str) -> None:
    made = planned(sample)
    for name, text in made.sent().items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    again = plan(tmp_path, Asked(SCENARIOS))
    assert again.table | {"title": ""} == made.table | {"title": ""}
    assert again.files == made.files
    assert again.claims == made.claims or [*map(str, again.claims)] == [*map(str, made.claims)]


def test_a_bundle_is_a_report(tmp_path: Path) -> None:
    made = planned("compose_open_relay")
    members = {f"report/{name}": text for name, text in made.sent().items()}
    members |= {
        "reproduction.md": "x",
        "scenario/compose.yaml": "services: {}",
        "x.sh": "podman run",
    }
    path = tmp_path / "reproduction.tar.zst"
    write_bundle(path, members)
    again = plan(path, Asked(SCENARIOS))
    assert again.files == made.files
    first = path.read_bytes()
    write_bundle(path, dict(reversed(members.items())))
    assert path.read_bytes() == first
    plain = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(first)).read()
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        assert {(each.uid, each.gid, each.mtime) for each in archive} == {(0, 0, 0)}


def test_a_member_with_an_original_is_left_out_of_the_bundle() -> None:
    scrub = Scrubber()
    scrub.site("mail.victim.de", "victim.de")
    scrub.secret("hunter2-hunter2")
    scrub.address("51.15.44.9")
    members = {
        "clean": "mail.example.com, victim.den, 51.15.44.90",
        "name": "a log of VICTIM.de",
        "secret": "xhunter2-hunter2x",
        "address": "from [51.15.44.9]",
        "logs/victim.de.txt": "",
    }
    clean, dirty = checked(members, scrub)
    assert list(clean) == ["clean"]
    assert "a domain" in dirty["name"]
    assert "a secret" in dirty["secret"]
    assert "an address" in dirty["address"]


@pytest.mark.parametrize(
    ("name", "is_secret"),
    [
        ("RELAY_PASSWORD", True),
        ("LDAP_BIND_PW", True),
        ("SASL_PASSWD", True),
        ("RSPAMD_API_TOKEN", True),
        ("POSTFIX_SASL_SECRET", True),
        ("DMS_LICENSE_KEY", True),
        ("ENABLE_FAIL2BAN", False),
        ("SSL_KEY_PATH", False),
    ],
)
def test_a_secret_in_the_environment_is_replaced(
    tmp_path: Path, name: str, is_secret: bool
) -> None:
    shutil.copytree(SAMPLES / "old_podman_run", tmp_path, dirs_exist_ok=True)
    with (tmp_path / "mailserver.env").open("a") as file:
        file.write(f"{name}=of-the-reporter-'s\n" if is_secret else f"{name}=of-the-reporter\n")
    made = plan(tmp_path, Asked(SCENARIOS))
    everything = "".join([*made.files.values(), *made.sent().values()])
    assert ("of-the-reporter" in everything) is not is_secret
    assert f"{name}=" in made.files["mailserver.env"]


def test_the_same_name_has_the_same_substitute_everywhere() -> None:
    scrub = Scrubber()
    scrub.site("mail.victim.de", "victim.de")
    text = scrub.text("to=<a@victim.de>, helo=<mx.victim.de>, MX.Victim.DE, from=<b@other.org>")
    assert text.count("host2.example.com") == 2
    assert "example.net" in text
    assert scrub.text("b@other.org and a@victim.de").split()[0] in text
    assert not scrub.left_in([text])


@pytest.mark.parametrize(
    "address", ["10.89.0.2", "192.168.1.4", "127.0.0.1", "203.0.113.51", "fe80::1", "::1"]
)
def test_an_address_that_is_nobodys_stays(address: str) -> None:
    assert Scrubber().text(f"connect from [{address}]") == f"connect from [{address}]"


@pytest.mark.parametrize("address", ["51.15.44.9", "2a01:4f8:1c1c::25"])
def test_a_public_address_does_not_stay(address: str) -> None:
    assert address not in Scrubber().text(f"connect from x[{address}]:25, {address}.")


@pytest.mark.parametrize(
    "text",
    [
        "relay_password = hunter2hunter2",
        '"token": "hunter2hunter2"',
        "AUTH PLAIN hunter2hunter2",
        "a@example.com|{SHA512-CRYPT}$6$hunter2$hunter2hunter2",
        "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----\nhunter2 and cut off",
    ],
)
def test_a_secret_in_free_text_is_replaced(text: str) -> None:
    assert "hunter2" not in Scrubber().text(text)


# podman info


def test_podman_info_as_json_and_version_alone() -> None:
    text = (
        '{"host": {"security": {"rootless": false}}, "version": {"Version": "5.2.1"}, "store": {}}'
    )
    host = read_info(text, "info.json", Notes())
    assert (host.rootless, host.podman) == (False, (5, 2))
    assert read_info("podman version 4.3.1\n", "x", Notes()).podman == (4, 3)


@pytest.mark.parametrize(
    ("theirs", "said"),
    [("12", "debian 13 here; --distro debian-12 is it"), ("9", "debian 13 here"), ("13", "")],
)
def test_a_generation_that_machines_can_be_is_named(theirs: str, said: str) -> None:
    text = f"host: {{distribution: {{distribution: debian, version: '{theirs}'}}}}\nstore: {{}}\n"
    notes = Notes()
    compare(read_info(text, "info.yaml", notes), {"distribution": "debian 13"}, notes)
    assert [note.why for note in notes.of("unmatched")] == ([said] if said else [])


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ("podman version 4.9.3", "--network slirp4netns"),
        ("podman version 5.4.2", ""),
        ("host: {rootlessNetworkCmd: slirp4netns}\nversion: {Version: 5.4.2}\n", "--network slirp"),
    ],
)
def test_the_default_network_is_that_of_the_reporters_podman(
    tmp_path: Path, info: str, expected: str
) -> None:
    (tmp_path / "start.sh").write_text("podman run -p 25:25 -h mail.x.example docker-mailserver\n")
    (tmp_path / "info.txt").write_text(info)
    command = plan(tmp_path, Asked(SCENARIOS)).files["podman-run.sh"]
    assert (expected in command) if expected else ("--network" not in command)


# Claims


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_claim_is_one_and_says_itself(form: str) -> None:
    assert str(parse_claim(form)) == form


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("relay from outside", "relays from outside"),
        ("relays from mars", "no vantage"),
        ("port 25 from outside explodes", "answers"),
        ("client address outside = nowhere", "an address"),
        ("login pop3 works", "imaps"),
        ("", "such as"),
    ],
)
def test_a_claim_that_is_none_says_what_would_be(text: str, near: str) -> None:
    with pytest.raises(ReportError) as raised:
        parse_claim(text)
    assert near in str(raised.value)


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        (
            "postfix/smtpd[1]: connect from unknown[10.89.0.2]",
            ["client address outside_v4 = container"],
        ),
        (
            "postfix/smtpd[1]: connect from unknown[10.88.0.1]",
            ["client address outside_v4 = gateway"],
        ),
        ("postfix/smtpd[1]: connect from x.y.z[51.15.44.9]", []),
        (
            "postfix/smtpd[1]: connect from a[10.89.0.2]\n"
            "postfix/smtpd[1]: connect from b[10.89.0.7]",
            [],
        ),
        (
            "RCPT TO:<x@elsewhere.org>\n250 2.1.5 Ok\nDATA\n250 2.0.0 Ok: queued as 4F",
            ["relays from outside_v4"],
        ),
        ("RCPT TO:<x@mine.org>\n250 2.1.5 Ok\n250 2.0.0 Ok: queued as 4F", []),
        ("AUTH PLAIN xyz\nRCPT TO:<x@elsewhere.org>\n250 2.0.0 Ok: queued as 4F", []),
        (
            "RCPT TO:<x@elsewhere.org>\n554 5.7.1 <x@elsewhere.org>: Relay access denied",
            ["does not relay from outside_v4"],
        ),
        ("this is not an open relay", []),
        ("It is an open relay!", ["relays from outside_v4"]),
        ("telnet localhost 143\nConnection refused", ["port 143 from localhost refused"]),
        ("it does not work", []),
    ],
)
def test_plain_patterns_are_recognised_and_no_others(text: str, claims: list[str]) -> None:
    assert [str(each) for each in recognised(text, {"mine.org"}, "received")] == claims


# The answer

RELAYED = Observation("relay", "external-to-external", "relayed", "outside_lan_a_v4")
REFUSED = Observation(
    "relay", "external-to-external", "refused", "outside_lan_a_v4", evidence={"code": 554}
)
FLOWS = Observation("delivery", "outside to mailbox", "unchanged", "outside_lan_a_v4")
ADDRESS = Observation("client_address", "smtp", "10.89.0.2", "outside_lan_a_v4")
PORT = Observation("port", "993", "refused", "outside_lan_a_v4")
LOGIN = Observation("login", "imaps good password", "refused", "outside_lan_a_v4")


@pytest.mark.parametrize(
    ("claim", "seen", "holds"),
    [
        ("relays from outside", [RELAYED, FLOWS], True),
        ("relays from outside", [REFUSED, FLOWS], False),
        ("relays from outside", [REFUSED], None),
        ("relays from outside", [FLOWS], None),
        ("relays from localhost", [RELAYED, FLOWS], None),
        ("does not relay from outside", [RELAYED], False),
        ("does not relay from outside", [REFUSED, FLOWS], True),
        ("client address outside = container", [ADDRESS], True),
        ("client address outside = own", [ADDRESS], False),
        ("client address outside = 10.89.0.0/24", [ADDRESS], True),
        ("client address outside = gateway", [ADDRESS], False),
        ("client address outside = container", [], None),
        ("port 993 from outside refused", [PORT], True),
        ("port 993 from outside answers", [PORT], False),
        ("port 25 from outside answers", [PORT], None),
        ("login imaps fails", [LOGIN], True),
        ("login imaps works", [LOGIN], False),
        ("mail arrives", [FLOWS], True),
        ("mail does not arrive", [FLOWS], False),
        ("sending works", [], None),
        ("comes up", [], True),
        ("does not come up", [], False),
        ("log has: fatal: no mechanisms", [], True),
        ("log has: something else", [], False),
    ],
)
def test_a_claim_is_held_against_observations(
    claim: str, seen: list[Observation], holds: bool | None
) -> None:
    outcome = Outcome(
        seen,
        logs={"mail.log": "fatal: no mechanisms"},
        container=["10.89.0.2"],
        gateway=["10.89.0.1"],
    )
    assert hold(parse_claim(claim), outcome).seen is holds


@pytest.mark.parametrize(
    ("claim", "holds"),
    [
        ("does not come up", True),
        ("does not come up: eth0", True),
        ("does not come up: eth7", None),
        ("comes up", False),
        ("relays from outside", None),
    ],
)
def test_a_mail_server_that_does_not_come_up(claim: str, holds: bool | None) -> None:
    outcome = Outcome(failure='Device "eth0" does not exist')
    assert hold(parse_claim(claim), outcome).seen is holds


def _held(seen: bool | None, claim: Claim | None = None) -> Held:
    return Held(claim or Claim("delivery"), seen, "")


@pytest.mark.parametrize(
    ("held", "refused", "expected"),
    [
        ([_held(True), _held(True)], 0, "reproduced"),
        ([_held(True)], 3, "reproduced"),
        ([_held(True), _held(False)], 0, "not reproduced"),
        ([_held(False), _held(None)], 0, "not reproduced"),
        ([_held(False)], 1, "not comparable"),
        ([_held(True), _held(None)], 0, "not comparable"),
        ([], 0, "not comparable"),
        ([_held(True, Claim("start", yes=False))], 1, "not comparable"),
        ([_held(True, Claim("start", yes=False, is_="eth0"))], 1, "reproduced"),
    ],
)
def test_the_answer(held: list[Held], refused: int, expected: str) -> None:
    assert answer(held, refused)[0] == expected


# What is said


def test_a_reporter_cannot_write_into_the_summary() -> None:
    notes = Notes()
    notes.add("refused", "x](http://evil.example) <img src=x> `a` | @everyone\n# Heading")
    result = Result(
        "not comparable", "", notes, files={"compose.yaml": "```\n# out of the block\n"}
    )
    text = as_markdown(result, Scrubber())
    (line,) = [each for each in text.splitlines() if "evil" in each]
    assert line.startswith("- `x](http") and line.endswith("Heading`")  # noqa: PT018
    assert line.count("`") == 2
    assert "\n# Heading" not in text
    assert "\n````\n" in text


def test_a_claim_file_says_how_it_is_wrong(tmp_path: Path) -> None:
    shutil.copytree(SAMPLES / "quadlet_bridge", tmp_path, dirs_exist_ok=True)
    (tmp_path / "claim.toml").write_text('claim = ["comes up"]')
    with pytest.raises(ReportError, match="no such key: 'claim'"):
        plan(tmp_path, Asked(SCENARIOS))


def test_toml_that_is_written_is_read_as_it_was() -> None:
    made = planned("compose_open_relay")
    from harness.reproduce.write import as_toml

    assert tomllib.loads(as_toml(made.table)) == made.table


def test_long_ports_ranges_and_addresses(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(
        "services: {mailserver: {image: docker-mailserver, hostname: mail.x.example, ports: ["
        "'51.15.44.9:25:25', '127.0.0.1:10143:143', '992-993:992-993', '587:587/udp', '465'"
        ", {target: 587, published: 587, host_ip: '::1'}]}}"
    )
    made = plan(tmp_path, Asked(SCENARIOS))
    service = yaml.safe_load(made.files["compose.yaml"])["services"]["mailserver"]
    assert service["ports"] == [
        "203.0.113.10:25:25",
        "127.0.0.1:10143:143",
        "992:992",
        "993:993",
        "465",
        "[::1]:587:587",
    ]


def test_nothing_to_deploy_is_said(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("It does not work.\n")
    made = plan(tmp_path, Asked(SCENARIOS))
    assert "send compose.yaml" in str(made.notes.obstacles[0])


# What is told where the machine failed


def test_a_machine_that_fails_is_told_to_programs_as_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(*_: object) -> Outcome:
        raise MachineError("m1 does not answer any more")

    monkeypatch.setattr("harness.reproduce.deploy.deploy", failing)
    monkeypatch.setattr(
        "harness.machines.choice.choose_machine", lambda _: SimpleNamespace(kind="nspawn")
    )
    monkeypatch.setattr(
        "harness.mailserver.choose.choose", lambda _: SimpleNamespace(label="an image")
    )
    words = ["reproduce", str(SAMPLES / "compose_open_relay"), f"--runs={tmp_path}"]
    words += [f"--scenarios={SCENARIOS}"]
    assert cli.main([*words, "--json"]) == 2
    shown = capsys.readouterr()
    said = json.loads(shown.out)
    assert said["answer"] == "not comparable"
    assert said["infrastructure"] == ["MachineError: m1 does not answer any more"]
    assert "m1 does not answer any more" in shown.err
    assert cli.main(words) == 2
    assert capsys.readouterr().out == ""
