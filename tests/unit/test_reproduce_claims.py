"""What a report may claim, how that is written, and where it is recognised."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from reproduce_support import SAMPLES, SCENARIOS

from harness.reproduce.claim import FORMS, parse_claim
from harness.reproduce.engine import Asked, plan
from harness.reproduce.intake import ReportError
from harness.reproduce.recognise import recognised


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


def test_a_claim_file_says_how_it_is_wrong(tmp_path: Path) -> None:
    shutil.copytree(SAMPLES / "quadlet_bridge", tmp_path, dirs_exist_ok=True)
    (tmp_path / "claim.toml").write_text('claim = ["comes up"]')
    with pytest.raises(ReportError, match="no such key: 'claim'"):
        plan(tmp_path, Asked(SCENARIOS))
