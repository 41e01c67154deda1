"""Deployments that are broken on purpose: the right checks fail, and nothing else does.

Every folder of `faults/` is a scenario with one thing wrong. All are deployed in one run of the
tests that users run, which takes a minute; the tests here judge its outcome. To look at one:

    pytest tests/deployments --scenarios tests/integration/faults -k NAME
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness.addresses import vantage_names
from harness.errors import ScenarioError
from harness.scenario import Scenario
from harness.scenario_file import load, load_all

ROOT = Path(__file__).parents[2]
FAULTS = Path(__file__).with_name("faults")
BASE = ROOT / "scenarios" / "rootless_pasta_quadlet"
WITHIN = 600.0
"""Seconds for the run. It takes a tenth of that where the machine's image is built already."""
LONG_ENOUGH = 40
"""Bytes: what could not be had says at least so much about the reason."""

EVERYWHERE = vantage_names()
OUTSIDE = [vantage for vantage in EVERYWHERE if vantage.startswith("outside")]
LAN = ["outside_lan_a_v4", "outside_lan_a_v6"]
TLS_CLIENTS = [*LAN, "localhost_v4", "localhost_v6"]
LOGIN_CLIENTS = ["outside_lan_a_v4", "localhost_v4"]
LATECOMERS = [vantage for vantage in EVERYWHERE if vantage not in LOGIN_CLIENTS]
SERVICES = ["smtp", "imap", "submissions", "submission", "imaps"]
LOGINS = ["submission", "submissions", "imap", "imaps"]


def cases(name: str, *parameters: Iterable[str]) -> set[str]:
    """A test function's tests for every combination of parameters, as the report names them."""
    return {f"{name}[{'-'.join(words)}]" if words else name for words in product(*parameters)}


# Where mail does not flow, a refused relay attempt proves nothing: these fail, and say so.
NOTHING_PROVED = {
    *cases("test_mail_flows_so_that_a_refusal_means_something"),
    *cases("test_no_strangers_mail_is_relayed", EVERYWHERE),
}

FAILS: Mapping[str, set[str]] = {
    # Everything else of it is an error, since it cannot be tried.
    "container_never_ready": cases("test_mail_server_comes_up"),
    # Every 5xx of Postfix is a 4xx, that of a login included; Dovecot's own refusals stay.
    "deferring": {
        *cases("test_bad_password_is_refused", LOGIN_CLIENTS, ["submission", "submissions"]),
        *cases("test_mail_to_unknown_mailbox_is_refused"),
        *cases("test_no_strangers_mail_is_relayed", EVERYWHERE),
    },
    "dovecot_stopped": {
        # 143 and 993 are Dovecot's. On 465 Postfix asks it for the login methods before it
        # greets, on 587 after STARTTLS, and gives up; 25 knows no logins.
        *cases("test_published_port_answers", EVERYWHERE, ["imap", "imaps", "submissions"]),
        *cases("test_certificate_is_the_operators", TLS_CLIENTS, LOGINS),
        *cases("test_good_password_is_accepted", LOGIN_CLIENTS, LOGINS),
        *cases("test_bad_password_is_refused", LOGIN_CLIENTS, LOGINS),
        *cases("test_logged_client_address", EVERYWHERE, ["submission", "imaps"]),
        # A process of Postfix's that gave up makes its service pause: 587 is silent for a minute,
        # for all who come after those who log in.
        *cases("test_published_port_answers", LATECOMERS, ["submission"]),
        *cases("test_password_in_plain_text_is_refused", ["submission", "imap"]),
        # Dovecot answers for quotas, so every recipient is put off with 451, unknown ones too.
        *cases("test_mail_from_outside_is_delivered_unchanged", LAN),
        *cases("test_mail_to_other_name_of_mailbox_is_delivered_unchanged", ["alias", "user+tag"]),
        *cases("test_mail_to_unknown_mailbox_is_refused"),
        *cases("test_submitted_mail_reaches_a_mailbox_unchanged", ["submission", "submissions"]),
        *cases(
            "test_submitted_mail_reaches_the_outside_exchanger_unchanged",
            ["submission", "submissions"],
        ),
        *NOTHING_PROVED,
    },
    # mynetworks is about relaying alone: logins, ports and addresses are as ever.
    "mynetworks_everybody": cases("test_no_strangers_mail_is_relayed", EVERYWHERE),
    # The machine's own connections do not pass the zone's rules.
    "port_dropped_in_firewall": {
        *cases("test_published_port_answers", OUTSIDE, ["imaps"]),
        *cases("test_certificate_is_the_operators", LAN, ["imaps"]),
        *cases("test_good_password_is_accepted", ["outside_lan_a_v4"], ["imaps"]),
        *cases("test_bad_password_is_refused", ["outside_lan_a_v4"], ["imaps"]),
        *cases("test_logged_client_address", OUTSIDE, ["imaps"]),
    },
    # Mail comes in and is delivered; what goes out stays in the queue.
    "sink_down": {
        *cases(
            "test_submitted_mail_reaches_the_outside_exchanger_unchanged",
            ["submission", "submissions"],
        ),
        *NOTHING_PROVED,
    },
    "wrong_certificate_authority": cases(
        "test_certificate_is_the_operators", TLS_CLIENTS, SERVICES
    ),
    "wrong_certificate_name": cases("test_certificate_is_the_operators", TLS_CLIENTS, SERVICES),
    "wrong_expectation": {
        *cases("test_expected_open_relay_is_seen", ["outside_far_v4"]),
        *cases("test_logged_client_address", ["localhost_v4"], ["smtp", "submission", "imaps"]),
    },
}

