"""`dms-harness shell` on a real machine: what it prints holds, and nothing of it stays."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from support import NEEDS_ROOT, Run, is_alive, started

from harness import cache
from harness.keeper.client import Keeper

pytestmark = NEEDS_ROOT

VARIANT = "rootless_pasta_quadlet-permit_host"
"""Relays for strangers on the machine's network, and for nobody beyond."""
ENDS_WITHIN = 30.0
COMMAND_WITHIN = 30.0

Begin = Callable[..., AbstractContextManager[Run]]


@pytest.fixture
def begin(request: pytest.FixtureRequest, tmp_path: Path) -> Begin:
    """Starts a shell."""
    mailserver = request.config.getoption("--mailserver")

    def start(
        *more: str, variant: str = VARIANT, stdin: int | None = None
    ) -> AbstractContextManager[Run]:
        words = [*("-m", "harness.cli", "shell", variant), "--mailserver", mailserver]
        words += ["--runs", str(tmp_path / "runs"), *more]
        return started(words, tmp_path, cache.folder(), stdin=stdin)

    return start


def prompt(run: Run) -> str:
    """What it has written, once it waits for the user."""
    run.expect(lambda: "\n  record " in run.output(), "the shell")
    return run.output()


def line_of(output: str, name: str) -> str:
    """What is said at the beginning under a name."""
    found = re.search(rf"^  {name} +(.*)$", output, re.MULTILINE)
    assert found, output
    return found[1]


