"""When a relay counts as newly open or closed between two runs, and when as unclear."""

from __future__ import annotations

from pathlib import Path

import pytest
from diff_support import PLAIN, both, difference, record, refuse, relay, told

from harness.observations import Observations
from harness.report.diff_meaning import Group


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


def test_another_refusal_is_a_change_of_mail_flow(tmp_path: Path) -> None:
    refuse(record(tmp_path / "a"), "outside_far_v4")
    refuse(record(tmp_path / "b"), "outside_far_v4", code=550, text="5.1.1 unknown")
    assert told(tmp_path) == [
        (Group.MAIL, PLAIN, "refused with 554 5.7.1", "refused with 550 5.1.1")
    ]
