"""The summary at the end of a run says what the observations say."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.observations import Observations
from harness.report.seen import finding
from harness.report.terminal import print_summary


def summary(run: Path) -> str:
    out = io.StringIO()
    print_summary(Console(file=out, width=120, no_color=True), run, "nspawn")
    return out.getvalue()


def observed(run: Path, relayed: tuple[str, ...] = (), outcome: str = "refused") -> Observations:
    seen = Observations("demo-first", run / "observations.jsonl")
    seen.record("phase", "boot", "ended", seconds=1.5)
    seen.record("delivery", "outside to mailbox", "unchanged", "outside_lan_a_v4")
    seen.record("outgoing", "submission", "unchanged", "outside_lan_a_v4")
    for vantage, address in (
        ("outside_lan_a_v4", "203.0.113.51"),
        ("outside_lan_b_v4", "203.0.113.52"),
        ("localhost_v4", "203.0.113.10"),
        ("self_v6", "fe80::1%enp1s0"),
    ):
        seen.record("port", "25", "answers", vantage, service="smtp")
        seen.record("client_address", "smtp", address, vantage)
        result = "relayed" if vantage in relayed else outcome
        seen.record("relay", "external-to-external", result, vantage)
    return seen


def test_nothing_is_said_where_nothing_was_deployed(tmp_path: Path) -> None:
    assert summary(tmp_path) == ""


def test_closed_server(tmp_path: Path) -> None:
    observed(tmp_path)
    said = summary(tmp_path)
    assert "4/4" in said
    assert "nowhere (of 4)" in said
    assert "machine" in said
    assert "link-local" in said
    assert "SELinux" in said


def test_open_relay_is_named_by_the_shortest_words(tmp_path: Path) -> None:
    observed(tmp_path, relayed=("outside_lan_a_v4", "outside_lan_b_v4", "localhost_v4"))
    assert "outside_lan_v4, localhost_v4" in summary(tmp_path)


def test_life_tells_what_was_outlived_and_what_was_not(tmp_path: Path) -> None:
    seen = Observations("demo-kills", tmp_path / "observations.jsonl")
    seen.record("scenario", "reachable", "0", vantages=[], checks="life")
    seen.record("life", "kill conmon", "done")
    seen.record("life", "mail server after kill conmon", "answers", away=3.2)
    seen.record("life", "container after kill conmon", "another")
    seen.record("life", "mail server after kill pasta", "does not answer", away=20.0)
    assert "outlives kill conmon (3 s); away after kill pasta" in summary(tmp_path)


def test_throughput_tells_how_fast_the_ways_are(tmp_path: Path) -> None:
    seen = Observations("demo-first", tmp_path / "observations.jsonl")
    seen.record("scenario", "reachable", "0", vantages=[], checks="throughput")
    assert "not observed" in summary(tmp_path)
    for way, bits_in, bits_out in (("pasta", 8123.4, 17.1), ("slirp4netns", 1204.0, 980.0)):
        evidence = {"bits in": {"median": bits_in}, "bits out": {"median": bits_out}}
        seen.record("throughput", way, "1", None, **evidence)
    seen.record("throughput", "pasta against slirp4netns, bits in", "faster", ratio=6.7)
    assert "pasta 8.1/0.017, slirp4netns 1.2/0.98 Gbit/s in/out" in summary(tmp_path)


def test_life_without_events_tells_how_much_was_asked(tmp_path: Path) -> None:
    seen = Observations("demo-facts", tmp_path / "observations.jsonl")
    seen.record("scenario", "reachable", "0", vantages=[], checks="life")
    seen.record("life", "socket", "OK")
    seen.record("life", "timer", "daily")
    assert "(2 questions)" in summary(tmp_path)


def test_inconclusive_is_not_closed(tmp_path: Path) -> None:
    observed(tmp_path, outcome="deferred")
    said = summary(tmp_path)
    assert "inconclusive from 4" in said
    assert "nowhere" not in said


@pytest.mark.parametrize(
    ("kind", "subject"), [("delivery", "outside to mailbox"), ("outgoing", "submission")]
)
def test_refusals_of_a_server_without_mail_flow_are_inconclusive(
    tmp_path: Path, kind: str, subject: str
) -> None:
    seen = observed(tmp_path)
    text = (tmp_path / "observations.jsonl").read_text()
    kept = [line for line in text.splitlines() if f'"kind": "{kind}"' not in line]
    (tmp_path / "observations.jsonl").write_text("\n".join(kept) + "\n")
    seen.record(kind, subject, "accepted, not arrived", "outside_lan_a_v4")
    said = summary(tmp_path)
    assert "inconclusive: no mail flows" in said
    assert "nowhere" not in said


def test_open_relay_by_any_form_is_named(tmp_path: Path) -> None:
    observed(tmp_path).record("relay", "nmap-12", "relayed", "self_v6")
    said = summary(tmp_path)
    assert "self_v6" in said
    assert "nowhere" not in said


def test_unanswered_port_counts_as_published(tmp_path: Path) -> None:
    observed(tmp_path).record("port", "993", "refused", "self_v6", service="imaps")
    assert "4/5" in summary(tmp_path)


def test_where_nothing_is_expected_to_answer_only_an_answer_counts(tmp_path: Path) -> None:
    seen = Observations("demo-first", tmp_path / "observations.jsonl")
    seen.record("scenario", "reachable", "0", vantages=[], checks="ports")
    seen.record("port", "25", "refused", "localhost_v4", service="smtp")
    assert "0/0 " in summary(tmp_path)
    seen.record("port", "25", "answers", "outside_far_v4", service="smtp")
    assert "0/0+1" in summary(tmp_path)


def test_line_that_a_killed_run_left_half_written_is_not_read(tmp_path: Path) -> None:
    observed(tmp_path)
    with (tmp_path / "observations.jsonl").open("a") as file:
        file.write('{"kind": "port", "subj')
    assert "4/4" in summary(tmp_path)


def test_only_a_deployment_that_failed_did_not_come_up(tmp_path: Path) -> None:
    seen = observed(tmp_path)
    seen.record("deployment", "start", "came up")
    assert "nowhere (of 4)" in summary(tmp_path)
    seen.record("deployment", "start", "failed", why="port 25: permission denied")
    assert "did not come up" in summary(tmp_path)


@pytest.mark.parametrize(
    ("noted", "style"),
    [({}, "yellow"), ({"fails": None}, "bold red"), ({"fails": "no such volume"}, "green")],
)
def test_colour_of_what_did_not_come_up_is_by_what_is_expected(
    noted: dict[str, Any], style: str
) -> None:
    facts = [
        {"kind": "scenario", "evidence": {"checks": "start", **noted}},
        {"kind": "deployment", "outcome": "failed", "evidence": {}},
    ]
    assert finding(facts).style == style


def test_lines_without_client_addresses_have_the_room_of_those_columns(tmp_path: Path) -> None:
    observed(tmp_path)
    life = Observations("demo-kills", tmp_path / "observations.jsonl")
    life.record("scenario", "reachable", "0", vantages=[], checks="life")
    for event in ("kill container", "kill conmon", "restart of everything there is"):
        life.record("life", f"mail server after {event}", "answers", away=3.2)
    (line,) = [line for line in summary(tmp_path).splitlines() if "outlives" in line]
    assert line.rstrip().endswith("(3 s), restart of everything there is (3 s)")


def test_only_such_lines_have_a_header_of_their_own(tmp_path: Path) -> None:
    life = Observations("demo-kills", tmp_path / "observations.jsonl")
    life.record("scenario", "reachable", "0", vantages=[], checks="life")
    life.record("life", "mail server after reboot", "answers", away=3.2)
    header = summary(tmp_path).splitlines()[0]
    assert header.split() == ["ports", "s", "seen"]