def here(command: Sequence[str]) -> str:
    """What a command says that is run as from another terminal."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=COMMAND_WITHIN,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def answer_to(output: str, line: str) -> str:
    """What was said to a line, up to the next one."""
    return output.partition(f"dms> {line}\n")[2].partition("dms> ")[0]


def test_a_session_through_a_pipe(begin: Begin, looker: Keeper) -> None:
    near, far = os.pipe()
    with begin(stdin=near) as run, open(far, "w", buffering=1) as typing:  # noqa: PTH123
        os.close(near)
        shown = prompt(run)
        assert "mail server  mail.example.com is up\n" in shown

        log_in = shlex.split(line_of(shown, "log in"))
        assert here([*log_in, "id -un; hostname"]).split() == ["root", "mailhost"]
        user, address = line_of(shown, "operator").split()[3].strip(";").split("@")
        assert log_in[-1] == f"root@{address}"
        as_operator = [*log_in[:-1], f"{user}@{address}"]
        assert here([*as_operator, "podman ps --format '{{.Names}}'"]).strip()

        outside = shlex.split(line_of(shown, "outside").partition(" COMMAND")[0])
        banner = here(
            [*outside, *("timeout", "20", "bash", "-c", f"head -1 </dev/tcp/{address}/587")]
        )
        assert banner.startswith("220 mail.example.com ")

        for line in (
            "relay outside_far_v4",
            "relay outside_lan_a_v4",
            "who outside_far_v4",
            "send localhost_v4 probe@outside.example",
            "send smtp",
            "fetch",
            "exec postconf -h myhostname",
            "machine hostname",
            "operator id -un",
            "log 1",
            "nonsense",
        ):
            typing.write(f"{line}\n")
        typing.close()
        assert run.end(120) == 1
        run.wait_until_gone(looker)
        output = run.output()

    assert "refused (RCPT TO: 554 5.7.1 " in answer_to(output, "relay outside_far_v4")
    assert "RELAYED: it arrived outside" in answer_to(output, "relay outside_lan_a_v4")
    assert "the server logs 198.51.100.7" in answer_to(output, "who outside_far_v4")
    sent = answer_to(output, "send localhost_v4 probe@outside.example")
    assert "DATA: 250" in sent
    assert "arrived outside, for probe@outside.example" in sent
    assert "arrived in the mailbox" in answer_to(output, "send smtp")
    assert "has 1 message " in answer_to(output, "fetch")
    assert answer_to(output, "exec postconf -h myhostname") == "mail.example.com\n"
    assert answer_to(output, "machine hostname") == "mailhost\n"
    assert answer_to(output, "operator id -un") == f"{user}\n"
    assert len(answer_to(output, "log 1").splitlines()) == 1
    assert "there is no such command" in answer_to(output, "nonsense")
    assert "everything is taken down, and nothing is left" in output
    assert "Traceback" not in output


def test_lines_of_the_command_line_and_their_status(begin: Begin, looker: Keeper) -> None:
    with begin("--command", "exec true", "--command", "machine exit 7") as run:
        assert run.end() == 7, run.output()
        run.wait_until_gone(looker)
    assert "(status 7)" in run.output()


def test_the_exit_status_of_a_refusal_and_of_an_open_relay(begin: Begin) -> None:
    with begin("--command", "relay outside_far_v4") as run:
        assert run.end() == 0, run.output()
    with begin("--command", "relay outside_lan_a_v4") as run:
        assert run.end() == 1, run.output()


def test_a_machine_whose_mail_server_does_not_come_up_can_be_looked_at(begin: Begin) -> None:
    variant = "rootless_guide_verbatim"
    with begin("--command", "machine hostname", variant=variant) as run:
        assert run.end() == 1, run.output()
    assert "did not come up: " in run.output()
    assert answer_to(run.output(), "machine hostname").startswith("mailhost\n")


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_a_shell_that_is_ended(
    begin: Begin, looker: Keeper, number: signal.Signals
) -> None:
    near, far = os.pipe()
    try:
        with begin(stdin=near) as run:
            prompt(run)
            assert any(thing.startswith("snapshot ") for thing in run.left(looker))
            run.process.send_signal(number)
            status = run.end(ENDS_WITHIN)
            run.wait_until_gone(looker)
    finally:
        os.close(near)
        os.close(far)
    killed = number == signal.SIGKILL
    assert status == (-number if killed else 128 + number)
    assert ("nothing is left" in run.output()) is not killed
    assert "Traceback" not in run.output()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT])
def test_nothing_outlives_a_shell_that_is_ended_on_its_way(
    begin: Begin, looker: Keeper, number: signal.Signals
) -> None:
    with begin() as run:
        run.expect(run.machine, "a machine's name")
        run.process.send_signal(number)
        assert run.end(ENDS_WITHIN) == 128 + number, run.output()
        run.wait_until_gone(looker)
    assert "\n  record " not in run.output()
    assert "Traceback" not in run.output()


def test_ctrl_c_ends_a_command_and_not_the_shell(begin: Begin, looker: Keeper) -> None:
    near, far = os.pipe()
    with begin(stdin=near) as run, open(far, "w", buffering=1) as typing:  # noqa: PTH123
        os.close(near)
        prompt(run)
        typing.write("machine echo begun > /run/mark; exec sleep 100\nmachine cat /run/mark\n")
        run.expect(lambda: "dms> machine echo" in run.output(), "the command")
        run.kill_group(signal.SIGINT)
        run.expect(lambda: "dms> machine cat" in run.output(), "the next command")
        typing.close()
        assert run.end(ENDS_WITHIN) == 130, run.output()
        run.wait_until_gone(looker)
    assert "machine: interrupted" in answer_to(
        run.output(), "machine echo begun > /run/mark; exec sleep 100"
    )
    assert "nothing is left" in run.output()


def test_a_name_that_is_none_starts_nothing(begin: Begin, looker: Keeper) -> None:
    with begin(variant="rootless_pasta_quadlet-permit_hots") as run:
        assert run.end() == 2
        assert run.left(looker) == []
    assert "did you mean" in run.output()
    assert not list(run.runs.glob("*"))


def test_the_path_into_the_outside_goes_with_the_keeper(begin: Begin, looker: Keeper) -> None:
    with begin("--command", "info") as run:
        assert run.end() == 0, run.output()
        path = re.search(r"--net=(\S+)", run.output())
        assert path
        run.wait_until_gone(looker)
    assert not Path(path[1]).exists()
    assert not is_alive(int(path[1].split("/")[2]))