# What may fail or not: whether those who log in are greeted on 587 before the first of them has
# got as far as to make Postfix give up.
EITHER: Mapping[str, set[str]] = {
    "dovecot_stopped": cases("test_published_port_answers", LOGIN_CLIENTS, ["submission"]),
}

# Fault, a test of it, and what its message must have.
SAYS = [
    ("container_never_ready", "test_mail_server_comes_up", ['Device "eth0" does not exist']),
    ("container_never_ready", "test_mail_server_comes_up", ["restarted", "evidence: "]),
    (
        "container_never_ready",
        "test_good_password_is_accepted[localhost_v4-imaps]",
        ["the mail server did not come up: see test_mail_server_comes_up"],
    ),
    (
        "deferring",
        "test_no_strangers_mail_is_relayed[self_v4]",
        ["external-to-external from self_v4: deferred", "code=454", "Inconclusive: not a refusal"],
    ),
    (
        "deferring",
        "test_bad_password_is_refused[localhost_v4-submission]",
        ["deferred (reply='435 ", "Inconclusive: no refusal for good was seen"],
    ),
    (
        "dovecot_stopped",
        "test_published_port_answers[localhost_v6-imaps]",
        ["port 993 from localhost_v6: closed without a word"],
    ),
    (
        "dovecot_stopped",
        "test_mail_from_outside_is_delivered_unchanged[outside_lan_a_v6]",
        ["deferred (", "451 4.3.5", "Mail is held back"],
    ),
    (
        "dovecot_stopped",
        "test_submitted_mail_reaches_a_mailbox_unchanged[submission]",
        ["delivery submission to mailbox from outside_lan_a_v4: connection lost", "Inconclusive"],
    ),
    (
        "dovecot_stopped",
        "test_password_in_plain_text_is_refused[imap]",
        ["no answer", "Inconclusive: the server was not seen to refuse it"],
    ),
    (
        "dovecot_stopped",
        "test_certificate_is_the_operators[localhost_v4-imaps]",
        ["no answer", "Inconclusive: the certificate itself was not seen"],
    ),
    (
        "mynetworks_everybody",
        "test_no_strangers_mail_is_relayed[outside_far_v6]",
        [
            "An open relay: these messages arrived outside",
            "relay external-to-external from outside_far_v6: relayed",
            "client='2001:db8:ffff::7'",
            "sink_client='",
            "status=sent",
        ],
    ),
    (
        "port_dropped_in_firewall",
        "test_published_port_answers[outside_far_v4-imaps]",
        ["port 993 from outside_far_v4: unreachable", "No route to host"],
    ),
    (
        "sink_down",
        "test_submitted_mail_reaches_the_outside_exchanger_unchanged[submissions]",
        ["accepted, not arrived", "250 2.0.0 Ok: queued as", "status=deferred (connect to mx"],
    ),
    (
        "sink_down",
        "test_no_strangers_mail_is_relayed[outside_lan_b_v4]",
        ["expected: mail that a logged-in user submits arrives outside", "accepted, not arrived"],
    ),
    (
        "wrong_certificate_authority",
        "test_certificate_is_the_operators[outside_lan_a_v4-smtp]",
        ["certificate not verified", "self-signed certificate"],
    ),
    (
        "wrong_certificate_name",
        "test_certificate_is_the_operators[localhost_v6-imaps]",
        ["certificate not verified", "Hostname mismatch", "not valid for 'mail.example.com'"],
    ),
    (
        "wrong_expectation",
        "test_expected_open_relay_is_seen[outside_far_v4]",
        ["the expected hole", "refused", "code=554", "documents a hole that was not seen"],
    ),
    (
        "wrong_expectation",
        "test_logged_client_address[localhost_v4-imaps]",
        [
            "is in 127.0.0.1/32",
            "client_address imaps from localhost_v4: 203.0.113.10",
            "why it was expected: a wrong reason for a wrong address",
        ],
    ),
]

