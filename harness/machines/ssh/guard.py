"""The harness's end of the guard that changes a host, and changes it back."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import shlex
from pathlib import Path
from typing import Any

import asyncssh

from harness.errors import CommandError, HostError
from harness.loop import begin, wait_for
from harness.machines.ssh.login import Login

GUEST = Path(__file__).parents[1] / "guest"
STATE = "/var/lib/dms-harness"
"""Where the host's guard notes what it has changed: on the disk, for a host may reboot."""
UNIT = "dms-harness"
"""What the names of all units begin with that the harness starts on a host."""
BEAT = 20.0
"""Seconds between two signs of life; the guard waits for six of them."""
WITHIN = 600.0
"""Seconds that a change may take."""
UNDONE_WITHIN = 300.0
"""Seconds that changing everything back may take."""

PYTHON = "python3 -I"
_AFTERWARDS = f"test ! -e {STATE}/guard.py || {PYTHON} {STATE}/guard.py {STATE} --undo"
"""What systemd does when the guard itself is killed."""


class Guard:
    """A guard on a host, at work until `close`, or until this process ends.

    It is a service of the host's systemd, so that it ends with no login; only its standard input
    is the connection's.

    Args:
        login: to the host.

    Attributes:
        found: what a dead run had left and was undone now, and what could not be.

    Raises:
        HostError: it does not start; another run may be using the host.
    """

    def __init__(self, login: Login) -> None:
        self.login = login
        for name in ("guard.py", "restore.py", "relay.py"):
            put = f"umask 077; mkdir -p {STATE} && cat > {STATE}/{name}"
            done = login.run(login.as_root(put), stdin=(GUEST / name).read_bytes())
            if done.status != 0:
                raise HostError(f"{login.where}: {STATE} cannot be written: {done.stderr.strip()}")
        self._numbers = itertools.count(1)
        self._turn = asyncio.Lock()
        self._process = wait_for(self._start())
        hello = wait_for(self._read(), UNDONE_WITHIN)
        if "error" in hello:
            raise HostError(f"{login.where}: {hello['error']}", "wait for its end")
        self.found: dict[str, list[str]] = hello
        self._beating = begin(self._beat())

    async def _start(self) -> asyncssh.SSHClientProcess[bytes]:
        return await self.login.process(
            f"exec systemd-run --quiet --pipe --wait --collect --unit={UNIT}-guard"
            f" --property=TimeoutStopSec={UNDONE_WITHIN:.0f}"
            f" --property=ExecStopPost={shlex.quote('/bin/sh -c ' + shlex.quote(_AFTERWARDS))}"
            f" {PYTHON} {STATE}/guard.py {STATE}"
        )

    async def _read(self) -> dict[str, Any]:
        line = await self._process.stdout.readline()
        if not line:
            said = text_of_end(await self._process.stderr.read())
            raise HostError(
                f"{self.login.where}: the guard on it has ended: {said}",
                "what it had changed is changed back; `dms-harness clean` looks again",
            )
        told: dict[str, Any] = json.loads(line)
        return told

    async def _beat(self) -> None:
        with contextlib.suppress(OSError, asyncssh.Error):
            while True:
                await asyncio.sleep(BEAT)
                self._process.stdin.write(b'{"do": "beat"}\n')

    async def order(self, **what: Any) -> dict[str, Any]:
        """Have the guard do something, and wait for it.

        Raises:
            HostError: it has ended.
        """
        async with self._turn:
            number = next(self._numbers)
            self._process.stdin.write(json.dumps({"number": number, **what}).encode() + b"\n")
            async with asyncio.timeout(WITHIN):
                answer = await self._read()
        if answer.get("number") != number:
            raise HostError(f"{self.login.where}: the guard on it has ended: {answer}")
        return answer

    def change(self, what: str, run: str, undo: str, given: bytes = b"") -> str:
        """Change something; what undoes it is noted first.

        Args:
            what: in words, for whoever reads what was undone or could not be.
            run: a script of root's.
            undo: another, which must do for what was begun only, and for what is undone already.
            given: the script's standard input.

        Returns:
            What the script wrote.

        Raises:
            CommandError: the script failed.
        """
        return self._run(what, do="change", what=what, run=run, undo=undo, input=given.decode())

    def do(self, run: str, given: bytes = b"") -> str:
        """Run a script of root's that changes nothing, or what is undone with something else.

        Raises:
            CommandError: the script failed.
        """
        return self._run(run, do="run", run=run, input=given.decode())

    def _run(self, shown: str, **order: Any) -> str:
        answer = wait_for(self.order(**order))
        if answer["status"] != 0:
            raise CommandError(f"{self.login.where}: {shown}: {answer['output'].strip()}")
        return str(answer["output"])

    def count(self) -> int:
        """How many changes there are."""
        return int(wait_for(self.order(do="count"))["count"])

    def undo(self, keep: int) -> list[str]:
        """Undo all changes but the first ones; return what could not be undone."""
        stuck: list[str] = wait_for(self.order(do="undo", keep=keep))["stuck"]
        return stuck

    def close(self) -> list[str]:
        """Have everything undone and wait for it; return what could not be."""
        self._beating.cancel()

        async def end() -> list[str]:
            async with self._turn:
                self._process.stdin.write_eof()
                told = await self._read()
                await self._process.wait()
            stuck: list[str] = told["stuck"]
            return stuck

        try:
            return wait_for(end(), UNDONE_WITHIN)
        except TimeoutError:
            return [f"{self.login.where}: not changed back after {UNDONE_WITHIN:.0f} s"]


def text_of_end(data: bytes) -> str:
    """The end of what a command wrote."""
    return data.decode(errors="replace").strip()[-500:]
