from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiosmtplib
import pytest
from aiosmtpd.smtp import AuthResult, LoginPassword
from probes_support import listening

from harness.outside.sink import Sink
from harness.probes.messages import compose


@asynccontextmanager
async def serving(*addresses: str, **more: object) -> AsyncIterator[tuple[Sink, list[int]]]:
    sink = Sink(**more)  # type: ignore[arg-type]
    sockets = [listening(address) for address in addresses or ("127.0.0.1",)]
    ports = [int(sock.getsockname()[1]) for sock in sockets]
    await sink.serve(*sockets)
    try:
        yield sink, ports
    finally:
        await sink.close()


async def send(port: int, content: bytes, host: str = "127.0.0.1", **more: object) -> None:
    async with aiosmtplib.SMTP(
        hostname=host, port=port, start_tls=False, local_hostname="client.test"
    ) as client:
        if more:
            await client.login("user", "password")
        await client.ehlo()
        assert client.supports_extension("8bitmime")
        assert client.supports_extension("smtputf8")
        await client.execute_command(b"MAIL FROM:<a@here.test> BODY=8BITMIME")
        await client.execute_command(b"RCPT TO:<x@there.test>")
        await client.execute_command(b"RCPT TO:<y@there.test>")
        await client.data(content)


def test_a_message_is_recorded_byte_for_byte() -> None:
    async def run() -> None:
        async with serving() as (sink, (port,)):
            content = compose("nonce-1", "a@here.test", "x@there.test")
            await send(port, content)
            (arrival,) = sink.arrivals
            assert arrival.content == content
            assert arrival.client == "127.0.0.1"
            assert arrival.helo == "client.test"
            assert arrival.sender == "a@here.test"
            assert arrival.recipients == ("x@there.test", "y@there.test")
            assert abs(arrival.at - time.time()) < 5

    asyncio.run(run())


def test_a_recipient_who_is_put_off_is_told_to_come_again_and_then_taken() -> None:
    async def run() -> None:
        async with serving() as (sink, (port,)):
            sink.put_off.add("x@there.test")
            async with aiosmtplib.SMTP(
                hostname="127.0.0.1", port=port, start_tls=False, local_hostname="client.test"
            ) as client:
                await client.ehlo()
                await client.execute_command(b"MAIL FROM:<a@here.test>")
                code, _ = await client.execute_command(b"RCPT TO:<x@there.test>")
                other, _ = await client.execute_command(b"RCPT TO:<y@there.test>")
                assert (code, other) == (451, 250)
                sink.put_off.clear()
                code, _ = await client.execute_command(b"RCPT TO:<x@there.test>")
                assert code == 250
                await client.data(compose("nonce", "a@here.test", "x@there.test"))
            (arrival,) = sink.arrivals
            assert arrival.recipients == ("y@there.test", "x@there.test")

    asyncio.run(run())


def test_waiting_ends_with_the_arrival_and_works_afterwards_too() -> None:
    async def run() -> None:
        async with serving() as (sink, (port,)):
            waiting = asyncio.create_task(sink.wait_for("nonce-2", 5))
            await asyncio.sleep(0)
            await send(port, compose("other", "a@here.test", "x@there.test"))
            assert not waiting.done()
            await send(port, compose("nonce-2", "a@here.test", "x@there.test"))
            assert (await waiting).carries("nonce-2")
            assert (await sink.wait_for("nonce-2", 0.1)).carries("nonce-2")
            assert len(sink.find("nonce-2")) == 1

    asyncio.run(run())


def test_waiting_in_vain() -> None:
    async def run() -> None:
        async with serving() as (sink, _):
            with pytest.raises(TimeoutError):
                await sink.wait_for("nowhere", 0.05)

    asyncio.run(run())


def test_a_bounce_that_quotes_the_message_does_not_count() -> None:
    async def run() -> None:
        async with serving() as (sink, (port,)):
            quoted = compose("nonce-3", "a@here.test", "x@there.test", rich=False)
            bounce = b"Subject: Undelivered\r\n\r\nYour message was:\r\n\r\n" + quoted
            await send(port, bounce)
            assert len(sink.arrivals) == 1
            assert not sink.find("nonce-3")

    asyncio.run(run())


def test_ipv6_and_several_sockets() -> None:
    async def run() -> None:
        async with serving("127.0.0.1", "::1") as (sink, ports):
            await send(ports[1], compose("nonce-4", "a@here.test", "x@there.test"), "::1")
            assert sink.arrivals[0].client == "::1"

    asyncio.run(run())


def test_as_a_smart_host_it_wants_a_login() -> None:
    def authenticator(*parts: object) -> AuthResult:
        data = parts[-1]
        assert isinstance(data, LoginPassword)
        return AuthResult(success=data.password == b"password", auth_data=data)

    async def run() -> None:
        async with serving(authenticator=authenticator) as (sink, (port,)):
            with pytest.raises(aiosmtplib.SMTPException):
                await send(port, compose("nonce-5", "a@here.test", "x@there.test"))
            await send(port, compose("nonce-5", "a@here.test", "x@there.test"), login=True)
            assert [arrival.login for arrival in sink.arrivals] == ["user"]

    asyncio.run(run())


def test_closing_drops_connections() -> None:
    async def run() -> None:
        async with serving() as (sink, (port,)):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert (await reader.readline()).startswith(b"220 mx.outside.test")
            await sink.close()
            with suppress(ConnectionError):
                assert await reader.read() == b""
            writer.close()
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", port)

    asyncio.run(run())