# What the summary says of who can relay, where that is not `nowhere`.
RELAYS = {
    "container_never_ready": "did not come up",
    "deferring": "inconclusive from 10",
    "dovecot_stopped": "inconclusive: no mail flows",
    "mynetworks_everybody": "outside, inside",
    "sink_down": "inconclusive: no mail flows",
}

# Fault, a file of its evidence, and what that shows.
SHOWS = [
    ("container_never_ready", "journal.txt", r'Device "eth0" does not exist'),
    ("deferring", "postconf.txt", r"(?m)^soft_bounce = yes"),
    ("deferring", "mail.log", r"454 4\.7\.1 .*Relay access denied"),
    ("dovecot_stopped", "mail.log", r"submission/smtpd\[\d+\]: fatal: no SASL authentication"),
    ("mynetworks_everybody", "postconf.txt", r"(?m)^mynetworks = 0\.0\.0\.0/0 \[::\]/0$"),
    ("mynetworks_everybody", "mail.log", r"to=<other@outside\.example>, .*status=sent"),
    ("port_dropped_in_firewall", "nft-ruleset.txt", r"\A(?!(.|\n)*dport 993 )(.|\n)*dport 143 "),
    ("sink_down", "addresses.txt", r"unreachable 198\.51\.100\.25"),
    ("sink_down", "mail.log", r"to=<probe@outside\.example>, .*status=deferred"),
    ("wrong_certificate_name", "nft-ruleset.txt", r"dport 993 "),
]
NEEDED = [
    "addresses.txt",
    "console.txt",
    "container-addresses.txt",
    "journal.txt",
    "listening.txt",
    "mail.log",
    "nft-ruleset.txt",
    "podman-inspect.json",
    "podman-logs.txt",
    "postconf.txt",
    "processes.txt",
    "versions.txt",
]


@dataclass(frozen=True)
class Ran:
    """The outcome of the run over all faults.

    Attributes:
        outcomes: fault → its tests → `passed`, `failure`, `error` or `skipped`.
        told: (fault, test) → what was said of one that did not pass.
        nodes: the ids of all tests that failed, as pytest takes them.
        terminal: what the user saw.
        record: the run's folder.
    """

    outcomes: Mapping[str, Mapping[str, str]] = field(repr=False)
    told: Mapping[tuple[str, str], str] = field(repr=False)
    nodes: Collection[str] = field(repr=False)
    terminal: str = field(repr=False)
    record: Path

    def of(self, fault: str, *outcomes: str) -> set[str]:
        """The tests of a fault that had one of the outcomes."""
        return {test for test, seen in self.outcomes[fault].items() if seen in outcomes}


@pytest.fixture(scope="module")
def ran(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """One run of the deployments' tests over all faults."""
    folder = tmp_path_factory.mktemp("faults")
    report, terminal = folder / "report.xml", folder / "terminal.txt"
    with terminal.open("w") as out:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-c", "pyproject.toml", "tests/deployments"),
                *("-n0", "--tb=short", "-p", "no:cacheprovider", "-o", "junit_family=xunit2"),
                *("--scenarios", FAULTS, "--runs", folder / "runs", "--junitxml", report),
                *("--mailserver", request.config.getoption("--mailserver")),
                *("--machine", request.config.getoption("--machine")),
            ],
            cwd=ROOT,
            # What this run says to its own workers and plugins is not for that one.
            env={key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
            | {"COLUMNS": "160"},  # so that no line of the summary is broken
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            timeout=WITHIN,
            check=False,
        )
    said = terminal.read_text()
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, said[-4000:]
    return read_report(report, said, (folder / "runs" / "latest").resolve())


