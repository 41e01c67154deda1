"""What counts as a change between two runs, in which order it is told, and what does not count."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.cli import main
from harness.errors import HarnessError
from harness.observations import Observations
from harness.report.diff import Difference, compare
from harness.report.diff_meaning import Group
from harness.report.diff_rows import by_folder, rows
from harness.report.diff_run import load

PLAIN = "external-to-external"
OTHER_FORM = "internal-to-external"


def record(path: Path, scenario: str = "pasta-unset") -> Observations:
    """The record of a deployment that came up and where mail flows."""
    path.mkdir(parents=True, exist_ok=True)
    seen = Observations(scenario, path / "observations.jsonl")
    seen.record("machine", "podman", "podman version 5.4.2")
    seen.record("deployment", "start", "came up")
    seen.record("delivery", "outside to mailbox", "unchanged", "outside_lan_a_v4", nonce="in-1")
    seen.record("outgoing", "submission", "unchanged", "outside_lan_a_v4", nonce="out-1")
    return seen


def refuse(
    seen: Observations, vantage: str, form: str = PLAIN, code: int = 554, text: str = "5.7.1 no"
) -> None:
    seen.record("relay", form, "refused", vantage, code=code, text=text)


def relay(seen: Observations, vantage: str, form: str = PLAIN) -> None:
    seen.record("relay", form, "relayed", vantage, code=250, text="2.0.0 Ok", client="10.89.0.2")


def difference(tmp_path: Path) -> Difference:
    return compare(load(tmp_path / "a"), load(tmp_path / "b"))


def told(tmp_path: Path) -> list[tuple[Group, str, str, str]]:
    return [(c.group, c.subject, c.before, c.after) for c in difference(tmp_path).changes]


def both(tmp_path: Path, kind: str, subject: str, was: str, now: str, **evidence: Any) -> None:
    """The same thing seen in two runs, with other outcomes."""
    for side, outcome in (("a", was), ("b", now)):
        seen = record(tmp_path / side)
        seen.record(kind, subject, outcome, "outside_lan_a_v4", **evidence.get(side, {}))


def test_newly_open_relay_is_told_first_and_closed_one_next(tmp_path: Path) -> None:
    a, b = record(tmp_path / "a"), record(tmp_path / "b")
    for seen, address in ((a, "203.0.113.51"), (b, "10.89.0.2")):
        seen.record("client_address", "smtp", address, "outside_lan_a_v4")
    refuse(a, "outside_lan_a_v4")
    relay(b, "outside_lan_a_v4")
    relay(a, "localhost_v4")
    refuse(b, "localhost_v4")
    found = difference(tmp_path).changes
    assert [each.group for each in found] == [Group.OPENED, Group.CLOSED, Group.ADDRESS]
    assert found[0].before == "refused with 554 5.7.1"
    assert found[0].why == "taken for 10.89.0.2"


def test_relay_that_was_not_tried_before_is_newly_open(tmp_path: Path) -> None:
    record(tmp_path / "a")
    relay(record(tmp_path / "b"), "outside_far_v4")
    assert told(tmp_path) == [(Group.OPENED, PLAIN, "not observed", "relayed")]


def test_what_was_relayed_once_was_relayed(tmp_path: Path) -> None:
    refuse(record(tmp_path / "a"), "outside_far_v4")
    b = record(tmp_path / "b")
    relay(b, "outside_far_v4")
    refuse(b, "outside_far_v4")
    assert [group for group, *_ in told(tmp_path)] == [Group.OPENED]


def test_refusal_where_no_mail_flows_closes_no_relay(tmp_path: Path) -> None:
    relay(record(tmp_path / "a"), "outside_far_v4")
    seen = Observations("pasta-unset", tmp_path / "b" / "observations.jsonl")
    (tmp_path / "b").mkdir()
    seen.record("deployment", "start", "came up")
    seen.record("delivery", "outside to mailbox", "deferred", "outside_lan_a_v4")
    seen.record("outgoing", "submission", "deferred", "outside_lan_a_v4")
    refuse(seen, "outside_far_v4")
    found = difference(tmp_path)
    assert {each.group for each in found.changes} == {Group.UNCLEAR}
    assert any(each.subject == PLAIN for each in found.changes)
    assert any("proves nothing" in each.after for each in found.changes)


@pytest.mark.parametrize("outcome", ["deferred", "inconclusive", "error", "accepted, not arrived"])
def test_refusal_that_became_unclear_is_newly_inconclusive(tmp_path: Path, outcome: str) -> None:
    both(tmp_path, "relay", PLAIN, "refused", outcome)
    (change,) = difference(tmp_path).changes
    assert (change.group, change.after) == (Group.UNCLEAR, outcome)
    assert change.is_about_relaying


def test_message_that_may_be_local_is_clear(tmp_path: Path) -> None:
    local = {"may_be_local": "to the mailbox"}
    both(tmp_path, "relay", "x", "refused", "accepted, not arrived", b=local)
    assert [group for group, *_ in told(tmp_path)] == [Group.MAIL]


def test_clear_answer_after_an_error_is_told_as_such(tmp_path: Path) -> None:
    both(tmp_path, "ban", "smtp", "error", "kept out")
    assert told(tmp_path) == [(Group.CLEAR, "smtp", "error", "kept out")]


def test_another_refusal_is_a_change_of_mail_flow(tmp_path: Path) -> None:
    refuse(record(tmp_path / "a"), "outside_far_v4")
    refuse(record(tmp_path / "b"), "outside_far_v4", code=550, text="5.1.1 unknown")
    assert told(tmp_path) == [
        (Group.MAIL, PLAIN, "refused with 554 5.7.1", "refused with 550 5.1.1")
    ]


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


def test_head_says_what_else_is_different(tmp_path: Path) -> None:
    record(tmp_path / "a")
    record(tmp_path / "b").record("machine", "podman", "podman version 5.8.0")
    facts = difference(tmp_path).facts
    assert facts == {"podman": ("podman version 5.4.2", "podman version 5.8.0")}


CLAIMS = """
[C1]
quote = "clients keep their addresses"
section = "Network"
test = "read the log"
[[C1.case]]
when = "pasta"
scenario = "pasta-*"
kind = "client_address"
equals = "source"
"""


def test_verdicts_on_claims_are_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = {"source": "203.0.113.51"}
    both(tmp_path, "client_address", "smtp", "203.0.113.51", "10.89.0.2", a=source, b=source)
    (tmp_path / "claims.toml").write_text(CLAIMS, encoding="utf-8")
    words = [str(tmp_path / "a"), str(tmp_path / "b"), "--claims", str(tmp_path / "claims.toml")]
    assert main(["diff", *words, "--json"]) == 1
    (change,) = (
        each for each in json.loads(capsys.readouterr().out)["changes"] if each["kind"] == "claim"
    )
    assert (change["before"], change["after"]) == ("upheld", "contradicted")


def test_what_one_run_deployed_makes_no_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = {"source": "203.0.113.51"}
    both(tmp_path, "client_address", "smtp", "203.0.113.51", "203.0.113.51", a=source, b=source)
    other = record(tmp_path / "b", "pasta-host")
    other.record("client_address", "smtp", "10.89.0.2", "self_v4", **source)
    (tmp_path / "claims.toml").write_text(CLAIMS, encoding="utf-8")
    words = [str(tmp_path / "a"), str(tmp_path / "b"), "--claims", str(tmp_path / "claims.toml")]
    assert main(["diff", *words, "--json"]) == 0
    (generation,) = json.loads(capsys.readouterr().out)["generations"]
    assert generation["b"]["only"] == ["pasta-host"]


# The command


def runs(tmp_path: Path) -> list[str]:
    return [str(tmp_path / "a"), str(tmp_path / "b")]


def test_exit_status_and_what_it_is_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    both(tmp_path, "port", "25", "answers", "refused")
    a, b = runs(tmp_path)
    assert main(["diff", a, a]) == 0
    assert "nothing changed in meaning" in capsys.readouterr().out
    assert main(["diff", a, b]) == 1
    assert "ports opened or closed" in capsys.readouterr().out
    assert main(["diff", a, b, "--fail-on", "relay"]) == 0
    relay(Observations("pasta-unset", tmp_path / "b" / "observations.jsonl"), "outside_far_v4")
    assert main(["diff", a, b, "--fail-on", "relay"]) == 1


def test_markdown_has_a_table_for_each_group(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    both(tmp_path, "life", "a | b", "yes", "no")
    assert main(["diff", *runs(tmp_path), "--markdown"]) == 1
    shown = capsys.readouterr().out
    assert "## Life events" in shown
    assert r"| pasta-unset: life a \| b, from outside\_lan\_a\_v4 | yes | no |  |" in shown


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda folder: None, "is missing"),
        (lambda folder: folder.mkdir(), "holds no observations"),
        (lambda folder: folder.write_text("x"), "is no run's folder"),
        (lambda folder: _write(folder, ""), "is empty"),
        (lambda folder: _write(folder, "<html>\nno\n"), "none of its 2 lines is an observation"),
        (lambda folder: _write(folder, '{"kind": 1, "other": 2}\n'), "none of its 1 line"),
        (lambda folder: record(folder, "other-one"), "no scenario variant in common"),
    ],
)
def test_what_is_no_run_is_one_clear_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Any, says: str
) -> None:
    record(tmp_path / "a")
    make(tmp_path / "b")
    assert main(["diff", *runs(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert len(error.splitlines()) == 2


def _write(folder: Path, text: str) -> None:
    folder.mkdir()
    (folder / "observations.jsonl").write_text(text, encoding="utf-8")


def test_cut_off_lines_are_left_out_and_said(tmp_path: Path) -> None:
    for side in ("a", "b"):
        refuse(record(tmp_path / side), "outside_far_v4")
    file = tmp_path / "b" / "observations.jsonl"
    whole = file.read_bytes()
    file.write_bytes(b'{"kind": "relay", "sub\xc3' + whole + b'{"kind": "relay", "subj')
    found = difference(tmp_path)
    # The first line and the half before it are one line now, which no one can read.
    assert found.b.broken == 2
    assert [each.subject for each in found.changes] == []
    with pytest.raises(HarnessError, match="is missing"):
        load(tmp_path / "nowhere")
