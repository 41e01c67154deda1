"""No program of a report goes along unasked, and nothing of it is run here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from reproduce_support import ALL, QUADLET, RUN, SCENARIOS, SERVICE, planned, said, written

from harness.reproduce import match
from harness.reproduce.engine import Asked, plan


@pytest.fixture(autouse=True)
def _scenarios_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(match, "load_all", ALL)


# The config folder


@pytest.mark.parametrize(
    ("name", "text", "gone"),
    [
        ("user-patches.sh", "touch trap", "trap"),
        ("postfix-master.cf", "trap unix - n n - - pipe argv=/bin/trap", "trap"),
        ("postfix-main.cf", "mailbox_command = /bin/trap", "trap"),
        ("postfix-main.cf", "command_directory = /trap", "trap"),
        ("postfix-main.cf", "unheard_of = trap", "trap"),
        ("postfix-aliases.cf", "root: |/bin/trap", "trap"),
        ("dovecot.cf", "service trap { executable = script /bin/trap }", "executable"),
        ("dovecot.cf", "!include /etc/trap", "trap"),
        ("alice.dovecot.sieve", "pipe trap;", "trap"),
        ("rspamd/override.d/trap.lua", "trap", "trap"),
        ("fail2ban-jail.cf", "action = trap", "trap"),
        ("opendkim/keys/victim.de/mail.private", "trap", "trap"),
        ("ssl/privkey.pem", "trap", "trap"),
        ("unknown.bin", "trap", "trap"),
    ],
)
def test_programs_and_keys_of_the_config_folder_stay_out(
    tmp_path: Path, name: str, text: str, gone: str
) -> None:
    (tmp_path / "compose.yaml").write_text(SERVICE)
    path = tmp_path / "config" / name
    path.parent.mkdir(parents=True)
    path.write_text(f"{text}\n")
    made = planned(tmp_path)
    assert made.table
    assert gone not in "\n".join(made.files.values())
    assert name.rpartition("/")[2] in said(made, "refused") + said(made, "left out")


def test_scripts_go_along_where_the_user_says_so(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(SERVICE)
    (tmp_path / "user-patches.sh").write_text("postconf -n\n")
    made = plan(tmp_path, Asked(SCENARIOS, scripts=True))
    assert made.files["config/user-patches.sh"] == "postconf -n\n"


# Nothing is executed

TRAPPED = (
    "sh",
    "bash",
    "podman",
    "docker",
    "docker-compose",
    "podman-compose",
    "curl",
    "tar",
    "cat",
)


def test_nothing_of_a_report_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    traps, marks, report = tmp_path / "traps", tmp_path / "marks", tmp_path / "report"
    for folder in (traps, marks, report, report / "config"):
        folder.mkdir()
    for name in TRAPPED:
        trap = traps / name
        trap.write_text(f'#!/bin/true\n: > "{marks}/{name}"\n')
        trap.chmod(0o755)
    monkeypatch.setenv("PATH", str(traps))

    def started(*args: object, **_: object) -> None:
        (marks / "a-process").write_text(repr(args))

    for function in ("fork", "posix_spawn", "system", "execv", "execve", "popen"):
        monkeypatch.setattr(os, function, started)
    monkeypatch.setattr("subprocess.Popen", started)
    trap = f"touch {marks}/done"
    lines = f"    environment: {{LOG_LEVEL: '$$({trap})'}}\n    command: {trap}\n"
    (report / "compose.yaml").write_text(SERVICE + lines)
    (report / "dms.container").write_text(f"{QUADLET}[Service]\nExecStartPre={trap}\n")
    (report / "start.sh").write_text(RUN.format(f"-e 'LOG_LEVEL=$({trap})'", f"; {trap}"))
    (report / "start.sh").chmod(0o755)
    (report / "config" / "user-patches.sh").write_text(f"{trap}\n")
    (report / "report.md").write_text(f"## What happened\n\n$({trap})\n")
    for launcher in ("compose", "quadlet", "run"):
        made = plan(report, Asked(SCENARIOS, launcher=launcher))
        assert made.table["launcher"] == launcher
        made.write(tmp_path / "scenarios")
        made.sent()
        assert "touch" not in written(made)
    assert list(marks.iterdir()) == []
