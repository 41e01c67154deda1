"""A host that somebody has, played by a machine that knows nothing of the harness's networks.

It is reached as a user's `ssh` would reach it: through a ProxyCommand in ~/.ssh/config.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness import addresses, cache
from harness.keeper.client import Keeper
from harness.loop import wait_for
from harness.machines.nspawn import NspawnMachine
from harness.machines.rootfs import ensure_rootfs
from harness.machines.stock import Network

ADMIN = "joan"
PROXY = """
import socket, sys, threading, os
line = socket.socket(socket.AF_UNIX)
line.connect(sys.argv[1])
def back():
    while data := line.recv(1 << 16):
        os.write(1, data)
    os._exit(0)
threading.Thread(target=back, daemon=True).start()
while data := os.read(0, 1 << 16):
    line.sendall(data)
"""
# The harness's own machine has the addresses of the documentation, as does the run's outside. A
# host of somebody's has others; its DNS answers nobody here.
HOST_SETUP = f"""
set -e
ip address flush dev enp1s0 scope global
ip address add 10.11.12.10/24 dev enp1s0
ip address add fd00:11:12::10/64 dev enp1s0 nodad
ip route replace default via 10.11.12.1
ip -6 route replace default via fd00:11:12::1
echo nameserver 10.11.12.1 > /etc/resolv.conf
echo "127.0.1.1 $(hostname)" >> /etc/hosts
useradd --create-home --shell /bin/bash {ADMIN}
echo '{ADMIN} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/{ADMIN}
install -d -m 700 -o {ADMIN} -g {ADMIN} /home/{ADMIN}/.ssh
install -m 600 -o {ADMIN} -g {ADMIN} /root/.ssh/authorized_keys /home/{ADMIN}/.ssh/authorized_keys
"""


class Host(NspawnMachine):
    """The machine, reached by its second interface: the first has an address of its own."""

    async def _dial(self):  # type: ignore[no-untyped-def]
        return await asyncio.wait_for(
            self.outside.connect(addresses.SECOND[4], 22, addresses.SECOND_NEIGHBOUR[4]), 5.0
        )


@dataclass
class Reachable:
    """The host, and the home directory of a user who can reach it as `myhost`."""

    machine: NspawnMachine
    home: Path


@contextmanager
def somebodys_host(folder: Path, name: str = "host") -> Iterator[Reachable]:
    """Run it while the block lasts."""
    keeper = Keeper(cache.folder(), "sshtest")
    try:
        login = cache.login(keeper.cache)
        rootfs = ensure_rootfs(keeper, login, print)
        machine = Host(keeper, name, rootfs, login, {}, ADMIN, Network(second="enp2s0"))
        machine.start()
        machine.wait_until_up()
        machine.succeed(HOST_SETUP)
        home = folder / "home"
        (home / ".ssh").mkdir(parents=True)
        line = folder / "line.sock"
        proxy = home / "proxy.py"
        proxy.write_text(PROXY)
        host_key = machine.succeed("cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub").strip()
        (home / ".ssh" / "known_hosts").write_text(f"myhost {host_key}\n")
        (home / ".ssh" / "config").write_text(
            f"Host myhost\n    ProxyCommand {sys.executable} {proxy} {line}\n"
            f"    IdentityFile {login.private_key}\n"
            f"    UserKnownHostsFile {home}/.ssh/known_hosts\n    HostKeyAlias myhost\n"
        )
        server = wait_for(asyncio.start_unix_server(lambda r, w: _to_host(machine, r, w), line))
        yield Reachable(machine, home)
        server.close()
        machine.destroy()
    finally:
        keeper.close()


async def _to_host(
    machine: NspawnMachine, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(1 << 16):
                target.write(data)
                await target.drain()
        target.close()

    far_reader, far_writer = await asyncio.open_connection(sock=await machine._dial())
    await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))
