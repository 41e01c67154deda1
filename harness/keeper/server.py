"""The keeper's life, and how it answers."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

from harness.keeper import cgroups, netns, vm
from harness.keeper.build_verbs import BuildVerbs
from harness.keeper.container import Container, make_devices
from harness.keeper.kept_verbs import KeptVerbs
from harness.keeper.machine_verbs import MachineVerbs
from harness.keeper.runtime import RUNTIME, SOCKET, Progress, Reply
from harness.keeper.store import TEMPORARY, Store, free_bytes
from harness.keeper.vm_verbs import VmVerbs
from harness.ledger import Entry, Ledger, Remover, Swept, sweep

PRIVATE = Path("/run/systemd/nspawn")
"""systemd-nspawn wants a tmpfs here; the keeper's own mount namespace always has one."""


class Keeper:
    """Owns the resources of one run.

    Args:
        cache: the harness's folder in the user's cache directory.
        owner: unique name of the process that it works for.
        uid: who may talk to it.
        with_store: whether machines are forked from the store; it is not touched otherwise.
    """

    def __init__(self, cache: Path, owner: str, uid: int, with_store: bool = True) -> None:
        self.cache = cache
        self.owner = owner
        self.uid = uid
        self.store = Store(cache)
        self._with_store = with_store
        self.runtime = RUNTIME / owner
        self.containers: dict[str, Container] = {}
        self.removers: dict[str, Remover] = {
            "cgroup": cgroups.remove,
            # What is not looked at stays listed, for a keeper that does.
            "snapshot": self.store.delete if with_store else _not_here,
            "folder": _remove_folder,
            "file": _remove_file,
            "link": vm.remove_link,
            "domain": vm.remove_domain,
        }
        self.devices = PRIVATE / "dms-harness-devices"
        self.machine_verbs = MachineVerbs(self)
        self.vm_verbs = VmVerbs(self)
        self._verbs = (self, BuildVerbs(self), self.machine_verbs, self.vm_verbs, KeptVerbs(self))
        self.ledger: Ledger
        self.swept = Swept()
        self._ended = asyncio.Event()
        self._answers: set[asyncio.Task[None]] = set()

    # -- life ----------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Take possession: the ledger first, then what dead runs left, then an own folder.

        Raises:
            OSError: this computer lacks something that every machine needs.
        """
        netns.leave_host_mounts()
        for path in (netns.NAMES, PRIVATE):
            netns.mount_tmpfs(path)
        if self._with_store:
            self.store.mount()
        self.ledger = Ledger(self.cache / "ledger", self.owner)
        # Whoever makes a snapshot has a ledger by then: read in this order.
        snapshots = self.store.temporary() if self._with_store else []
        owners = [path.stem for path in (self.cache / "ledger").glob("*.jsonl")]
        self.swept = sweep(self.cache / "ledger", self.removers)
        for name in snapshots:
            if any(f"-{owner}-" in name for owner in owners):
                continue
            entry = Entry("snapshot", name)
            try:
                if self.store.delete(name):
                    self.swept.removed.append(entry)
            except OSError as error:
                self.swept.failed.append((entry, str(error)))
        self.ledger.note("folder", str(self.runtime))
        self.runtime.mkdir(parents=True)
        os.chown(self.runtime, self.uid, -1)
        make_devices(self.devices)

    async def serve(self, ready: Callable[[], None]) -> None:
        """Answer requests until the run ends, then take everything down."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._ended.set)
        path = self.runtime / SOCKET
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            os.chown(path, self.uid, -1)
            path.chmod(0o600)
            listener.listen(64)
            listener.setblocking(False)
            loop.set_default_executor(threads := ThreadPoolExecutor())
            accepting = asyncio.create_task(self._accept(listener))
            loop.add_reader(0, self._on_stdin)
            ready()
            await self._ended.wait()
            loop.remove_reader(0)
            # What is being made at this moment must be there or not before it is taken down.
            working = [accepting, *self._answers]
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)
            threads.shutdown()
            loop.set_default_executor(ThreadPoolExecutor())
        await self.take_down()

    def _on_stdin(self) -> None:
        """The run holds the other end of standard input: its end is the run's end."""
        if not os.read(0, 4096):
            self.end()

    def end(self) -> None:
        """Stop serving, and take everything down."""
        self._ended.set()

    async def take_down(self) -> None:
        """Remove every resource that the ledger lists, machines at once, newest first."""
        await asyncio.gather(
            *(self.machine_verbs.do_remove_machine(None, name) for name in list(self.containers)),
            return_exceptions=True,
        )
        for entry in reversed(self.ledger.entries.copy()):
            try:
                await asyncio.to_thread(self.ledger.remove, entry, self.removers)
            except OSError as error:
                print(f"keeper: {entry} is still there: {error}", flush=True)
        self.ledger.close()

    # -- requests ------------------------------------------------------------------------------

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(listener)
            task = asyncio.create_task(self._answer(connection))
            self._answers.add(task)
            task.add_done_callback(self._answers.discard)

    async def _answer(self, connection: socket.socket) -> None:
        """Answer one request: a JSON line, then progress lines, then one result line."""
        loop = asyncio.get_running_loop()

        async def progress(text: str) -> None:
            await loop.sock_sendall(connection, json.dumps({"progress": text}).encode() + b"\n")

        with connection:
            connection.setblocking(False)
            try:
                line = b""
                while not line.endswith(b"\n"):
                    chunk = await loop.sock_recv(connection, 1 << 16)
                    if not chunk:
                        return
                    line += chunk
                try:
                    request = json.loads(line)
                    verb = self._verb(f"do_{request.pop('verb')}")
                    reply, fds = await verb(progress, **request)
                except (BrokenPipeError, ConnectionResetError):
                    raise
                except OSError as error:
                    reply, fds = {"error": str(error), "errno": error.errno}, []
                except Exception as error:  # a mistake of the client's, or one of ours: it is told
                    said = f"{type(error).__name__}: {error}"
                    reply, fds = {"error": f"{line[:200].decode(errors='replace')}: {said}"}, []
                payload = json.dumps({"result": reply}).encode() + b"\n"
                if fds:
                    # Small enough for the socket's buffer: never a partial send.
                    socket.send_fds(connection, [payload], fds)
                    for fd in fds:
                        os.close(fd)
                else:
                    await loop.sock_sendall(connection, payload)
            except (BrokenPipeError, ConnectionResetError):
                return  # the client is gone; what it made is in the ledger

    def _verb(self, name: str) -> Callable[..., Awaitable[Reply]]:
        for verbs in self._verbs:
            if verb := getattr(verbs, name, None):
                return cast("Callable[..., Awaitable[Reply]]", verb)
        raise AttributeError(f"the keeper has no {name}")

    async def do_hello(self, _: Progress | None) -> Reply:
        """What the sweep at the start removed, and what the computer offers."""
        return {
            "swept": [str(entry) for entry in self.swept.removed],
            "stuck": [f"{entry}: {error}" for entry, error in self.swept.failed],
            "free": free_bytes(self.cache),
            "store": str(self.store.root),
        }, []

    # -- helpers -------------------------------------------------------------------------------

    def insist_on_store(self) -> None:
        """Refuse what takes the store, where there is none.

        Raises:
            OSError: there is none.
        """
        if not self._with_store:
            raise OSError("this takes what the embedded machine needs, which this computer has not")

    def own(self, name: str, prefix: str = "build-") -> str:
        """A name that is unique on this computer, for something of that name within the run."""
        assert prefix in TEMPORARY
        return f"{prefix}{self.owner}-{name}"


def _not_here(name: str) -> bool:
    raise OSError(f"the store with {name} is not in use by this run")


def _remove_folder(path: str) -> bool:
    there = Path(path).is_dir()
    # A root file system's folders: whatever should be mounted there is not removed.
    subprocess.run(["rm", "-rf", "--one-file-system", "--", path], check=False)
    return there


def _remove_file(path: str) -> bool:
    there = Path(path).exists()
    Path(path).unlink(missing_ok=True)
    return there
