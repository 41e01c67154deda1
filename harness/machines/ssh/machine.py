"""A host of somebody's own as a machine: prepared for one scenario, and made as it was after it."""

from __future__ import annotations

import contextlib
import itertools
import socket
import time
from typing import TYPE_CHECKING

from harness import addresses
from harness.errors import CommandError, HostError, MachineError
from harness.machines.base import BaseMachine
from harness.machines.pump import Reader, Writer
from harness.machines.relayed import Relayed
from harness.machines.shell import Login
from harness.machines.ssh import network
from harness.machines.ssh.guard import PYTHON, STATE, UNIT, Guard
from harness.machines.ssh.look import USER
from harness.machines.stock import Network
from harness.mailserver.image import NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

ARCHIVE = f"{STATE}/image.tar"
"""The mail server image, on the host for the time of the run."""

_MAKE_USER = f"""set -e
cp -a --parents /etc/passwd- /etc/shadow- /etc/group- /etc/gshadow- /etc/subuid- /etc/subgid- \
    {STATE}/ready 2>/dev/null || true
useradd --create-home --shell /bin/bash {USER}
install -m 644 {ARCHIVE} /home/{USER}/image.tar
runuser -u {USER} -- sh -c 'mkdir -p ~/.config/systemd/user/sockets.target.wants &&
    ln -sf /usr/lib/systemd/user/podman.socket ~/.config/systemd/user/sockets.target.wants/'
"""
REMOVE_USER = f"""
uid=$(id -u {USER} 2>/dev/null) || exit 0
range=$(awk -F: '$1 == "{USER}" {{ print $2, $2 + $3 - 1 }}' /etc/subuid | head -1)
loginctl disable-linger {USER} 2>/dev/null
rm -f /var/lib/systemd/linger/{USER}
systemctl kill --signal=KILL user-$uid.slice 2>/dev/null
systemctl stop user@$uid.service user-runtime-dir@$uid.service user-$uid.slice 2>/dev/null
pkill -KILL -u {USER}
rm -rf /dev/shm/libpod_rootless_lock_$uid /run/user/$uid
set -- $range
find /tmp /var/tmp /dev/shm -xdev -mindepth 1 \
    \\( -uid $uid ${{1:+-o -uid +$(($1 - 1)) -uid -$(($2 + 1))}} \\) -depth -delete 2>/dev/null
for _ in $(seq 100); do
    out=$(userdel --remove {USER} 2>&1)
    id {USER} >/dev/null 2>&1 || break
    sleep 0.1
done
rm -rf --one-file-system /home/{USER}
rm -f /etc/passwd- /etc/shadow- /etc/group- /etc/gshadow- /etc/subuid- /etc/subgid-
cp -a {STATE}/ready/etc/*- /etc/ 2>/dev/null
! id {USER} 2>/dev/null || {{ echo "$out"; exit 1; }}
"""
LOAD = f"podman load --quiet --input ~/image.tar && rm ~/image.tar && podman image exists {NAME}"
_IS_ONLINE = "systemctl is-active --quiet network-online.target"


class SshMachine(BaseMachine):
    """The host, for one scenario.

    Args:
        guard: changes the host.
        name: unique within the run.
        login: the keys of the shells that the run makes on the host.
        facts: what the host is made of.
        net: what its network is like, as the scenario wants it.
        compare: says what of the host is not as it was before its first scenario, in words.
        room: held while the host is used for a scenario.
        user: who runs rootless containers.
    """

    kind = "ssh"
    address = addresses.MACHINE
    sshd = f"/usr/sbin/sshd -i -f {network.RUN}/sshd_config"

    _numbers = itertools.count(1)

    def __init__(
        self,
        guard: Guard,
        name: str,
        login: Login,
        facts: Mapping[str, str],
        net: Network,
        compare: Callable[[], list[str]],
        room: contextlib.AbstractContextManager[object],
        user: str = USER,
    ) -> None:
        super().__init__(name, login)
        self.guard = guard
        self.facts = facts
        self.network = net
        self.user = user
        self.outside = Relayed(self._to_relay)
        self._compare = compare
        self._room = room
        self._changes: int | None = None
        self._destroyed = False

    def start(self) -> None:
        """Make the user, the outside and podman's settings, once the host is free.

        Raises:
            MachineError: the host could not do it, or it was taken down already.
        """
        if self._changes is not None:
            return
        self._room.__enter__()
        if self._destroyed:
            self._room.__exit__(None, None, None)
            raise MachineError(f"{self.name} was taken down before it was started")
        self.begun = time.monotonic()
        guard, families = self.guard, self.network.families
        self._changes = guard.count()
        guard.change(
            "what a scenario changes",
            "true",
            f"systemctl -q stop '{UNIT}-shell-*'; "
            f"{PYTHON} {STATE}/restore.py {STATE}/ready.json put-back",
        )
        guard.change("the outside", network.up(families), network.down())
        guard.change(
            "podman's settings",
            f"mkdir -p $(dirname {network.DROP_IN}) && cat > {network.DROP_IN}",
            f"rm -f {network.DROP_IN}",
            network.containers_conf(families, self.network.interface).encode(),
        )
        if _fails(guard, _IS_ONLINE):
            online = "systemctl start network-online.target"
            guard.change("network-online.target", online, online.replace("start", "stop"))
        guard.change(f"user {USER}", _MAKE_USER, REMOVE_USER)
        guard.do("systemctl start podman.socket")
        self.succeed(LOAD, self.user, within=600)

    async def _to_relay(self) -> tuple[Reader, Writer]:
        connection = await self.shell.connection("root")
        return await connection.open_unix_connection(network.RELAY, encoding=None)

    async def _dial(self) -> socket.socket:
        if self._destroyed:
            raise HostError(f"machine {self.name} was taken down")
        return await self.guard.login.dial(
            "exec systemd-run --quiet --pipe --wait --collect"
            f" --unit={UNIT}-shell-{next(self._numbers)} {self.sshd}"
        )

    def wait_until_booted(self, within: float = 60.0) -> str:
        """Wait until root can log in. In which state its systemd is, is its owner's business."""
        self._poll(self._answers, within, lambda: MachineError(f"{self.name} does not answer"))
        return ""

    def reboot(self, within: float = 120.0) -> None:
        """Refuse to: the host is somebody's own."""
        raise MachineError(f"{self.name} is a host of your own, and not rebooted")

    def ended(self) -> str:
        """Why it cannot answer any more: taken down, or not reached."""
        if self._destroyed:
            return "it was taken down"
        return "" if self.guard.login.is_open else "the connection to it is closed"

    def ssh_words(self, user: str, address: str, known_hosts: Path) -> list[str]:
        """The command by which its owner logs in, as whoever that is."""
        return self.guard.login.where.ssh.split()

    def console(self) -> str:
        """There is none; the end of the kernel's log is what comes next to it."""
        if not self.guard.login.is_open:
            return ""
        return self.guard.login.run(self.guard.login.as_root("dmesg | tail -n 50")).stdout

    def destroy(self) -> list[str]:
        """Make the host what it was before `start`; return what of it is not so, in words."""
        if self._destroyed:
            return []
        self._destroyed = True
        self.shell.forget()
        if self._changes is None:
            return []
        try:
            return self.guard.undo(self._changes) + self._compare()
        finally:
            self._room.__exit__(None, None, None)


def _fails(guard: Guard, command: str) -> bool:
    try:
        guard.do(command)
    except CommandError:
        return True
    return False
