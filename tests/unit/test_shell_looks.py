"""What the shell's commands see of a small mail server that behaves well, or does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from mail_server_support import ALICE, BOB, OUTSIDE, Behaviour
from probes_support import deployment, vantage

from harness.deployment import Deployment
from harness.errors import HarnessError
from harness.loop import wait_for
from harness.observations import read
from harness.probes import arrival
from harness.shell import mail, show
from harness.shell.visit import Visit
from harness.site import Service, Site

LAN, FAR, HERE = "outside_lan_a_v4", "outside_far_v4", "localhost_v4"


@contextmanager
def visiting(folder: Path, strangers: str = "refuse") -> Iterator[Visit]:
    opened = deployment(Behaviour(strangers), [vantage(name) for name in (LAN, FAR, HERE)])
    site = wait_for(opened.__aenter__())
    forwarder: list[str] = []

    @contextmanager
    def visit() -> Iterator[Site]:
        assert forwarder == ["looked at"]
        yield site

    fake = SimpleNamespace(
        scenario=SimpleNamespace(id="a-b", reachable=[LAN, FAR, HERE]),
        visit=visit,
        look_at_forwarder=lambda: forwarder.append("looked at"),
    )
    try:
        yield Visit(cast("Deployment", fake), folder / "observations.jsonl")
    finally:
        wait_for(opened.__aexit__(None, None, None))


@pytest.fixture
def visit(tmp_path: Path) -> Iterator[Visit]:
    with visiting(tmp_path) as there:
        yield there


def test_vantages_by_name_and_by_group(visit: Visit) -> None:
    def names(*words: str) -> list[str]:
        return [one.name for one in visit.vantages(words)]

    assert names() == [LAN, FAR, HERE]
    assert names("outside") == [LAN, FAR]
    assert names("outside_far_v4", "inside") == [FAR, HERE]
    with pytest.raises(HarnessError, match="'outside_fra' is no vantage; outside_far"):
        names("outside_fra")
    with pytest.raises(HarnessError, match="nobody is at localhost_v6 here"):
        names("localhost_v6")
    assert visit.main.name == LAN


def test_ports_that_answer_and_one_that_does_not(visit: Visit) -> None:
    lines, good = show.ports(visit.ports(visit.vantages([FAR])))
    assert good
    assert lines[0] == f"{FAR}:"
    assert sum(line.endswith(" answers") for line in lines) == 5
    assert sum("(not published) refused" in line for line in lines) == 1
    assert not any(LAN in line for line in lines)


def test_a_published_port_that_does_not_answer_is_no_good_news(visit: Visit) -> None:
    seen = visit.ports(visit.vantages([FAR]))
    broken = [one for one in seen if one.outcome == "refused"]
    published = broken[0].evidence | {"service": "imap"}
    wrong = type(broken[0])("port", "1", "refused", FAR, evidence=published)
    assert show.ports([*seen, wrong])[1] is False
    assert show.ports([])[1] is False


def test_whom_the_server_logs(visit: Visit) -> None:
    lines, good = show.who(visit.who(visit.vantages([FAR])))
    assert good
    assert lines[0] == f"{FAR}: the server logs 127.0.0.1"
    assert "reject: RCPT from unknown[127.0.0.1]" in lines[1]


def test_a_strangers_mail_that_is_refused(visit: Visit) -> None:
    seen = visit.relay(visit.vantages([FAR]), every_form=False)
    lines, good = show.relay(seen)
    assert good
    assert len(seen) == 1
    assert lines[0].startswith(f"{FAR}: refused (RCPT TO: 554 5.7.1 ")
    assert "only where mail otherwise flows" in lines[1]


def test_a_strangers_mail_that_gets_out(tmp_path: Path) -> None:
    with visiting(tmp_path, "relay") as visit:
        lines, good = show.relay(visit.relay(visit.vantages([FAR]), every_form=False))
    assert not good
    (line,) = lines
    assert line.startswith(f"{FAR}: RELAYED: it arrived outside, for other@{OUTSIDE}")
    assert line.endswith("took it for a client at 127.0.0.1")


@pytest.mark.parametrize(
    ("strangers", "said"),
    [
        ("defer", "inconclusive: deferred (RCPT TO: 450"),
        ("swallow", "accepted, not arrived outside (DATA: 250"),
        ("hang up", "inconclusive: inconclusive"),
    ],
)
def test_what_is_neither_is_not_called_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strangers: str, said: str
) -> None:
    monkeypatch.setattr(arrival, "ARRIVAL_WITHIN", 0.5)
    with visiting(tmp_path, strangers) as visit:
        lines, good = show.relay(visit.relay(visit.vantages([FAR]), every_form=False))
    assert not good
    assert said in lines[0]


def test_all_forms_are_counted_from_everywhere_inside_too(visit: Visit) -> None:
    seen = visit.relay(visit.vantages([HERE]), every_form=True)
    lines, _ = show.relay(seen)
    assert len(seen) > 50
    refused = sum(one.outcome == "refused" for one in seen)
    assert lines[0] == f"{HERE}: {refused} of {len(seen)} forms are refused for good"
    named = [name.strip() for line in lines[1:-1] for name in line.split(": ")[0].split(",")]
    assert sorted(named) == sorted(one.subject for one in seen if one.outcome != "refused")


def test_forms_that_end_alike_are_put_together(tmp_path: Path) -> None:
    with visiting(tmp_path, "relay") as visit:
        seen = visit.relay(visit.vantages([FAR]), every_form=True)
    lines, good = show.relay(seen)
    assert not good
    alike = [line for line in lines if "RELAYED: it arrived outside" in line]
    out = sum(one.outcome == "relayed" for one in seen)
    assert out > 20
    assert len(alike) < out / 2
    assert any(" more: RELAYED" in line for line in alike)


def test_nothing_tried_is_not_good() -> None:
    assert show.relay([]) == ([], False)
    assert show.who([]) == ([], False)


def test_a_message_from_a_user_to_a_mailbox_with_every_reply(visit: Visit) -> None:
    sent = visit.send(visit.main, ALICE.address, "submission")
    assert sent.arrived, sent.outcome
    assert sent.sender == BOB.address
    said = [f"{reply.to.split()[0]} {reply.code}" for reply in sent.replies]
    assert said == [
        *("EHLO 250", "STARTTLS 220", "EHLO 250", "AUTH 235"),
        *("MAIL 250", "RCPT 250", "DATA 250", "QUIT 221"),
    ]
    lines, good = show.sent(sent)
    assert good
    assert "  greeting: 220 mail.example.com ESMTP" in lines
    assert any(line.startswith("  RCPT TO: 250 ") for line in lines)
    assert "arrived in the mailbox" in lines[-1]
    assert lines[-1].endswith("unchanged")
    assert not any(BOB.password in line for line in lines)


@pytest.mark.parametrize("recipient", ["bob@example.com", "alice+x@example.com"])
def test_a_strangers_message_to_a_mailbox(visit: Visit, recipient: str) -> None:
    sent = visit.send(visit.main, recipient, "smtp")
    assert sent.sender == f"probe@{OUTSIDE}"
    assert sent.arrived, sent.outcome
    assert "AUTH" not in " ".join(reply.to for reply in sent.replies)


def test_whose_mailbox_an_address_is(visit: Visit) -> None:
    assert mail.mailbox_of(visit.site, "bob+tag@example.com") == BOB
    assert mail.mailbox_of(visit.site, "info@example.com") == ALICE
    assert mail.mailbox_of(visit.site, f"bob@{OUTSIDE}") is None


def test_a_users_message_that_arrives_outside(visit: Visit) -> None:
    sent = visit.send(visit.main, f"x@{OUTSIDE}", "submissions")
    assert sent.arrived
    assert f"arrived outside, for x@{OUTSIDE}, from 127.0.0.1" in sent.outcome


def test_a_message_that_is_refused_did_not_arrive(visit: Visit) -> None:
    sent = visit.send(visit.main, f"x@{OUTSIDE}", "smtp")
    lines, good = show.sent(sent)
    assert not good
    assert lines[-1].startswith("not accepted: RCPT TO: 554 5.7.1 ")


def test_a_message_that_vanishes_is_not_said_to_arrive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrival, "ARRIVAL_WITHIN", 0.5)
    with visiting(tmp_path, "swallow") as visit:
        sent = visit.send(visit.main, f"x@{OUTSIDE}", "smtp")
    assert sent.accepted
    assert not sent.arrived
    lines, good = show.sent(sent)
    assert lines[-1] == "accepted, and not seen to arrive"
    assert not good
    assert any("message-id" in line for line in sent.log)


def test_a_port_without_an_answer_is_told(visit: Visit) -> None:
    nowhere = vantage(FAR, "127.0.0.2")
    sent = visit.send(nowhere, f"x@{OUTSIDE}", "submission")
    assert not sent.arrived
    assert sent.outcome == "no answer: refused (Connection refused)"


def test_a_mailbox_is_listed_and_its_newest_message_shown(visit: Visit) -> None:
    assert show.mailbox("a", visit.fetch(ALICE))[0] == [f"a has 0 messages (imaps from {LAN})"]
    services: tuple[Service, ...] = ("smtp", "submission")
    for service in services:
        assert visit.send(visit.main, ALICE.address, service).arrived
    lines, good = show.mailbox(ALICE.address, visit.fetch(ALICE))
    assert good
    assert lines[0].startswith(f"{ALICE.address} has 2 messages")
    assert "Zwölf Boxkämpfer" in lines[1]
    assert f"From: Harness Probe <{BOB.address}>" in lines
    assert any("Sylter Deich" in line for line in lines)


def test_a_mailbox_that_cannot_be_read_is_no_empty_one(visit: Visit) -> None:
    someone = type(ALICE)(ALICE.address, "wrong")
    lines, good = show.mailbox(someone.address, visit.fetch(someone))
    assert not good
    assert lines[0].startswith(f"{ALICE.address} cannot be read (imaps from {LAN})")


def test_each_look_is_recorded_and_judged_by_itself(visit: Visit) -> None:
    first = visit.relay(visit.vantages([FAR]), every_form=False)
    second = visit.relay(visit.vantages([LAN]), every_form=False)
    assert [one.vantage for one in first] == [FAR]
    assert [one.vantage for one in second] == [LAN]
    written = [one.vantage for one in read(visit.record) if one.kind == "relay"]
    assert written == [FAR, LAN]


def test_all_probes_with_what_a_summary_needs(visit: Visit) -> None:
    seen = visit.observe()
    kinds = {one.kind for one in seen}
    assert {"scenario", "port", "relay", "client_address", "delivery", "outgoing"} <= kinds
    (phase,) = [one for one in seen if one.kind == "phase"]
    assert float(str(phase.evidence["seconds"])) > 0
