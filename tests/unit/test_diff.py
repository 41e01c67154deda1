"""What counts as a change between two runs, what does not, and what is told as one change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from diff_support import PLAIN, both, difference, record, refuse, relay, told

from harness.cli import main
from harness.observations import Observations
from harness.report.diff_meaning import Group
from harness.report.diff_rows import by_folder, rows

OTHER_FORM = "internal-to-external"


def test_clear_answer_after_an_error_is_told_as_such(tmp_path: Path) -> None:
    both(tmp_path, "ban", "smtp", "error", "kept out")
    assert told(tmp_path) == [(Group.CLEAR, "smtp", "error", "kept out")]


@pytest.mark.parametrize(
    ("kind", "was", "now", "group"),
    [
        ("client_address", "203.0.113.51", "10.89.0.2", Group.ADDRESS),
        ("port", "answers", "refused", Group.PORTS),
        ("plaintext auth", "refused", "accepted", Group.LOGINS),
        ("login", "accepted", "refused", Group.LOGINS),
        ("delivery", "unchanged", "changed", Group.MAIL),
        ("ban", "kept out", "let in", Group.BANS),
        ("life", "answers", "does not answer", Group.LIFE),
        ("mail server", "empty", "10.89.0.0/24", Group.NETWORK),
        ("something new", "this", "that", Group.OTHER),
    ],
)
def test_each_sort_has_its_group(
    tmp_path: Path, kind: str, was: str, now: str, group: Group
) -> None:
    both(tmp_path, kind, "subject", was, now)
    assert told(tmp_path) == [(group, "subject", was, now)]


@pytest.mark.parametrize(
    ("kind", "was", "now", "evidence"),
    [
        ("client_address", "fe80::88f6:82ff:fe8c:181d%e", "fe80::f03e:4aff:febd:d975%e", {}),
        ("forwarder", "pasta.avx2", "pasta", {}),
        ("mail server", "[fe80::1]/64 10.89.0.2/32", "10.89.0.2/32 [fe80::1]/64", {}),
        ("seconds", "6.1", "9.7", {}),
        ("first contact", "0.2", "6.0", {}),
        ("throughput", "10000", "2000", {}),
        ("bad logins", "9", "7", {"a": {"accepted": 0}, "b": {"accepted": 0}}),
        ("storage", "1000", "2000", {"a": {"image": 10**9}, "b": {"image": 10**9}}),
        ("life", f"Error: container {'a' * 64} exited", f"Error: container {'b' * 64} exited", {}),
    ],
)
def test_noise_is_no_change(
    tmp_path: Path, kind: str, was: str, now: str, evidence: dict[str, Any]
) -> None:
    both(tmp_path, kind, "mynetworks", was, now, **evidence)
    assert told(tmp_path) == []


@pytest.mark.parametrize(
    ("kind", "was", "now", "evidence"),
    [
        ("bad logins", "9", "8", {"a": {"accepted": 0}, "b": {"accepted": 1}}),
        ("storage", "1000", "900000000", {"a": {"image": 10**9}, "b": {"image": 10**9}}),
        ("tls", "verified", "verified", {"a": {"version": "TLSv1.3"}, "b": {"version": "TLSv1"}}),
        (
            "fail2ban",
            "1.2.3.4",
            "1.2.3.4",
            {"a": {"in_force": ["1.2.3.4"]}, "b": {"in_force": []}},
        ),
        (
            "way out",
            "smart host",
            "smart host",
            {"a": {"login": "u", "encrypted": True}, "b": {"login": "u", "encrypted": False}},
        ),
        (
            "left on machine",
            "1",
            "1",
            {"a": {"things": ["units: a"]}, "b": {"things": ["units: b"]}},
        ),
        ("unknown recipient", "refused", "refused", {"a": {"code": 550}, "b": {"code": 554}}),
        (
            "delivery",
            "changed",
            "changed",
            {"a": {"differences": ["body changed at byte 3 (…)"]}, "b": {"differences": []}},
        ),
    ],
)
def test_evidence_that_means_something_is_a_change(
    tmp_path: Path, kind: str, was: str, now: str, evidence: dict[str, Any]
) -> None:
    both(tmp_path, kind, "subject", was, now, **evidence)
    assert len(told(tmp_path)) == 1


def test_scenarios_of_one_run_are_no_changes(tmp_path: Path) -> None:
    for side, other in (("a", "pasta-host"), ("b", "compose-unset")):
        refuse(record(tmp_path / side), "outside_far_v4")
        relay(record(tmp_path / side, other), "outside_far_v4")
    found = difference(tmp_path)
    assert not found.changes
    assert (list(found.only_a), list(found.only_b)) == (["pasta-host"], ["compose-unset"])


def test_what_is_not_observed_any_more_is_inconclusive(tmp_path: Path) -> None:
    refuse(record(tmp_path / "a"), "outside_far_v4")
    record(tmp_path / "b")
    assert told(tmp_path) == [(Group.UNCLEAR, PLAIN, "refused with 554 5.7.1", "not observed")]


def test_what_is_looked_at_newly_is_listed_and_no_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(tmp_path / "a")
    refuse(record(tmp_path / "b"), "outside_far_v4")
    found = difference(tmp_path)
    assert list(found.changes) == []
    assert [(each.subject, each.after) for each in found.new] == [(PLAIN, "refused with 554 5.7.1")]
    assert main(["diff", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    said = capsys.readouterr().out
    assert "1 thing observed in B only, no change by itself" in said
    assert f"relay form {PLAIN}, in pasta-unset: refused with 554 5.7.1" in said


def test_only_that_it_did_not_come_up_is_told(tmp_path: Path) -> None:
    relay(record(tmp_path / "a"), "outside_far_v4")
    (tmp_path / "b").mkdir()
    seen = Observations("pasta-unset", tmp_path / "b" / "observations.jsonl")
    seen.record("deployment", "start", "failed", why="the launcher does not start it\nmore")
    (change,) = (found := difference(tmp_path)).changes
    assert (change.group, change.before) == (Group.START, "came up")
    assert change.after == "failed: the launcher does not start it"
    assert found.follow == 3


@pytest.mark.parametrize(
    ("now", "changes"),
    [
        ("pasta: Failed to bind port 25 (Permission denied) for option '-t 25'", 0),
        ("dms: Error: statfs /home/mailop/certs: no such file or directory", 1),
    ],
)
def test_another_reason_not_to_come_up_is_a_change(tmp_path: Path, now: str, changes: int) -> None:
    was = "dms: Failed to bind port 25 (Permission denied) for option '-t 25'"
    for side, why in (("a", was), ("b", now)):
        folder = tmp_path / side
        folder.mkdir()
        seen = Observations("verbatim-ports", folder / "observations.jsonl")
        head = f"m{1 if side == 'a' else 17}: as mailop: failed with status 1:"
        # Whether what failed was just being started again is a matter of milliseconds.
        jobs = "systemd's jobs:\n58 dms.service start running\n" if side == "b" else ""
        told_of = f"{head}\n{jobs}{why}\n  → evidence: {side}"
        seen.record("deployment", "start", "failed", why=told_of)
    assert len(told(tmp_path)) == changes


def test_a_failure_is_the_same_in_whatever_order_two_processes_write(tmp_path: Path) -> None:
    warns = "2026-11-30 05:26:17,923 WARN received SIGTERM indicating exit request"
    says = (
        "2026-11-30 05:26:17+00:00 ERROR start-mailserver.sh: Detecting the address has been futile"
    )
    for side, lines in (("a", (says, warns)), ("b", (warns, says))):
        seen = Observations("pasta-unset", record(tmp_path / side, "other").path)
        seen.record("deployment", "start", "failed", why="\n".join(("restarted 2 times", *lines)))
    assert told(tmp_path) == []


def test_what_a_silent_port_explains_is_not_told(tmp_path: Path) -> None:
    a, b = record(tmp_path / "a"), record(tmp_path / "b")
    for seen, port, address in ((a, "answers", "203.0.113.51"), (b, "refused", "no answer")):
        seen.record("port", "25", port, "outside_far_v4")
        seen.record("client_address", "smtp", address, "outside_far_v4")
    relay(a, "outside_far_v4")
    b.record("relay", PLAIN, "no answer", "outside_far_v4")
    found = difference(tmp_path)
    # The hole that may only be hidden is told all the same.
    assert [(each.group, each.kind) for each in found.changes] == [
        (Group.UNCLEAR, "relay"),
        (Group.PORTS, "port"),
    ]
    assert found.follow == 1


def test_same_change_in_several_places_is_one_row(tmp_path: Path) -> None:
    for scenario in ("pasta-unset", "pasta-none", "compose-unset"):
        a, b = record(tmp_path / "a", scenario), record(tmp_path / "b", scenario)
        for vantage in ("localhost_v4", "localhost_v6", "self_v4", "self_v6"):
            for form in (OTHER_FORM, PLAIN):
                refuse(a, vantage, form)
                relay(b, vantage, form)
    (row,) = rows(difference(tmp_path).changes)
    assert (row.where, row.changes) == ("inside", 24)
    assert by_folder(row.scenarios) == "compose-unset; pasta: none, unset"


def test_row_says_of_no_vantage_what_was_not_seen_there(tmp_path: Path) -> None:
    a, b = record(tmp_path / "a"), record(tmp_path / "b")
    for vantage, services in (("self_v4", ("smtp", "imap")), ("localhost_v4", ("smtp",))):
        for service in services:
            a.record("plaintext auth", service, "refused", vantage)
            b.record("plaintext auth", service, "accepted", vantage)
    shown = {(row.where, row.what) for row in rows(difference(tmp_path).changes)}
    assert shown == {
        ("self_v4", "plaintext auth imap, smtp"),
        ("localhost_v4", "plaintext auth smtp"),
    }


def test_vantage_of_another_version_is_named(tmp_path: Path) -> None:
    for side, outcome in (("a", "answers"), ("b", "refused")):
        record(tmp_path / side).record("port", "25", outcome, "from_the_moon_v4")
    (row,) = rows(difference(tmp_path).changes)
    assert row.where == "from_the_moon_v4"
