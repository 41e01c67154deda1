"""A vantage connects where it says, in turn where that is needed."""

from __future__ import annotations

import asyncio
import socket
from collections import defaultdict

import pytest

from harness.vantage import Turns, Vantage


class Counting:
    """Hands out one end of a socket pair for each connection, and keeps the others."""

    def __init__(self, greets: bool) -> None:
        self.greets = greets
        self.asked: list[tuple[str, int, str | None]] = []
        self.waiting: list[socket.socket] = []
        self.ungreeted = 0
        self.most = 0

    async def connect(self, host: str, port: int, source: str | None) -> socket.socket:
        near, far = socket.socketpair()
        near.setblocking(False)
        self.asked.append((host, port, source))
        self.waiting.append(far)
        self.ungreeted += 1
        self.most = max(self.most, self.ungreeted)
        if self.greets:
            asyncio.get_running_loop().call_later(0.01, self._greet, far)
        return near

    def _greet(self, far: socket.socket) -> None:
        self.ungreeted -= 1
        far.send(b"220 hello\r\n")


def vantage(connector: Counting, turns: Turns | None, **more: dict[int, int]) -> Vantage:
    return Vantage("x_v4", "x", 4, "192.0.2.1", "192.0.2.2", connector, turns=turns, **more)


async def connect_all(place: Vantage, *ports: int) -> None:
    for sock in await asyncio.gather(*(place.connect(port) for port in ports)):
        sock.close()


def test_a_port_may_be_another_on_the_target() -> None:
    connector = Counting(greets=True)
    place = vantage(connector, None, ports={10025: 25})
    asyncio.run(connect_all(place, 10025))
    assert connector.asked == [("192.0.2.1", 25, "192.0.2.2")]
    assert place.leads_to(10025)
    assert not place.leads_to(110)


def test_without_turns_all_connect_at_once() -> None:
    connector = Counting(greets=True)
    asyncio.run(connect_all(vantage(connector, None), 25, 25, 25))
    assert connector.most == 3


def test_with_turns_the_next_waits_for_the_greeting_of_the_last() -> None:
    connector = Counting(greets=True)
    asyncio.run(connect_all(vantage(connector, defaultdict(asyncio.Lock)), 25, 25, 25))
    assert len(connector.asked) == 3
    assert connector.most == 1


def test_turns_are_by_port() -> None:
    connector = Counting(greets=True)
    asyncio.run(connect_all(vantage(connector, defaultdict(asyncio.Lock)), 25, 587))
    assert connector.most == 2


def test_who_is_not_greeted_holds_nobody_up_for_long() -> None:
    connector = Counting(greets=False)

    async def three() -> float:
        started = asyncio.get_running_loop().time()
        await connect_all(vantage(connector, defaultdict(asyncio.Lock)), 465, 465, 465)
        return asyncio.get_running_loop().time() - started

    assert asyncio.run(three()) < 1.0
    assert len(connector.asked) == 3


def test_the_wait_for_a_turn_is_not_the_wait_for_a_connection() -> None:
    connector = Counting(greets=True)
    turns: Turns = defaultdict(asyncio.Lock)

    async def late() -> socket.socket:
        await turns[25].acquire()
        asyncio.get_running_loop().call_later(0.1, turns[25].release)
        return await vantage(connector, turns).connect(25, within=0.05)

    asyncio.run(late()).close()


def test_a_connection_that_does_not_come_in_time_is_an_error() -> None:
    class Silent(Counting):
        async def connect(self, host: str, port: int, source: str | None) -> socket.socket:
            await asyncio.Event().wait()
            raise AssertionError

    with pytest.raises(TimeoutError):
        asyncio.run(vantage(Silent(False), defaultdict(asyncio.Lock)).connect(25, within=0.05))
