"""With whose rights a keeper works, who may ask it, and what is said where there are none."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from keeper_support import ROOT_ONLY, child, end_without_a_trace, left_of, until

from harness.errors import HostError
from harness.keeper import client
from harness.keeper.client import Keeper

pytestmark = ROOT_ONLY

# As sudo does: it stays as the parent, and keeps neither the environment nor open files.
SUDO = """#!/bin/sh
[ "$1" = -n ] && shift
[ "$1" = -- ] && shift
python3 -c 'import os, subprocess, sys
sys.exit(subprocess.run(sys.argv[1:], env={"PATH": os.environ["PATH"]}).returncode)' "$@"
"""


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    keeper = Keeper(tmp_path / "cache", "t")
    yield keeper
    end_without_a_trace(keeper)


def test_an_ordinary_user_without_sudo_is_told_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(client, "ROOT", False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError, match="not root, and there is no sudo") as raised:
        Keeper(tmp_path / "cache", "t")
    assert "run as root, or install sudo" in raised.value.hint


def test_an_ordinary_user_whose_sudo_wants_a_password_is_told_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sudo = tmp_path / "sudo"
    sudo.write_text("#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n")
    sudo.chmod(0o755)
    monkeypatch.setattr(client, "ROOT", False)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(HostError, match="sudo asks for a password") as raised:
        Keeper(tmp_path / "cache", "t")
    assert "sudo -v" in raised.value.hint


def test_a_real_ordinary_user_is_no_root(tmp_path: Path) -> None:
    code = (
        "import os, sys; sys.path.insert(0, '.')\n"
        "import harness.keeper.client as client\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "client.ROOT = os.geteuid() == 0\n"
        "os.environ['PATH'] = '/nonexistent'\n"
        "try: client.privileged()\n"
        "except client.HostError as error: print(error)"
    )
    said, errors = child(code).communicate()
    assert errors == ""
    assert "not root" in said


def test_a_keeper_works_through_sudo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sudo = tmp_path / "bin" / "sudo"
    sudo.parent.mkdir()
    sudo.write_text(SUDO)
    sudo.chmod(0o755)
    monkeypatch.setattr(client, "ROOT", False)
    monkeypatch.setenv("PATH", str(sudo.parent), prepend=":")
    keeper = Keeper(tmp_path / "cache", "t")
    assert keeper.call("hello")["swept"] == []
    assert keeper.close() == ""
    assert until(lambda: not left_of(keeper.owner, keeper.cache))


def test_only_the_user_of_the_run_may_ask(keeper: Keeper) -> None:
    assert keeper.socket.stat().st_mode & 0o777 == 0o600
    code = (
        "import os, socket, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
    )
    asked = subprocess.run(
        [sys.executable, "-c", code, keeper.socket], capture_output=True, text=True, check=False
    )
    assert "PermissionError" in asked.stderr


def test_a_keeper_needs_the_standard_library_alone(tmp_path: Path) -> None:
    # It runs without site-packages, as another user, on computers that have only this Python.
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); sys.argv = ['keeper']\n"
        "import harness.keeper.server\n"
        "print([name for name in sys.modules if name in ('asyncssh', 'pydantic', 'pytest')])"
    )
    command = [sys.executable, "-I", "-S", "-c", code, str(Path(__file__).parents[2])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert (done.stdout, done.stderr) == ("[]\n", "")
