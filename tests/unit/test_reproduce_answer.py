"""What the answer to a report is, and how it is told."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from reproduce_support import SAMPLES, SCENARIOS

from harness import cli
from harness.errors import MachineError
from harness.observations import Observation
from harness.reproduce.claim import Claim, parse_claim
from harness.reproduce.notes import Notes
from harness.reproduce.scrub import Scrubber
from harness.reproduce.summary import Result, as_markdown
from harness.reproduce.verdict import Held, Outcome, answer, hold

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