def read_report(report: Path, terminal: str, record: Path) -> Ran:
    outcomes: dict[str, dict[str, str]] = {}
    told: dict[tuple[str, str], str] = {}
    nodes: list[str] = []
    for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314 - our own report
        function, _, parameters = case.attrib["name"].partition("[")
        fault, _, *words = parameters.removesuffix("]").split("-")
        (test,) = cases(function, *([word] for word in words))
        seen = [each for each in case if each.tag in ("failure", "error", "skipped")]
        ours = outcomes.setdefault(fault, {})
        assert test not in ours, f"{fault}: two outcomes of {test}"
        assert len(seen) <= 1, f"{fault}: two outcomes of {test}"
        ours[test] = seen[0].tag if seen else "passed"
        if seen:
            told[fault, test] = seen[0].text or ""
            nodes.append(f"{case.attrib['classname'].replace('.', '/')}.py::{case.attrib['name']}")
    return Ran(outcomes, told, nodes, terminal, record)


def in_a_run(function: object) -> object:
    """Mark a test that needs the run."""
    needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="the keeper needs root")
    return pytest.mark.integration(needs_root(function))


@in_a_run
def test_every_fault_was_deployed_and_tried(ran: Ran) -> None:
    assert set(ran.outcomes) == set(FAILS) == {scenario.folder.name for scenario in faults()}
    sizes = {fault: len(tests) for fault, tests in ran.outcomes.items()}
    assert min(sizes.values()) > 150
    # All of them are the same tests, but for the one that expects a hole.
    assert len(set(sizes.values())) == 1


@in_a_run
@pytest.mark.parametrize("fault", FAILS)
def test_exactly_the_right_checks_fail(ran: Ran, fault: str) -> None:
    failed = ran.of(fault, "failure") - EITHER.get(fault, set())
    assert failed - FAILS[fault] == set(), "failed, and should not have"
    assert FAILS[fault] - failed == set(), "should have failed, and did not"
    either = ran.of(fault, "failure") & EITHER.get(fault, set())
    rest = set(ran.outcomes[fault]) - failed - either
    # An expectation that is not met is a failure; an error is for what could not be tried at all.
    assert ran.of(fault, "error" if fault == "container_never_ready" else "passed") == rest


@in_a_run
@pytest.mark.parametrize(
    ("fault", "test", "words"), SAYS, ids=[f"{fault}-{test}" for fault, test, _ in SAYS]
)
def test_message_says_what_is_wrong(ran: Ran, fault: str, test: str, words: list[str]) -> None:
    said = ran.told[fault, test]
    for each in words:
        assert each in said, f"{each!r} is not in:\n{said}"


@in_a_run
def test_open_relay_is_said_only_where_mail_arrived_outside(ran: Ran) -> None:
    relay = {key: said for key, said in ran.told.items() if "strangers_mail" in key[1]}
    opened = {key for key, said in relay.items() if "open relay" in said.lower()}
    proved = cases("test_no_strangers_mail_is_relayed", EVERYWHERE)
    assert opened == {("mynetworks_everybody", test) for test in proved}
    for (fault, test), said in relay.items():
        if (fault, test) not in opened and fault != "container_never_ready":
            assert "Inconclusive" in said, said


@in_a_run
@pytest.mark.parametrize("fault", FAILS)
def test_summary_tells_nowhere_only_where_it_was_shown(ran: Ran, fault: str) -> None:
    summary = ran.terminal.partition("generated xml file")[2]
    _, _, after = summary.partition(f"\n{fault}\n")
    (line, *_) = [line for line in after.splitlines() if line.startswith("  permit_unset")]
    assert RELAYS.get(fault, "nowhere (of 10)") in line


