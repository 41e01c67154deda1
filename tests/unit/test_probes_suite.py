"""The whole suite against a small mail server that behaves well, or does not."""

from __future__ import annotations

import asyncio

import pytest
from mail_server_support import Behaviour
from probes_support import SocketpairConnector, deployment, vantage

from harness import judge, judge_relay
from harness.observations import Observations
from harness.probes import arrival
from harness.probes.suite import observe

LAN, HERE = "outside_lan_a_v4", "localhost_v4"


def observed(behaviour: Behaviour, **more: object) -> Observations:
    async def run() -> Observations:
        async with deployment(behaviour, **more) as site:  # type: ignore[arg-type]
            await observe(site)
            return site.observations

    return asyncio.run(run())


@pytest.fixture(scope="module")
def good() -> Observations:
    return observed(Behaviour("refuse"))


def test_nothing_surprised(good: Observations) -> None:
    assert not [str(seen) for seen in good if seen.outcome in ("error", "no answer")]


def test_ports(good: Observations) -> None:
    ports = {int(seen.subject): seen.outcome for seen in good.find("port", vantage=LAN)}
    for port, outcome in ports.items():
        if outcome == "answers":
            judge.port_answers(good, LAN, port)
        else:
            judge.port_is_closed(good, LAN, port)
    assert sorted(ports.values()) == ["answers"] * 5 + ["refused"]


def test_first_contact_is_waited_for_once(good: Observations) -> None:
    (seen,) = good.find("first contact", vantage=LAN)
    assert 0.2 <= float(seen.outcome) < 2
    assert seen.evidence["lines"] == ["220-mail.example.com ESMTP", "220 mail.example.com ESMTP"]


def test_certificates(good: Observations) -> None:
    for service in ("smtp", "submission", "submissions", "imap", "imaps"):
        judge.certificate_verifies(good, LAN, service)
    assert good.one("tls", "imaps", LAN).evidence["version"] == "TLSv1.3"


def test_logins(good: Observations) -> None:
    for service in ("submission", "submissions", "imap", "imaps"):
        judge.login_works(good, LAN, service)
        judge.bad_login_refused(good, LAN, service)
    for service in ("smtp", "submission", "imap"):
        judge.plaintext_auth_refused(good, LAN, service)


def test_mail_flow(good: Observations) -> None:
    for subject in (
        "outside to mailbox",
        "outside to user+tag",
        "outside to alias",
        "submission to mailbox",
        "submissions to mailbox",
    ):
        judge.delivered_unchanged(good, LAN, subject)
    judge.submitted_to_outside(good, LAN, "submission")
    judge.submitted_to_outside(good, LAN, "submissions")
    judge.unknown_recipient_refused(good, LAN)


def test_client_addresses(good: Observations) -> None:
    for service in ("smtp", "submission", "imaps"):
        judge.client_address_is(good, LAN, service, {"127.0.0.0/8"})
        with pytest.raises(AssertionError, match=r"192\.0\.2\.0/24"):
            judge.client_address_is(good, LAN, service, {"192.0.2.0/24"})


def test_closed(good: Observations) -> None:
    # aiosmtpd is no Postfix: it answers the odd forms with syntax errors, which are 5xx too.
    judge_relay.no_relay(good, LAN)
    judge_relay.no_relay(good, HERE)
    assert len(good.find("relay", vantage=LAN)) > 60
    assert len(good.find("relay", vantage=HERE)) == 2
    with pytest.raises(AssertionError, match="expected hole"):
        judge_relay.relays(good, LAN)


def test_open_relay() -> None:
    seen = observed(Behaviour("relay"))
    judge_relay.relays(seen, LAN)
    judge_relay.relays(seen, HERE)
    with pytest.raises(AssertionError, match="An open relay"):
        judge_relay.no_relay(seen, LAN)
    assert seen.one("relay", "external-to-external", LAN).evidence["sink_recipients"]


def test_a_temporary_refusal_is_inconclusive() -> None:
    seen = observed(Behaviour("defer"))
    assert seen.one("relay", "external-to-external", LAN).outcome == "deferred"
    with pytest.raises(AssertionError, match="Inconclusive"):
        judge_relay.no_relay(seen, LAN)


def test_accepted_but_never_arrived(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrival, "ARRIVAL_WITHIN", 1.0)
    seen = observed(Behaviour("swallow"))
    assert seen.one("relay", "external-to-external", LAN).outcome == "accepted, not arrived"
    with pytest.raises(AssertionError, match=r"An open relay|Inconclusive"):
        judge_relay.no_relay(seen, LAN)


def test_hanging_up_is_inconclusive_and_tried_twice() -> None:
    behaviour = Behaviour("hang up")
    seen = observed(behaviour, vantages=[vantage(HERE)])
    assert seen.one("relay", "external-to-external", HERE).outcome == "inconclusive"
    assert behaviour.seen.count("other@outside.test") == 2


def test_a_form_cut_off_by_421_is_sent_again() -> None:
    behaviour = Behaviour("refuse")
    behaviour.errors_until_421 = 5
    seen = observed(behaviour)
    judge_relay.no_relay(seen, LAN)


def test_through_sockets_that_are_not_ip() -> None:
    connector = SocketpairConnector()
    seen = observed(Behaviour("refuse"), vantages=[vantage(connector=connector)])
    assert not [str(one) for one in seen if one.outcome == "error"]
    judge_relay.no_relay(seen, LAN)


def test_a_wrong_certificate_hides_nothing_else() -> None:
    seen = observed(Behaviour("refuse"), certificate_name="other.example.com")
    with pytest.raises(AssertionError, match="certificate"):
        judge.certificate_verifies(seen, LAN, "imaps")
    judge_relay.no_relay(seen, LAN)


def test_a_dead_address_ends_soon_and_is_no_pass() -> None:
    seen = observed(Behaviour("refuse"), vantages=[vantage(), vantage(HERE, "127.0.0.9")])
    assert {one.outcome for one in seen.find("port", vantage=HERE)} == {"refused"}
    with pytest.raises(AssertionError, match="Inconclusive"):
        judge_relay.no_relay(seen, HERE)
    judge_relay.no_relay(seen, LAN)
