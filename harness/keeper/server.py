"""The keeper's verbs, and how it ends."""

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
from typing import Any, cast

from harness.keeper import cgroups, hostcheck, hostrun, netns, vm
from harness.keeper.commands import follow
from harness.keeper.container import Container, ContainerSpec, make_devices
from harness.keeper.kept_verbs import KeptVerbs
from harness.keeper.runtime import RUNTIME, SOCKET
from harness.keeper.store import TEMPORARY, Store, free_bytes, write_inside
from harness.keeper.vm_verbs import VmVerbs
from harness.ledger import Entry, Ledger, Remover, Swept, sweep

PRIVATE = Path("/run/systemd/nspawn")
"""systemd-nspawn wants a tmpfs here; the keeper's own mount namespace always has one."""
DEVICES = PRIVATE / "dms-harness-devices"
Reply = tuple[dict[str, Any], list[int]]
Progress = Callable[[str], Awaitable[None]]


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
        self._vm_verbs = VmVerbs(self)
        self._kept_verbs = KeptVerbs(self)
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
        make_devices(DEVICES)

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
            *(self.do_remove_machine(None, name) for name in list(self.containers)),
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
        for verbs in (self, self._vm_verbs):
            if verb := getattr(verbs, name, None):
                return cast("Callable[..., Awaitable[Reply]]", verb)
        return cast("Callable[..., Awaitable[Reply]]", getattr(self._kept_verbs, name))

    # -- verbs: the store ----------------------------------------------------------------------

    async def do_hello(self, _: Progress | None) -> Reply:
        """What the sweep at the start removed, and what the computer offers."""
        return {
            "swept": [str(entry) for entry in self.swept.removed],
            "stuck": [f"{entry}: {error}" for entry, error in self.swept.failed],
            "free": free_bytes(self.cache),
            "store": str(self.store.root),
        }, []

    async def do_stamp(self, _: Progress, name: str) -> Reply:
        """The notes of a finished subvolume, or nothing where it is missing or spoilt."""
        return {"stamp": self.store.stamp(name)}, []

    async def do_finished(self, _: Progress) -> Reply:
        """What the cache holds: each finished subvolume with its notes."""
        return {"finished": {name: self.store.stamp(name) for name in self.store.finished()}}, []

    async def do_discard(self, _: Progress, name: str) -> Reply:
        """Remove a subvolume of the cache."""
        return {"was_there": await asyncio.to_thread(self.store.delete, name)}, []

    async def do_bootstrap(
        self, progress: Progress, name: str, final: str, command: list[str], notes: dict[str, Any]
    ) -> Reply:
        """Fill a new subvolume by a command (`{target}` stands for it) and add it to the cache."""
        self._insist_on_store()
        name = self.own(name)
        target = str(self.store.path(name))
        snapshot = self.ledger.note("snapshot", name)
        try:
            self.store.create(name)
            await self.run_command(progress, name, [w.replace("{target}", target) for w in command])
            await asyncio.to_thread(self.store.finish, name, final, notes)
        finally:  # a failed build is in nobody's way when it is tried again
            await asyncio.to_thread(self.ledger.remove, snapshot, self.removers)
        return {}, []

    async def do_make_file(
        self, progress: Progress, name: str, path: str, command: list[str]
    ) -> Reply:
        """Make a file of the cache by a command (`{target}` stands for it), atomically."""
        final = Path(path)
        part = final.with_name(f"{self.owner}.{final.name}")
        entry = self.ledger.note("file", str(part))
        command = [word.replace("{target}", str(part)) for word in command]
        try:
            await self.run_command(progress, self.own(name), command)
            part.rename(final)
        finally:
            await asyncio.to_thread(self.ledger.remove, entry, self.removers)
        return {}, []

    async def do_make_file_online(
        self,
        progress: Progress,
        name: str,
        source: str,
        path: str,
        command: list[str],
        readable: dict[str, str],
        environment: dict[str, str],
        within: float,
    ) -> Reply:
        """Make a file of the cache, atomically, by a command with this computer's network.

        Args:
            progress: takes the lines that `hostrun.SHOWN` selects.
            name: unique within the run.
            source: the finished subvolume that the command runs in a throw-away copy of.
            path: the file; the command finds it, empty, as `hostrun.TARGET`.
            command: what to run.
            readable: path inside → path of this computer that the command may read.
            environment: variables for it.
            within: seconds.
        """
        self._insist_on_store()
        name = self.own(name)
        final = Path(path)
        part = final.with_name(f"{self.owner}.{final.name}")
        file = self.ledger.note("file", str(part))
        snapshot = self.ledger.note("snapshot", name)
        try:
            await asyncio.to_thread(self.store.snapshot, source, name)
            part.touch()
            os.chown(part, self.uid, -1)
            words = hostrun.nspawn(
                name,
                self.store.path(name),
                command,
                {hostrun.TARGET: str(part)},
                readable,
                environment,
            )
            async with asyncio.timeout(within):
                last = await self.run_command(progress, name, words, hostrun.SHOWN)
            part.rename(final)
        except TimeoutError:
            raise OSError(f"it did not end within {within:.0f} s") from None
        finally:
            for entry in (snapshot, file):
                await asyncio.to_thread(self.ledger.remove, entry, self.removers)
        return {"last": last}, []

    async def do_finish(self, _: Progress, name: str, final: str, notes: dict[str, Any]) -> Reply:
        """Add a halted machine's root to the cache, as the subvolume `final`."""
        container = self.containers[name]
        if container.status is None:
            raise OSError(f"machine {name} still runs")
        await asyncio.to_thread(self.store.finish, container.spec.name, final, notes)
        self.ledger.strike(Entry("snapshot", container.spec.name))
        return {}, []

    # -- verbs: machines -----------------------------------------------------------------------

    async def do_start_machine(
        self, _: Progress, name: str, source: str, files: dict[str, str], **spec: Any
    ) -> Reply:
        """Snapshot a subvolume and begin to boot it.

        Args:
            name: the machine's name within the run.
            source: the finished subvolume.
            files: path → text: what is written into the snapshot before the boot.
            spec: the other fields of `ContainerSpec`.
        """
        self._insist_on_store()
        own = self.own(name, prefix="machine-")
        self.ledger.note("snapshot", own)
        self.ledger.note("cgroup", own)
        await asyncio.to_thread(self.store.snapshot, source, own)
        root = self.store.path(own)
        cgroups.create(own)
        if "pids" not in cgroups.controllers(own):
            # podman sets a limit of its own by default, and fails where it cannot.
            files = files | {
                "/etc/containers/containers.conf.d/no-pids-controller.conf": (
                    "[containers]\npids_limit=0\n"
                )
            }
        for path, text in files.items():
            write_inside(root, path, text)
        console = self.runtime / f"{name}.console"
        console.touch()
        os.chown(console, self.uid, -1)
        container = Container(
            ContainerSpec(name=own, root=root, devices=DEVICES, console=console, **spec)
        )
        self.containers[name] = container
        await container.start()
        return {"console": str(console)}, []

    async def do_machine(self, _: Progress, name: str) -> Reply:
        """Whether a machine runs: its number of boots, and its exit status or nothing."""
        container = self.containers[name]
        return {"boots": container.boots, "status": container.status}, []

    async def do_wait_halted(self, _: Progress, name: str) -> Reply:
        """Wait until a machine has shut itself down; return its exit status."""
        return {"status": await self.containers[name].halted()}, []

    async def do_remove_machine(self, _: Progress | None, name: str) -> Reply:
        """Kill a machine and remove all that belonged to it; report what is still there."""
        own = self.own(name, prefix="machine-")
        container = self.containers.pop(name, None)
        if container is not None:  # else it could not be started
            await container.remove()
        for kind in ("cgroup", "snapshot"):
            entry = Entry(kind, own)
            await asyncio.to_thread(self.ledger.remove, entry, self.removers)
        return {"left": await asyncio.to_thread(hostcheck.remains, own, self.store)}, []

    async def do_socket(
        self,
        _: Progress,
        name: str,
        family: int,
        kind: int,
        bind: list[Any] | None,
        listen: bool,
    ) -> Reply:
        """Open a socket in a machine's outside and hand it over."""
        address = (str(bind[0]), int(bind[1])) if bind else None
        return {}, [
            netns.open_socket(self._outside_of(name), family, kind, address, listen).detach()
        ]

    async def do_outside(self, _: Progress, name: str) -> Reply:
        """Where root finds a machine's outside: a path to enter it by, while the keeper lives."""
        return {"path": f"/proc/{os.getpid()}/root{netns.NAMES / self._outside_of(name)}"}, []

    # -- helpers -------------------------------------------------------------------------------

    def _outside_of(self, name: str) -> str:
        container = self.containers.get(name)
        return container.outside if container else self._vm_verbs.outsides[name].namespace

    def _insist_on_store(self) -> None:
        if not self._with_store:
            raise OSError("this takes what the embedded machine needs, which this computer has not")

    def own(self, name: str, prefix: str = "build-") -> str:
        """A name that is unique on this computer, for something of that name within the run."""
        assert prefix in TEMPORARY
        return f"{prefix}{self.owner}-{name}"

    async def run_command(
        self,
        progress: Progress,
        cgroup: str,
        command: list[str],
        shown: tuple[str, ...] = ("I: ",),
    ) -> list[str]:
        """Run a long command in a cgroup of its own, which ends with it (see `follow`).

        Its temporary files, which can be as large as its result, lie in the cache and go with it.

        Raises:
            OSError: it failed; the text holds its last lines.
        """
        scratch = self.cache / f"{cgroup}.tmp"
        # Newest first: nothing is removed below a process, or a mount of its, that still lives.
        entries = [self.ledger.note("folder", str(scratch)), self.ledger.note("cgroup", cgroup)]
        scratch.mkdir()
        cgroups.create(cgroup)
        try:
            words = cgroups.command(cgroup, command)
            environment = os.environ | {"TMPDIR": str(scratch)}
            return await follow(progress, words, environment, shown, command[0])
        finally:
            # A client that hung up has its command ended too: nobody would take the result.
            for entry in reversed(entries):
                await asyncio.to_thread(self.ledger.remove, entry, self.removers)


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
