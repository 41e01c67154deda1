"""The run's end of the keeper: starts it, asks it for resources, and lives on its goodwill."""

from __future__ import annotations

import array
import errno
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import HostError

ROOT = os.geteuid() == 0


def ignore_progress(_: str) -> None:
    """For calls that take no time."""


def privileged() -> list[str]:
    """The words to put before a command that needs root.

    Raises:
        HostError: this user is not root and cannot become root without a password.
    """
    if ROOT:
        return []
    if shutil.which("sudo") is None:
        raise HostError("not root, and there is no sudo", "run as root, or install sudo")
    asked = subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False)
    if asked.returncode != 0:
        raise HostError(
            "not root, and sudo asks for a password",
            "run `sudo -v` first, allow sudo without a password, or run as root",
        )
    return ["sudo", "-n", "--"]


class Line:
    """A way to ask a keeper, for as long as it lives.

    Args:
        path: its socket.
    """

    def __init__(self, path: Path) -> None:
        self.socket = path

    def call(
        self, verb: str, progress: Callable[[str], None] = ignore_progress, **arguments: Any
    ) -> dict[str, Any]:
        """Ask for something and wait for it.

        Raises:
            OSError: the keeper could not do it.
            HostError: the keeper is gone.
        """
        result, fds = self._ask(verb, progress, arguments)
        assert not fds
        return result

    def open_socket(
        self,
        machine: str,
        family: socket.AddressFamily,
        kind: socket.SocketKind,
        bind: tuple[str, int] | None = None,
        listen: bool = False,
    ) -> socket.socket:
        """A socket in a machine's outside namespace, non-blocking and close-on-exec.

        Raises:
            OSError: the address cannot be bound to.
        """
        _, fds = self._ask(
            "socket",
            ignore_progress,
            {"name": machine, "family": family, "kind": kind, "bind": bind, "listen": listen},
        )
        sock = socket.socket(fileno=fds[0])
        sock.setblocking(False)
        return sock

    def _ask(
        self, verb: str, progress: Callable[[str], None], arguments: dict[str, Any]
    ) -> tuple[dict[str, Any], list[int]]:
        fds = array.array("i")
        with socket.socket(socket.AF_UNIX) as line:
            try:
                line.connect(str(self.socket))
                line.sendall(json.dumps({"verb": verb, **arguments}).encode() + b"\n")
            except (FileNotFoundError, ConnectionError) as error:
                raise HostError(
                    "the keeper is gone", "`dms-harness clean` removes what is left"
                ) from error
            received = b""
            while True:
                try:
                    chunk, control, _, _ = line.recvmsg(
                        1 << 16, socket.CMSG_SPACE(4), socket.MSG_CMSG_CLOEXEC
                    )
                except ConnectionError:
                    chunk, control = b"", []
                if not chunk:
                    raise HostError(
                        f"the keeper ended while it was asked for {verb!r}",
                        "something killed it; `dms-harness clean` removes what is left",
                    )
                for _, _, data in control:
                    fds.frombytes(data[: len(data) // 4 * 4])
                received += chunk
                *lines, received = received.split(b"\n")
                for text in lines:
                    message = json.loads(text)
                    if "progress" in message:
                        progress(message["progress"])
                        continue
                    result: dict[str, Any] = message["result"]
                    if "error" in result:
                        raise OSError(result.get("errno") or 0, result["error"])
                    return result, list(fds)


class Keeper(Line):
    """A running keeper.

    Args:
        cache: the harness's folder in the user's cache directory.
        label: says what it is for; part of the names of all its resources.
        with_store: whether machines are to be forked from the store.

    Raises:
        HostError: it did not start; the text is its own.
    """

    def __init__(self, cache: Path, label: str, with_store: bool = True) -> None:
        cache.mkdir(parents=True, exist_ok=True)
        self.cache = cache
        self._is_alone = False
        self._options = [] if with_store else ["--without-store"]
        for last in (False, True):
            self.owner = f"{label}-{os.getpid()}-{secrets.token_hex(2)}"
            ready = self._start()
            if "socket" in ready:
                super().__init__(Path(ready["socket"]))
                return
            # The kernel's word for a shortage that passes: seen once, under a load of ten.
            if last or ready.get("errno") != errno.EAGAIN:
                hint = ready.get("hint", "see `dms-harness doctor`")
                raise HostError(f"the keeper did not start: {ready['error']}", hint)

    def _start(self) -> dict[str, Any]:
        """Start the process; return what it says of itself: its socket, or why it has none."""
        # sudo keeps neither the environment nor open files beyond the standard ones: the keeper
        # finds its code by this path, and standard input is its line of life.
        code = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})"
        command = [
            *privileged(),
            *(sys.executable, "-I", "-S", "-c"),
            f"{code}; sys.argv[0] = 'dms-harness-keeper'; import harness.keeper.__main__",
            *("--cache", str(self.cache), "--owner", self.owner, "--uid", str(os.getuid())),
            *self._options,
        ]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            cwd="/",
        )
        assert self._process.stdout is not None
        try:
            ready: dict[str, Any] = json.loads(self._process.stdout.readline())
        except ValueError:
            ready = {}
        if "socket" not in ready:
            _, stderr = self._process.communicate()
            ready.setdefault("error", stderr.strip())
        return ready

    def is_gone(self) -> bool:
        """Whether it has ended, and all that it made with it."""
        return self._process.poll() is not None

    def close(self, within: float = 20.0) -> str:
        """Let everything go and wait until it is gone.

        Returns:
            What the keeper complained about, empty if nothing; or if it goes on by itself.
        """
        if self._is_alone:
            return ""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.stdin = None
        try:
            said, errors = self._process.communicate(timeout=within)
        except subprocess.TimeoutExpired:
            return f"the keeper (process {self._process.pid}) still works after {within:.0f} s"
        if self._process.returncode != 0:
            errors += f"the keeper ended with status {self._process.returncode}"
        return (said + errors).strip()

    def outlive(self, machines: Sequence[str], note: Mapping[str, Any]) -> Path:
        """Let it go on without this process, with some of its machines; see `KeptVerbs`.

        Args:
            machines: their names within the run; all others are removed.
            note: what others are told about them.

        Returns:
            The file that tells them.

        Raises:
            OSError: it cannot; it goes on as before.
        """
        told = self.call("outlive", machines=list(machines), note=dict(note))
        self._is_alone = True
        process = self._process
        for pipe in (process.stdin, process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()
        process.returncode = 0  # Python would warn of a process that nobody waits for
        return Path(told["marker"])