@in_a_run
@pytest.mark.parametrize("fault", FAILS)
def test_evidence_is_saved(ran: Ran, fault: str) -> None:
    (folder,) = ran.record.glob(f"{fault}-*")
    files = {file.name: file.stat().st_size for file in folder.iterdir()}
    assert "incomplete.txt" not in files
    assert set(NEEDED) <= set(files)
    if fault == "container_never_ready":  # what it needs a container for, it may or may not have
        files = {name: files[name] for name in ("console.txt", "journal.txt", "nft-ruleset.txt")}
    assert {name for name in files if files[name] < LONG_ENOUGH} == set()


@in_a_run
@pytest.mark.parametrize(
    ("fault", "file", "shown"), SHOWS, ids=[f"{fault}-{file}" for fault, file, _ in SHOWS]
)
def test_evidence_shows_the_fault(ran: Ran, fault: str, file: str, shown: str) -> None:
    (path,) = ran.record.glob(f"{fault}-*/{file}")
    assert re.search(shown, path.read_text()), f"{shown!r} is not in {file}"


@in_a_run
def test_terminal_names_every_test_that_did_not_pass(ran: Ran) -> None:
    assert len(ran.nodes) > 200
    words = set(ran.terminal.replace("'", " ").split())
    assert [node for node in ran.nodes if node not in words] == []


# How a fault's folder stands on a scenario's


def faults() -> list[Scenario]:
    return load_all(FAULTS)


def fault_folder(at: Path, text: str) -> Path:
    folder = at / "some_fault"
    folder.mkdir(parents=True)
    (folder / "scenario.toml").write_text(
        f'base = "{os.path.relpath(BASE, folder)}"\ntitle = "A fault"\n{text}'
    )
    return folder


def test_faults_are_their_base_but_for_what_they_say() -> None:
    (base, *_) = load(BASE)
    for fault in faults():
        assert fault.base is not None
        assert fault.base.samefile(BASE)
        assert fault.table.title != base.table.title
        assert fault.table.publish == base.table.publish
        assert list(fault.table.variants) == ["permit_unset"]
        assert fault.environment() == base.environment()


def test_base_gives_what_a_fault_has_not(tmp_path: Path) -> None:
    folder = fault_folder(tmp_path, '[variants.mine]\nexpect.why = "mine"\n')
    (folder / "config").mkdir()
    (folder / "config" / "postfix-virtual.cf").write_text("mine")
    (folder / "config" / "postfix-main.cf").write_text("mine too")
    (folder / "mailserver.env").write_text("A=1\n")
    (scenario,) = load(folder)
    assert scenario.id == "some_fault-mine"
    config = scenario.files("config")
    assert {name: file.is_relative_to(folder) for name, file in config.items()} == {
        "postfix-accounts.cf": False,
        "postfix-virtual.cf": True,
        "postfix-main.cf": True,
    }
    assert scenario.environment() == "A=1\n"
    assert scenario.files("dms.container")[""].samefile(BASE / "dms.container")
    assert scenario.files("nothing") == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('container = ""', "container: "),
        ("[place]\nnothing = '~/x'", "place names 'nothing'"),
        ('[[disturb]]\nas = "root"\nrun = "true"', "disturb.0.why: is missing"),
        ('[[disturb]]\nuser = "root"\nwhy = "x"\nrun = "true"', "disturb.0.user: there is no such"),
    ],
)
def test_mistake_of_a_fault_names_both_files(tmp_path: Path, text: str, said: str) -> None:
    folder = fault_folder(tmp_path, text)
    with pytest.raises(ScenarioError) as raised:
        load(folder)
    assert str(folder / "scenario.toml") in raised.value.message
    assert "rootless_pasta_quadlet/scenario.toml" in raised.value.message
    assert said in raised.value.message


@pytest.mark.parametrize(
    ("base", "said"),
    [
        ("nowhere", "nowhere/scenario.toml is missing"),
        ("some_fault", "base: the other has a base itself"),
        ("", "base: "),
    ],
)
def test_base_must_be_a_scenario_without_a_base(tmp_path: Path, base: str, said: str) -> None:
    fault_folder(tmp_path, "")
    folder = tmp_path / "another"
    folder.mkdir()
    text = f'base = "../{base}"\n' if base else 'base = ""\n'
    (folder / "scenario.toml").write_text(text + 'title = "x"\n')
    with pytest.raises(ScenarioError, match=said) as raised:
        load(folder)
    assert raised.value.hint
