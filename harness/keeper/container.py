"""One machine: two network namespaces with a link between them, and a systemd-nspawn in one.

                outside namespace                        machine's namespace
    dns, exchanger, far clients on lo ─┐
    clients on the machine's network ──┴ ve-lan ═══════ enp1s0  systemd, sshd, podman …
    a neighbour on another network ───── ve-second ════ (enp2s0, where it is asked for)

There is no route from the outside namespace to the computer's real network.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.keeper import cgroups, netns

REBOOT_STATUS = 133
"""With --keep-unit, systemd-nspawn leaves a reboot to whoever started it, by this exit status."""

PAYLOAD_WITHIN = 2.0
"""Seconds that systemd-nspawn is given to end after its machine was killed."""

# What systemd, podman and crun in a machine need beyond systemd-nspawn's own choice.
SYSTEM_CALLS = "@mount @keyring bpf open_by_handle_at"
"""The last is how podman 5.8 finds the process again that it is to stop. It takes a capability that
root of a machine has, who is ours, and no container of podman's is given."""
DEVICES = {"/dev/fuse": (10, 229), "/dev/net/tun": (10, 200)}
"""Device nodes that rootless containers need, with their numbers."""


def make_devices(folder: Path) -> None:
    """Make the nodes as a host with udev has them: usable by everybody.

    Nodes of their own, because those of this computer keep the modes that they have.
    """
    folder.mkdir()
    for device, numbers in DEVICES.items():
        node = folder / Path(device).name
        os.mknod(node, stat.S_IFCHR, os.makedev(*numbers))
        node.chmod(0o666)


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """What a machine is made of.

    Attributes:
        name: unique on this computer; also its cgroup's and its snapshot's name.
        root: its root directory.
        interface: the name of the machine's network interface (`enp1s0`).
        inside: the machine's addresses with prefix lengths.
        gateways: the outside's addresses that are the machine's default routes.
        lan: addresses on the machine's network that belong to the outside.
        far: addresses of the outside that the machine reaches through its gateway.
        devices: folder with the nodes of `DEVICES`.
        console: file that the machine's console is written to.
        second_interface: the name of another network interface, or None; no route leads there
            but that to its own network.
        second_inside: the machine's addresses on it, with prefix lengths.
        second_lan: the outside's addresses on its network, with prefix lengths.
    """

    name: str
    root: Path
    interface: str
    inside: Sequence[str]
    gateways: Sequence[str]
    lan: Sequence[str]
    far: Sequence[str]
    devices: Path
    console: Path
    second_interface: str | None = None
    second_inside: Sequence[str] = ()
    second_lan: Sequence[str] = ()


@dataclass
class Container:
    """A machine that is, or was, running.

    Attributes:
        boots: how often it has booted.
        status: the exit status of the last systemd-nspawn, or None while it runs.
    """

    spec: ContainerSpec
    boots: int = 0
    status: int | None = None
    _supervisor: asyncio.Task[None] | None = None
    _process: asyncio.subprocess.Process | None = None

    @property
    def outside(self) -> str:
        """The name of the outside namespace."""
        return f"{self.spec.name}-out"

    @property
    def inside(self) -> str:
        """The name of the machine's namespace."""
        return f"{self.spec.name}-in"

    async def start(self) -> None:
        """Make the namespaces and begin to boot; a reboot inside is followed by a new boot."""
        spec = self.spec
        await netns.ip(f"netns add {self.outside}\n")
        await netns.ip(netns.addresses_script("lo", spec.far), self.outside)
        await self._boot()
        self._supervisor = asyncio.create_task(self._supervise())

    async def _connect(self) -> None:
        """Link the machine with the outside. Each boot gets a kernel network state of its own."""
        spec = self.spec
        await netns.ip(f"netns add {self.inside}\n")
        # No probing for duplicates: until it is done, 1 to 2 s after the link is up, the machine
        # has no usable link-local address, and pasta never learns of one that comes later.
        for namespace in (self.inside, self.outside):
            netns.set_default(namespace, "ipv6/conf/default/dad_transmits", "0")
        links = [("ve-lan", spec.interface, spec.lan, spec.inside)]
        if spec.second_interface is not None:
            links += [("ve-second", spec.second_interface, spec.second_lan, spec.second_inside)]
        await netns.ip(
            "".join(
                f"link add {device} type veth peer name {interface} netns {self.inside}\n"
                + netns.addresses_script(device, lan)
                for device, interface, lan, _ in links
            ),
            self.outside,
        )
        await netns.ip(
            "link set lo up\n"
            + "".join(
                netns.addresses_script(interface, inside) for _, interface, _, inside in links
            )
            + "".join(f"route add default via {gateway}\n" for gateway in spec.gateways),
            self.inside,
        )

    async def _boot(self) -> None:
        await self._connect()
        spec = self.spec
        nspawn = [
            "systemd-nspawn",
            "--quiet",
            "--boot",
            "--register=no",
            "--keep-unit",
            # systemd writes to a terminal only.
            "--console=read-only",
            f"--directory={spec.root}",
            f"--machine={spec.name}",
            f"--network-namespace-path={netns.NAMES / self.inside}",
            "--resolv-conf=off",
            "--timezone=off",
            "--link-journal=no",
            "--capability=CAP_NET_ADMIN",
            f"--system-call-filter={SYSTEM_CALLS}",
            *(f"--bind={spec.devices / Path(device).name}:{device}" for device in DEVICES),
        ]
        with spec.console.open("ab") as console:
            self._process = await asyncio.create_subprocess_exec(
                *cgroups.command(spec.name, nspawn),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                env=os.environ
                | {
                    "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
                    # A container in the machine may mount its own /proc only where the machine's
                    # is not covered by read-only mounts.
                    "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "1",
                },
            )
        self.boots += 1

    async def _supervise(self) -> None:
        while True:
            assert self._process is not None
            status = await self._process.wait()
            if status != REBOOT_STATUS:
                self.status = status
                return
            await netns.ip(f"netns delete {self.inside}\n")
            # The link goes with the last user of the namespace, a moment later.
            for device in ("ve-lan", "ve-second"):
                await netns.ip(f"link delete {device}\n", self.outside, may_fail=True)
            await self._boot()

    async def halted(self) -> int:
        """Wait until the machine has shut itself down; return systemd-nspawn's exit status."""
        assert self._supervisor is not None
        await asyncio.shield(self._supervisor)
        assert self.status is not None
        return self.status

    async def remove(self) -> None:
        """Kill the machine, whatever it does, and let its namespaces go."""
        if self._supervisor is not None:
            self._supervisor.cancel()
        if self._process is not None:
            # systemd-nspawn reaps its machine at once; the computer's PID 1, whose child the
            # machine becomes where both are killed together, may take its time.
            with contextlib.suppress(TimeoutError, FileNotFoundError):
                payload = cgroups.path_of(self.spec.name) / "payload" / "cgroup.kill"
                payload.write_text("1", encoding="ascii")
                await asyncio.wait_for(self._process.wait(), PAYLOAD_WITHIN)
        await asyncio.to_thread(cgroups.remove, self.spec.name)
        if self._process is not None:
            await self._process.wait()
        for name in (self.inside, self.outside):
            await netns.ip(f"netns delete {name}\n", may_fail=True)
