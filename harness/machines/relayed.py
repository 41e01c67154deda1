"""An outside that is a network namespace on the machine itself, reached through the machine.

A program in that namespace (`guest/relay.py`) opens the sockets and passes on what goes through
them. The sockets here look to probes and servers like the ones there: a connection that cannot be
opened fails with the other kernel's word for it, and a server sees its clients' own addresses.
"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias

from harness.errors import MachineError
from harness.loop import background, wait_for
from harness.machines.outside import Outside
from harness.machines.pump import Reader, Writer, socket_to

Stream: TypeAlias = tuple[Reader, Writer]
WITHIN = 10.0
"""Seconds in which the relay must have bound a socket."""


class Relayed(Outside):
    """The namespace that a relay runs in.

    Args:
        dial: opens a stream to the relay's unix socket.
    """

    def __init__(self, dial: Callable[[], Awaitable[Stream]]) -> None:
        self._dial = dial

    def open_socket(
        self,
        family: socket.AddressFamily,
        kind: socket.SocketKind,
        bind: tuple[str, int] | None = None,
        listen: bool = False,
    ) -> socket.socket:
        """A socket that is bound there: one that listens, or one for datagrams.

        Others have nothing that they could be before they are connected: see `connect`.

        Raises:
            OSError: the address is not one of the namespace's, or is in use.
        """
        assert bind is not None
        assert listen is (kind == socket.SOCK_STREAM), "a stream is opened by `connect`"
        return wait_for(self._bound(listen, bind), WITHIN)

    async def _bound(self, listen: bool, bind: tuple[str, int]) -> socket.socket:
        near, far = socket.socketpair(
            type=socket.SOCK_STREAM if listen else socket.SOCK_DGRAM,
        )
        far.setblocking(False)
        with far:
            if not listen:
                stream = await self._ask(do="udp", at=bind)
                datagrams = _Datagrams(near)
                datagrams.follow(_pass_datagrams(stream, far.dup()))
                return datagrams
            stream = await self._ask(do="listen", at=bind)
            listening = _Listening(near)
            listening.follow(self._accept(stream, listening, far.dup()))
            return listening

    async def _accept(self, stream: Stream, listening: _Listening, bell: socket.socket) -> None:
        """Fetch the clients that the relay announces, each as it comes."""
        reader, writer = stream
        fetching: set[asyncio.Task[None]] = set()

        async def fetch(client: tuple[str, int], number: int) -> None:
            try:
                taken = await self._ask(do="take", number=number)
            except (OSError, MachineError):
                return  # the machine is gone, and the client with it
            listening.waiting.append((await socket_to(*taken), client))
            bell.send(b"!")  # nothing is awaited from here on: hanging up finds it in the queue

        try:
            while line := await reader.readline():
                told = json.loads(line)
                host, port = told["client"]
                task = asyncio.create_task(fetch((host, port), told["number"]))
                fetching.add(task)
                task.add_done_callback(fetching.discard)
            await asyncio.Event().wait()  # at its end the bell would ring for ever
        finally:
            for task in fetching:
                task.cancel()
            writer.close()
            bell.close()
            listening.hang_up()

    def entered_by(self) -> None:
        """It is on another computer."""
        return

    async def connect(self, host: str, port: int, source: str | None) -> socket.socket:
        """Open a TCP connection (see `harness.vantage.Connector`)."""
        return await socket_to(*await self._ask(do="connect", to=(host, port), **{"from": source}))

    async def _ask(self, **what: Any) -> Stream:
        """A stream on which the relay does what it was asked.

        Raises:
            OSError: as the machine's kernel said it.
        """
        reader, writer = await self._dial()
        try:
            writer.write(json.dumps(what).encode() + b"\n")
            line = await reader.readline()
        except BaseException:
            writer.close()
            raise
        answer = json.loads(line or b'{"errno": 104, "text": "the relay on the machine hung up"}')
        if "errno" in answer:
            writer.close()
            raise OSError(answer["errno"], answer["text"])
        return reader, writer


class _Followed(socket.socket):
    """A socket, and the task that ends when it is closed."""

    def __init__(self, near: socket.socket) -> None:
        super().__init__(near.family, near.type, near.proto, near.detach())
        self.setblocking(False)
        self._task: asyncio.Task[None] | None = None

    def follow(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin what is done for it."""
        self._task = asyncio.create_task(work)

    def close(self) -> None:
        """Close it, and end what is done for it."""
        if self._task is not None:
            background().call_soon_threadsafe(self._task.cancel)
        super().close()


class _Listening(_Followed):
    """What a server accepts clients from, each with the address that it has there."""

    def __init__(self, near: socket.socket) -> None:
        super().__init__(near)
        self.waiting: deque[tuple[socket.socket, tuple[str, int]]] = deque()

    def listen(self, backlog: int = 0, /) -> None:
        """It does so already, over there."""

    def accept(self) -> tuple[socket.socket, tuple[str, int]]:
        """The next client, and its address."""
        if not self.recv(1):
            raise BlockingIOError
        return self.waiting.popleft()

    def hang_up(self) -> None:
        """Drop the clients that nobody accepted: they would wait for a greeting for ever."""
        while self.waiting:
            self.waiting.popleft()[0].close()


class _Datagrams(_Followed):
    """What a server receives datagrams from, and answers them by."""

    def recvfrom(self, size: int, flags: int = 0, /) -> tuple[bytes, Any]:
        """The next datagram, and who sent it."""
        told = json.loads(self.recv(1 << 18))
        return base64.b64decode(told["data"])[:size], tuple(told["peer"])

    def sendto(self, data: Any, address: Any, /) -> int:  # type: ignore[override]
        """Answer whoever has the address."""
        line = {"peer": address[:2], "data": base64.b64encode(data).decode()}
        self.send(json.dumps(line).encode())
        return len(data)


async def _pass_datagrams(stream: Stream, far: socket.socket) -> None:
    reader, writer = stream
    loop = asyncio.get_running_loop()
    far.setblocking(False)

    async def back() -> None:
        while line := await loop.sock_recv(far, 1 << 18):
            writer.write(line + b"\n")

    backwards = asyncio.create_task(back())
    try:
        while line := await reader.readline():
            await loop.sock_sendall(far, line)
    finally:
        backwards.cancel()
        writer.close()
        far.close()
