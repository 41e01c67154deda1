"""The stand-in's `setup`: accounts and aliases."""

import os
import subprocess

import pytest
from standin_support import COMMANDS, LIBRARY


@pytest.fixture
def setup(tmp_path):
    """setup, with its folders moved into tmp_path."""
    text = (COMMANDS / "setup").read_text()
    text = text.replace("/usr/local/lib/standin", str(LIBRARY))
    text = text.replace("CONFIG_DIR=/tmp/docker-mailserver", f"CONFIG_DIR={tmp_path}")
    script = tmp_path / "setup"
    script.write_text(text)

    def run(*arguments, status=0):
        result = subprocess.run(
            ["bash", script, *arguments],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "ACCOUNT_PROVISIONER": "FILE"},
        )
        assert result.returncode == status, result.stderr
        return result

    return run


def test_setup_accounts(setup, tmp_path):
    accounts = tmp_path / "postfix-accounts.cf"
    setup("email", "add", "User@example.com", "p|w $1")
    setup("email", "add", "a.user@example.com", "PW")
    lines = accounts.read_text().splitlines()
    assert [line.partition("|")[0] for line in lines] == ["user@example.com", "a.user@example.com"]
    assert all(line.partition("|")[2].startswith("{SHA512-CRYPT}$6$") for line in lines)

    setup("email", "add", "user@example.com", "PW", status=1)
    setup("email", "update", "user@example.com", "new")
    assert accounts.read_text().splitlines()[0] != lines[0]
    assert accounts.read_text().splitlines()[1] == lines[1]
    assert setup("email", "list").stdout.split() == [
        "*",
        "user@example.com",
        "*",
        "a.user@example.com",
    ]

    setup("email", "del", "-n", "user@example.com")
    assert accounts.read_text() == lines[1] + "\n"
    setup("email", "del", "-n", "user@example.com", status=1)


def test_setup_aliases(setup, tmp_path):
    aliases = tmp_path / "postfix-virtual.cf"
    setup("email", "add", "user@example.com", "PW")
    setup("alias", "add", "info@example.com", "user@example.com")
    setup("alias", "add", "info@example.com", "else@example.org")
    assert aliases.read_text() == "info@example.com user@example.com,else@example.org\n"
    setup("alias", "add", "info@example.com", "else@example.org", status=1)
    setup("alias", "add", "user@example.com", "else@example.org", status=1)
    setup("email", "add", "info@example.com", "PW", status=1)
    assert "aliases -> info@example.com" in setup("email", "list").stdout

    setup("alias", "del", "info@example.com", "else@example.org")
    assert aliases.read_text() == "info@example.com user@example.com\n"
    setup("email", "del", "-n", "user@example.com")
    assert aliases.read_text() == ""


def test_setup_says_what_it_is(setup):
    assert "stand-in" in setup("--version").stdout
    assert "email add" in setup("help").stdout
    setup("no-such-command", status=2)
