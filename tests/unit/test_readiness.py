"""When a mail server counts as ready: the shell's part of it, run here."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from pathlib import Path

from harness.readiness import FILTER


def waited(folder: Path, setting: str) -> float:
    """The seconds that it takes where Postfix has this content filter."""
    postconf = folder / "postconf"
    postconf.write_text(f"#!/bin/sh\necho '{setting}'\n")
    postconf.chmod(0o755)
    began = time.monotonic()
    subprocess.run(
        ["bash", "-c", FILTER],
        env={"PATH": f"{folder}:{os.environ['PATH']}"},
        check=True,
        timeout=20,
    )
    return time.monotonic() - began


def test_without_a_content_filter_nothing_is_waited_for(tmp_path: Path) -> None:
    assert waited(tmp_path, "") < 2


def test_a_content_filter_is_waited_for_until_it_listens(tmp_path: Path) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))  # until it listens, who connects is refused
        port = sock.getsockname()[1]
        threading.Timer(0.6, sock.listen).start()
        assert waited(tmp_path, f"smtp-amavis:[127.0.0.1]:{port}") >= 0.6
