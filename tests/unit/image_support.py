"""Registries that answer or do not, and archives of images; holds no tests itself."""

from __future__ import annotations

import hashlib
import io
import json
import socket
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from harness.mailserver.archive import Kept
from harness.mailserver.upstream import Reference, Upstream

DIGEST = "sha256:" + "0123456789abcdef" * 4
UPSTREAM = "docker.io/mailserver/docker-mailserver"


@contextmanager
def web_servers() -> Iterator[Callable[[int], str]]:
    """Start web servers on loopback that answer every request with one status."""
    servers = []

    def start(status: int) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/v2/"

    try:
        yield start
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


def closed_url() -> str:
    """A URL where nothing listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}/v2/"


def config_of(text: str) -> bytes:
    return json.dumps({"architecture": "amd64", "config": {"Labels": {"text": text}}}).encode()


def write_tar(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def docker_files(*texts: str) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    images = []
    for text in texts:
        config = config_of(text)
        name = f"{hashlib.sha256(config).hexdigest()}.json"
        files |= {f"{text}.tar": text.encode() * 2000, name: config}
        images.append({"Config": name, "RepoTags": None, "Layers": [f"{text}.tar"]})
    return files | {"manifest.json": json.dumps(images).encode()}


def pulled(folder: Path) -> Kept:
    """A cache in which upstream's latest image is."""
    image = Upstream(folder, Reference(UPSTREAM), "")
    image.archive.parent.mkdir()
    write_tar(image.archive, docker_files("upstream"))
    return Kept.note(image.archive, [f"{UPSTREAM}@{DIGEST}"], str(image.reference))
