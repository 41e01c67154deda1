"""Which registries answer, which may speak plain HTTP, and why one did not give an image."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from image_support import closed_url, web_servers

from harness.mailserver.choose import registry_answers
from harness.mailserver.upstream import Reference, _explained


@pytest.fixture
def serve() -> Iterator:
    with web_servers() as start:
        yield start


@pytest.fixture
def closed() -> str:
    return closed_url()


@pytest.mark.parametrize("status", [200, 401, 404, 429, 503])
def test_any_status_is_an_answer(serve, status):
    assert registry_answers(serve(status), 5)


def test_nobody_listening_is_no_answer(closed):
    assert not registry_answers(closed, 5)


def test_unknown_name_is_no_answer():
    assert not registry_answers("http://registry.invalid/v2/", 5)


def test_silence_is_no_answer():
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        started = time.monotonic()
        assert not registry_answers(f"http://127.0.0.1:{server.getsockname()[1]}/", 0.2)
        assert time.monotonic() - started < 2


def test_another_protocol_is_no_answer():
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def greet() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"220 mail.example.com ESMTP\r\n")

        threading.Thread(target=greet, daemon=True).start()
        assert not registry_answers(f"http://127.0.0.1:{server.getsockname()[1]}/", 5)


@pytest.mark.parametrize(
    ("name", "local"),
    [
        ("localhost/x", True),
        ("localhost:5000/x", True),
        ("127.0.0.1:5000/x", True),
        ("[::1]:5000/x", True),
        ("localhost.example.com/x", False),
        ("localhosts:5000/x", False),
        ("127.example.com:5000/x", False),
        ("quay.io/x/y", False),
        ("x/localhost", False),
    ],
)
def test_only_this_computers_registries_may_speak_plain_http(name, local):
    assert Reference(name).local is local


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        ("reading manifest 9 in docker.io/a/b: manifest unknown", "no such name, tag or digest"),
        ("requested access to the resource is denied", "podman login"),
        ("unauthorized: authentication required", "podman login"),
        ("toomanyrequests: You have reached your pull rate limit", "wait"),
        ("pinging: dial tcp: lookup docker.io: no such host", "stand-in"),
        ("pinging: dial tcp 127.0.0.1:1: connect: connection refused", "stand-in"),
        ("net/http: TLS handshake timeout", "stand-in"),
        ("writing blob: write /var/tmp/x: no space left on device", "DMS_HARNESS_CACHE"),
        ("x509: certificate signed by unknown authority", "certificate"),
        ("something new", "podman pull"),
    ],
)
def test_failed_pull_is_explained(line, remedy):
    said = f"env ended with status 125:\nTrying to pull a/b:c...\nError: {line}\nmore\n"
    message, hint = _explained("a/b:c", said)
    assert message == f"a/b:c cannot be pulled: {line}"
    assert remedy in hint
