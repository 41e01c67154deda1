"""The IMAP client on a server that says only what a test needs."""

from __future__ import annotations

import socket
import ssl
import threading
import time

from harness.probes.imap import Imap


def serve(sock: socket.socket) -> None:
    """Greet, take IDLE, and announce a message in two pieces once the client listens."""
    with sock, sock.makefile("rb") as lines:
        sock.sendall(b"* OK [CAPABILITY IMAP4rev1 IDLE] ready\r\n")
        for line in lines:
            tag, _, command = line.strip().partition(b" ")
            if command == b"IDLE":
                sock.sendall(b"+ idling\r\n")
                for piece in (b"* 3 E", b"XISTS\r\n"):
                    time.sleep(0.2)  # what the client does meanwhile cannot be seen from here
                    sock.sendall(piece)
                assert next(lines) == b"DONE\r\n"
            elif command == b"CAPABILITY":
                sock.sendall(b"* CAPABILITY IMAP4rev1 IDLE\r\n")
            sock.sendall(tag + b" OK done\r\n")


def test_an_announcement_that_comes_in_pieces_is_news_and_no_failure() -> None:
    near, far = socket.socketpair()
    server = threading.Thread(target=serve, args=(far,), daemon=True)
    server.start()
    client = Imap(near, "mail.example.com", ssl.create_default_context(), implicit=False)
    client.idle_until_news(within=5.0)
    client.idle_until_news(within=5.0)  # the session goes on
    client.close()
    server.join(10)
    assert not server.is_alive()
