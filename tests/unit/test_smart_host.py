"""The outside's smart host, and how mail is seen to leave by it."""

from __future__ import annotations

import asyncio
import ssl
import tomllib
from dataclasses import replace
from pathlib import Path

import aiosmtplib
import pytest
from mail_server_support import Behaviour
from probes_support import deployment, listening

from harness import authority, judge_smart_host
from harness.observations import Json, Observations
from harness.outside import smart_host
from harness.outside.sink import Sink
from harness.probes import smart_host as probe
from harness.probes.messages import compose

V = "outside_lan_a_v4"


async def send(user: str, password: str, *, mechanism: str = "plain", tls: bool = True) -> Sink:
    """Send a message as a customer with a certificate check would; the smart host after that."""
    host = smart_host.smart_host()
    sock = listening()
    await host.serve(sock)
    try:
        async with aiosmtplib.SMTP(
            hostname="127.0.0.1",
            port=sock.getsockname()[1],
            start_tls=False,
            local_hostname="mail.example.com",
        ) as client:
            await client.ehlo()
            if tls:
                await client.starttls(
                    server_hostname=smart_host.HOSTNAME, tls_context=authority.trusting()
                )
                await client.ehlo()
            if user:
                await getattr(client, f"auth_{mechanism}")(user, password)
            await client.sendmail("a@example.com", "b@outside.test", compose("n-1", "a@x", "b@y"))
    finally:
        await host.close()
    return host


@pytest.mark.parametrize("mechanism", ["plain", "login"])
def test_it_keeps_a_customers_mail_and_tells_how_it_came(mechanism: str) -> None:
    host = asyncio.run(send(smart_host.USER, smart_host.PASSWORD, mechanism=mechanism))
    (arrival,) = host.find("n-1")
    assert (arrival.login, arrival.encrypted) == (smart_host.USER, True)


@pytest.mark.parametrize(
    ("user", "password"), [(smart_host.USER, "wrong"), ("other", smart_host.PASSWORD), ("", "")]
)
def test_it_takes_nothing_from_others(user: str, password: str) -> None:
    with pytest.raises(aiosmtplib.SMTPException):
        asyncio.run(send(user, password))


def test_it_takes_no_password_in_clear_text() -> None:
    with pytest.raises(aiosmtplib.SMTPException):
        asyncio.run(send(smart_host.USER, smart_host.PASSWORD, tls=False))


def test_its_certificate_is_for_its_own_name() -> None:
    context = authority.serving("other.example")
    assert isinstance(context, ssl.SSLContext)
    assert context.get_ca_certs() == []


def test_scenarios_log_in_with_what_it_knows() -> None:
    seen = 0
    for file in (Path(__file__).parents[2] / "scenarios").glob("*/scenario.toml"):
        for variant in tomllib.loads(file.read_text())["variants"].values():
            if variant.get("checks") == "smart_host":
                seen += 1
                assert variant["env"] == {
                    "RELAY_HOST": smart_host.HOSTNAME,
                    "RELAY_PORT": str(smart_host.PORT),
                    "RELAY_USER": smart_host.USER,
                    "RELAY_PASSWORD": smart_host.PASSWORD,
                }, file
    assert seen


def observed(at_smart_host: bool, strangers: str = "refuse") -> Observations:
    """What is seen where the server's outgoing mail goes to the smart host, or the exchanger."""

    async def run() -> Observations:
        async with deployment(Behaviour(strangers)) as site:
            other = replace(site, smart_host=site.sink, sink=Sink()) if at_smart_host else site
            await probe.observe_smart_host(other)
            return site.observations

    return asyncio.run(run())


def test_the_way_out_is_seen() -> None:
    assert observed(True).one("way out", "submission", V).outcome == "smart host"
    direct = observed(False)
    assert direct.one("way out", "submissions", V).outcome == "exchanger"
    with pytest.raises(AssertionError, match="may not send mail"):
        judge_smart_host.leaves_by_smart_host(direct, V, "submission", smart_host.USER)


GOOD: dict[str, Json] = {"login": smart_host.USER, "encrypted": True, "differences": []}


@pytest.mark.parametrize(
    ("outcome", "details", "why"),
    [
        ("both", GOOD, "may not send mail"),
        ("nowhere", GOOD, "cannot send"),
        ("refused", GOOD, "cannot send"),
        ("smart host", GOOD | {"login": None}, "password"),
        ("smart host", GOOD | {"encrypted": False}, "password"),
        ("smart host", GOOD | {"differences": ["body"]}, "Signatures"),
        ("smart host", GOOD, ""),
    ],
)
def test_verdict(outcome: str, details: dict[str, Json], why: str) -> None:
    seen = Observations("test")
    seen.record("way out", "submission", outcome, V, **details)
    if not why:
        judge_smart_host.leaves_by_smart_host(seen, V, "submission", smart_host.USER)
        return
    with pytest.raises(AssertionError, match=why):
        judge_smart_host.leaves_by_smart_host(seen, V, "submission", smart_host.USER)
