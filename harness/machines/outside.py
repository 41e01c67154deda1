"""The network that a machine is connected to, as a place to open sockets in."""

from __future__ import annotations

import asyncio
import socket


class Outside:
    """The network namespace of the process itself; kinds with one of their own override it."""

    def open_socket(
        self,
        family: socket.AddressFamily,
        kind: socket.SocketKind,
        bind: tuple[str, int] | None = None,
        listen: bool = False,
    ) -> socket.socket:
        """A non-blocking socket, bound and listening where asked.

        Raises:
            OSError: the address is not one of this place's.
        """
        sock = socket.socket(family, kind)
        sock.setblocking(False)
        try:
            if bind is not None:
                sock.bind(bind)
            if listen:
                sock.listen()
        except OSError:
            sock.close()
            raise
        return sock

    def entered_by(self) -> list[str] | None:
        """The words to put before a command of this computer's that it runs there.

        None where no command of this computer's can be run there.
        """
        return []

    async def connect(self, host: str, port: int, source: str | None) -> socket.socket:
        """Open a TCP connection (see `harness.vantage.Connector`)."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = await asyncio.to_thread(
            self.open_socket, family, socket.SOCK_STREAM, (source, 0) if source else None
        )
        try:
            await asyncio.get_running_loop().sock_connect(sock, (host, port))
        except BaseException:
            sock.close()
            raise
        return sock
