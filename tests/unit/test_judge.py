from __future__ import annotations

from collections.abc import Callable

import pytest

from harness import judge, judge_relay
from harness.observations import Json, Observations

V = "outside_lan_a_v4"


def record(*seen: tuple[str, str, str] | tuple[str, str, str, dict[str, Json]]) -> Observations:
    observations = Observations("test")
    for kind, subject, outcome, *evidence in seen:
        observations.record(kind, subject, outcome, V, **(evidence[0] if evidence else {}))
    return observations


CONTROLS = [
    ("delivery", "outside to mailbox", "unchanged"),
    ("outgoing", "submission", "unchanged"),
]
DENIED: dict[str, Json] = {"code": 554, "text": "5.7.1 <x@outside.test>: Relay access denied"}
CLOSED = [
    *CONTROLS,
    ("relay", "external-to-external", "refused", DENIED),
    ("relay", "internal-to-external", "refused", DENIED),
]


SIMPLE: dict[tuple[str, str], tuple[Callable[[Observations], None], str, str]] = {
    ("port", "25"): (
        lambda seen: judge.port_answers(seen, V, 25),
        "answers",
        "refused/silent/open/closed without a word/timeout",
    ),
    ("port", "110"): (
        lambda seen: judge.port_is_closed(seen, V, 110),
        "refused/timeout/unreachable/closed without a word",
        "open/answers/silent",
    ),
    ("tls", "imaps"): (
        lambda seen: judge.certificate_verifies(seen, V, "imaps"),
        "verified",
        "certificate not verified/error/no answer",
    ),
    ("plaintext auth", "imap"): (
        lambda seen: judge.plaintext_auth_refused(seen, V, "imap"),
        "refused",
        "offered/accepted/error",
    ),
    ("login", "imaps good password"): (
        lambda seen: judge.login_works(seen, V, "imaps"),
        "accepted",
        "refused/error",
    ),
    ("login", "imaps bad password"): (
        lambda seen: judge.bad_login_refused(seen, V, "imaps"),
        "refused",
        "accepted/deferred/connection lost",
    ),
    ("delivery", "outside to mailbox"): (
        lambda seen: judge.delivered_unchanged(seen, V, "outside to mailbox"),
        "unchanged",
        "changed/refused/accepted, not arrived",
    ),
    ("outgoing", "submission"): (
        lambda seen: judge.submitted_to_outside(seen, V, "submission"),
        "unchanged",
        "changed/deferred",
    ),
    ("unknown recipient", "smtp"): (
        lambda seen: judge.unknown_recipient_refused(seen, V),
        "refused",
        "accepted/deferred",
    ),
    ("command", "VRFY"): (
        lambda seen: judge.vrfy_discloses_nothing(seen, V),
        "252/502",
        "250/251/error",
    ),
}


@pytest.mark.parametrize(("kind", "subject"), SIMPLE)
def test_simple_verdicts(kind: str, subject: str) -> None:
    verdict, good, bad = SIMPLE[kind, subject]
    for outcome in good.split("/"):
        verdict(record((kind, subject, outcome)))
    for outcome in bad.split("/"):
        with pytest.raises(AssertionError, match=r"expected: (.|\n)*seen: (.|\n)*why it matters: "):
            verdict(record((kind, subject, outcome)))
    with pytest.raises(AssertionError, match="not observed"):
        verdict(record())


@pytest.mark.parametrize(
    ("logged", "allowed", "holds"),
    [
        ("192.0.2.1", {"192.0.2.1"}, True),
        ("192.0.2.1", {"192.0.2.0/24"}, True),
        ("192.0.2.1", {"10.0.0.0/8", "2001:db8::/32"}, False),
        ("2001:db8::1", {"2001:db8::/32"}, True),
        ("fe80::1%eth0", {"fe80::/64"}, True),
        ("not logged", {"0.0.0.0/0"}, False),
        ("no answer", {"0.0.0.0/0"}, False),
    ],
)
def test_client_address(logged: str, allowed: set[str], holds: bool) -> None:
    seen = record(("client_address", "smtp", logged))
    if holds:
        judge.client_address_is(seen, V, "smtp", allowed)
    else:
        with pytest.raises(AssertionError):
            judge.client_address_is(seen, V, "smtp", allowed)


def test_no_relay() -> None:
    judge_relay.no_relay(record(*CLOSED), V)


def test_no_relay_needs_both_controls() -> None:
    for missing in range(2):
        seen = [one for number, one in enumerate(CLOSED) if number != missing]
        with pytest.raises(AssertionError, match="positive controls"):
            judge_relay.no_relay(record(*seen), V)


@pytest.mark.parametrize("outcome", ["deferred", "inconclusive", "no answer", "error"])
@pytest.mark.parametrize("form", ["external-to-external", "internal-to-external", "nmap-07"])
def test_no_relay_is_never_passed_by_what_is_inconclusive(form: str, outcome: str) -> None:
    local: dict[str, Json] = {"may_be_local": "quoted"}
    with pytest.raises(AssertionError, match="Inconclusive"):
        judge_relay.no_relay(record(*CLOSED, ("relay", form, outcome, local)), V)


def test_no_relay_needs_the_core_forms() -> None:
    with pytest.raises(AssertionError, match="not observed"):
        judge_relay.no_relay(record(*CLOSED[:3]), V)


@pytest.mark.parametrize(
    ("code", "text"), [(550, "5.7.1 no"), (554, "5.5.1 Protocol error"), (530, "5.7.0 STARTTLS")]
)
def test_no_relay_wants_exactly_554_5_7_1(code: int, text: str) -> None:
    seen = record(
        *CLOSED, ("relay", "external-to-external", "refused", {"code": code, "text": text})
    )
    with pytest.raises(AssertionError, match=r"554 5\.7\.1"):
        judge_relay.no_relay(seen, V)


def test_accepted_without_arrival_passes_only_where_it_can_be_local() -> None:
    local: dict[str, Json] = {"may_be_local": "a quoted local part"}
    seen = record(*CLOSED, ("relay", "nmap-07", "accepted, not arrived", local))
    judge_relay.no_relay(seen, V)
    assert [one.subject for one in judge_relay.accepted_as_local(seen, V)] == ["nmap-07"]
    with pytest.raises(AssertionError, match="nmap-03"):
        judge_relay.no_relay(record(*CLOSED, ("relay", "nmap-03", "accepted, not arrived")), V)


def test_any_arrival_is_an_open_relay_even_without_controls() -> None:
    with pytest.raises(AssertionError, match=r"An open relay(.|\n)*"):
        judge_relay.no_relay(record(("relay", "nmap-12", "relayed")), V)


def test_relays_needs_the_arrival_and_the_logged_client() -> None:
    form = "external-to-external"
    judge_relay.relays(record(("relay", form, "relayed", {"client": "10.89.0.2"})), V)
    with pytest.raises(AssertionError, match="log has"):
        judge_relay.relays(record(("relay", form, "relayed")), V)
    for outcome in ("refused", "accepted, not arrived", "deferred"):
        with pytest.raises(AssertionError, match="expected hole"):
            judge_relay.relays(record(("relay", form, outcome)), V)
