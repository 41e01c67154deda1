"""A scenario's folder, changed as a test wants, and what is said of it; holds no tests itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import ScenarioError
from harness.scenario_file import load

GOOD = """\
title = "A title"
launcher = "quadlet"
network = "pasta"
user = "rootless"
unit = "dms"
container = "dms"
hostname = "mail.example.com"
env_file = "mailserver.env"

[publish]
smtp = 25
imaps = 993

[place]
"dms.container" = "~/dms.container"
"config" = "~/config"

[[accounts]]
address = "alice@example.com"
password = "a"

[[accounts]]
address = "bob@example.com"
password = "b"

[[prepare]]
as = "root"
why = "because"
run = "true"

[[client_address]]
of = "outside"
is = "own"
why = "packets keep their source"

[[client_address]]
of = "localhost"
is = "own"
why = "as above"

[[client_address]]
of = "self_v4"
is = "machine"
why = "as above"

[[client_address]]
of = "self_v6"
is = "fe80::/10"
why = "mapped"

[variants.first]
expect.why = "nobody"

[variants.second_1]
env = { PERMIT_DOCKER = "host", OTHER = "a b" }
expect.relays_from = ["outside_lan_v4", "localhost"]
expect.why = "the /16"
"""
QUESTION = "{ of = 'socket', run = 'curl', is = 'OK', why = 'x' }"
ENVIRONMENT = "# an operator's comment\nA=1\nPERMIT_DOCKER=none"  # without a newline at its end


def folder(base: Path, text: str = GOOD, name: str = "some_folder") -> Path:
    path = base / name
    path.mkdir(parents=True)
    (path / "scenario.toml").write_text(text)
    (path / "mailserver.env").write_text(ENVIRONMENT)
    (path / "dms.container").write_text("[Container]\n")
    (path / "config").mkdir()
    return path


def refusal(path: Path) -> str:
    """What is said about a wrong scenario; always with its file and a remedy."""
    with pytest.raises(ScenarioError) as raised:
        load(path)
    assert str(path) in raised.value.message
    assert raised.value.hint
    return str(raised.value)


def said_of(base: Path, old: str, new: str) -> str:
    """What is said about the good scenario with one place of it changed."""
    assert GOOD.count(old) >= 1, old
    path = folder(base, GOOD.replace(old, new, 1))
    said = refusal(path)
    assert str(path / "scenario.toml") in said
    return said
