"""The probes' small parts: greetings, messages, places, the gate, the log's reader."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable

import pytest
from probes_support import closed_port, deployment, end_leftovers, listening, vantage

from harness.probes import greeting as greetings
from harness.probes.gate import Gate
from harness.probes.greeting import Greeting, greet
from harness.probes.mail_log import MailLog
from harness.probes.messages import changes, compose, fields, received_from
from harness.probes.places import first_of_each_family, main_client, near_and_far
from harness.probes.run import running
from harness.site import Service

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def greeted(serve: Serve | None, service: Service | None) -> Greeting:
    async def run() -> Greeting:
        context = ssl.create_default_context()
        if serve is None:
            return await greet(vantage(), closed_port(), service, context, "mail.example.com")
        sock = listening()
        server = await asyncio.start_server(serve, sock=sock)
        try:
            port = sock.getsockname()[1]
            return await greet(vantage(), port, service, context, "mail.example.com")
        finally:
            server.close()
            await end_leftovers()

    return asyncio.run(run())


def saying(*parts: bytes | float) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for part in parts:
                if isinstance(part, bytes):
                    writer.write(part)
                else:
                    await asyncio.sleep(part)
        finally:
            writer.close()

    return serve


@pytest.mark.parametrize(
    ("parts", "service", "outcome"),
    [
        ((b"220 mail ESMTP\r\n",), "smtp", "answers"),
        ((b"220-mail ESMTP\r\n", 0.1, b"220 mail ESMTP\r\n"), "smtp", "answers"),
        ((b"220-mail ESMTP\r\n",), "smtp", "greeting not finished"),
        ((b"* OK ready\r\n",), "imap", "answers"),
        ((b"220 mail ESMTP\r\n",), "imap", "unexpected greeting"),
        ((b"554 no\r\n",), "smtp", "unexpected greeting"),
        ((), "smtp", "closed without a word"),
        ((), "imaps", "closed without a word"),
        ((b"220 mail ESMTP\r\n",), "submissions", "TLS failed"),
        ((5.0,), "submission", "silent"),
        ((5.0,), "imaps", "silent"),
        ((), None, "closed without a word"),
        ((b"hello\r\n",), None, "open"),
        ((5.0,), None, "open"),
        (None, "smtp", "refused"),
        (None, None, "refused"),
    ],
)
def test_greeting(
    monkeypatch: pytest.MonkeyPatch,
    parts: tuple[bytes | float, ...] | None,
    service: Service | None,
    outcome: str,
) -> None:
    monkeypatch.setattr(greetings, "GREETING_WITHIN_DEFAULT", 0.3)
    monkeypatch.setattr(greetings, "GREETING_WITHIN", {"smtp": 0.5})
    assert greeted(None if parts is None else saying(*parts), service).outcome == outcome


def test_the_wait_inside_a_greeting_is_measured() -> None:
    seen = greeted(saying(b"220-mail\r\n", 0.3, b"220 mail\r\n"), "smtp")
    assert seen.lines == ("220-mail", "220 mail")
    assert seen.first is not None
    assert seen.complete is not None
    assert 0.25 < seen.complete - seen.first < 2


def test_a_message_shows_every_change() -> None:
    sent = compose("nonce-1", "a@outside.test", "b@example.com")
    assert changes(sent, sent) == []
    added = b"Return-Path: <a@outside.test>\r\nReceived: from x\r\n\tby y\r\n" + sent
    assert changes(sent, added) == []
    assert all(len(line) <= 998 for line in sent.split(b"\r\n"))
    for was, now in (
        (b"Deich", b"Teich"),
        (b"\r\n.leading", b"\r\nleading"),
        (b"\r\nFrom the", b"\r\n>From the"),
        (b"end   \r\n", b"end\r\n"),
        (b"\r\n", b"\n"),
        (b"x" * 990, b"x" * 900 + b"\r\n " + b"x" * 90),
        (b"X-Folded: one,\r\n\ttwo", b"X-Folded: one, two"),
    ):
        assert was in sent
        assert changes(sent, sent.replace(was, now)), was
    assert "body changed at byte" in changes(sent, sent + b"footer\r\n")[0]


def test_fields_keep_their_folds() -> None:
    assert fields(b"A: 1\r\n 2\r\nB: 3\r\n\r\nC: 4\r\n") == [b"A: 1\r\n 2", b"B: 3"]


def test_the_servers_own_received_header() -> None:
    message = (
        b"Received: from mail.example.com by mail.example.com with LMTP\r\n"
        b"Received: from outside.test (a.lan.test [203.0.113.1])\r\n"
        b"\tby mail.example.com (Postfix) with ESMTP id X\r\n"
        b"Received: from forged (evil [192.0.2.66]) by elsewhere.test\r\n\r\n"
    )
    found = received_from(message, "mail.example.com")
    assert found is not None
    assert "[203.0.113.1]" in found


def test_places() -> None:
    names = "outside_lan_a_v4 outside_lan_a_v6 outside_lan_b_v4 outside_far_v4 outside_far_v6"
    all_of_them = [vantage(name) for name in f"{names} localhost_v4 self_v4".split()]

    async def run() -> None:
        async with deployment(vantages=all_of_them) as site:
            assert [one.name for one in near_and_far(site)] == [
                "outside_lan_a_v4",
                "outside_lan_a_v6",
                "outside_far_v4",
                "outside_far_v6",
            ]
            assert [one.name for one in first_of_each_family(site)] == [
                "outside_lan_a_v4",
                "outside_lan_a_v6",
                "localhost_v4",
            ]
            assert main_client(site).name == "outside_lan_a_v4"

    asyncio.run(run())


def test_the_gate_opens_when_all_have_come_or_gone() -> None:
    async def run() -> None:
        gate = Gate()
        passed = []

        async def runner(number: int, delay: float) -> None:
            with gate.ticket() as ticket:
                await asyncio.sleep(delay)
                if number == 2:
                    return
                await ticket.arrive()
                passed.append((number, time.monotonic()))

        await asyncio.gather(runner(0, 0), runner(1, 0.1), runner(2, 0.2))
        assert sorted(number for number, _ in passed) == [0, 1]
        assert abs(passed[0][1] - passed[1][1]) < 0.05

    asyncio.run(run())


def test_the_log_is_read_once_for_all() -> None:
    reads = 0

    async def read() -> str:
        nonlocal reads
        reads += 1
        return f"line {reads}"

    async def run() -> None:
        log = MailLog(read)
        found = await asyncio.gather(
            *(log.wait_for(lambda text: text if "3" in text else None, 5) for _ in range(20))
        )
        assert found == ["line 3"] * 20
        assert reads == 3
        assert await log.wait_for(lambda text: None, 0.1) is None

    asyncio.run(run())


def test_a_surprise_becomes_an_observation() -> None:
    async def surprise() -> None:
        raise ZeroDivisionError("by design")

    async def run() -> None:
        async with deployment() as site:
            async with running(site) as one:
                await one.guarded("kind", "subject", site.vantages[0], surprise())
                await one.guarded("kind", "slow", None, asyncio.sleep(5), within=0.05)
            seen = site.observations.one("kind", "subject", "outside_lan_a_v4")
            assert seen.outcome == "error"
            assert "by design" in str(seen.evidence["error"])
            assert "not finished" in str(site.observations.one("kind", "slow").evidence["error"])

    asyncio.run(run())
