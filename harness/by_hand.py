"""What an operator does by hand around a deployment: puts files in their places, takes steps."""

from __future__ import annotations

import io
import shlex
import tarfile
import time
from collections.abc import Sequence

from harness import authority
from harness.launchers.base import Launcher
from harness.scenario import Scenario
from harness.scenario_parts import Step
from harness.scenario_words import User


def prepare(launcher: Launcher) -> None:
    """Put the operator's files in their places and take the operator's steps.

    Raises:
        CommandError: a step failed.
    """
    launcher.machine.succeed(
        "tar --extract --absolute-names --no-same-owner --file=-",
        launcher.user,
        stdin=_files(launcher.scenario),
    )
    take(launcher, launcher.scenario.prepare)


def take(launcher: Launcher, steps: Sequence[Step]) -> None:
    """Take some steps, in order.

    Raises:
        CommandError: one failed.
    """
    for step in steps:
        _by_hand(launcher, step, step.run)


def take_back(launcher: Launcher, steps: Sequence[Step]) -> None:
    """Undo some steps, the last first.

    Raises:
        CommandError: one cannot be undone.
    """
    for step in reversed(steps):
        if step.undo:
            _by_hand(launcher, step, step.undo)


def _by_hand(launcher: Launcher, step: Step, command: str) -> None:
    launcher.machine.succeed(in_bash(launcher, command), who(launcher, step.user))


def who(launcher: Launcher, user: User) -> str:
    """The name of the user on the machine that a step's `as` means."""
    return {
        "root": "root",
        "rootless": launcher.machine.user,
        "operator": launcher.user,
    }[user]


def in_bash(launcher: Launcher, command: str) -> str:
    """A scenario's command line for bash, with the variables that it may use."""
    table = launcher.scenario.table
    variables = f"CONTAINER={shlex.quote(table.container)} UNIT={shlex.quote(table.unit or '')}"
    return f"{variables} bash -c {shlex.quote(command)}"


def _files(scenario: Scenario) -> bytes:
    """The operator's files as a tar archive, relative to the operator's home."""
    table = scenario.table
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:

        def add(path: str, data: bytes, mode: int = 0o644) -> None:
            member = tarfile.TarInfo(path.removeprefix("~/"))
            member.size = len(data)
            member.mode = mode
            member.mtime = int(time.time())
            archive.addfile(member, io.BytesIO(data))

        for name, place in scenario.place.items():
            if name == table.env_file:
                add(place, scenario.environment().encode())
                continue
            for path, file in scenario.files(name).items():
                add(f"{place}/{path}".rstrip("/"), file.read_bytes())
        for hostname, place in table.certificates.items():
            chain, key = authority.certificate(hostname)
            add(f"{place}/fullchain.pem", chain)
            add(f"{place}/privkey.pem", key, 0o600)
    return buffer.getvalue()
