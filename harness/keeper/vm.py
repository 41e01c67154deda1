"""What the keeper does for a virtual machine: its outside, on a bridge of its own, and its end.

        outside namespace                this computer                     virtual machine
    dns, exchanger, far clients on lo
    clients on the machine's network ─ ve-lan ═══ port of the bridge ═══ tap ─── enp1s0
    a neighbour on another network ────┘                                            └ macvlan

Neither the bridge nor the outside has a way to the computer's real network.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.keeper import netns

LIBVIRT = "qemu:///system"
TOOL_WITHIN = 60.0
"""Seconds for one of libvirt's commands."""


@dataclass(frozen=True, slots=True)
class OutsideSpec:
    """The outside of a virtual machine.

    Attributes:
        name: unique on this computer.
        lan: addresses on the machine's network that belong to the outside, with prefix lengths.
        far: addresses of the outside that the machine reaches through its gateway.
        second_lan: the outside's addresses on the machine's other network, with prefix lengths.
    """

    name: str
    lan: Sequence[str]
    far: Sequence[str]
    second_lan: Sequence[str] = ()

    @property
    def namespace(self) -> str:
        """Its network namespace."""
        return f"{self.name}-out"

    @property
    def bridge(self) -> str:
        """The bridge, in this computer's own namespace; names of links have 15 letters at most."""
        return f"dms{hashlib.sha256(self.name.encode()).hexdigest()[:8]}"


async def open_outside(spec: OutsideSpec) -> None:
    """Make the bridge and the outside behind it; what is there of an earlier one goes first.

    Raises:
        OSError: it cannot be made.
    """
    bridge, port = spec.bridge, f"{spec.bridge}p"
    await close_outside(spec)
    await netns.ip(f"link add {bridge} type bridge\n")
    # The computer itself has no part in it: no address there, and no answer for those that it has
    # elsewhere, which may be the very same where it is a machine of ours itself.
    for setting, value in (("ipv6/conf/{}/disable_ipv6", "1"), ("ipv4/conf/{}/arp_ignore", "8")):
        path = Path("/proc/sys/net") / setting.format(bridge)
        if path.exists():
            path.write_text(value, encoding="ascii")
    await netns.ip(f"netns add {spec.namespace}\n")
    netns.set_default(spec.namespace, "ipv6/conf/default/dad_transmits", "0")
    await netns.ip(netns.addresses_script("lo", spec.far), spec.namespace)
    await netns.ip(
        f"link add {port} type veth peer name ve-lan netns {spec.namespace}\n"
        f"link set {port} master {bridge} up\n"
        f"link set {bridge} up\n"
    )
    await netns.ip(netns.addresses_script("ve-lan", [*spec.lan, *spec.second_lan]), spec.namespace)


async def close_outside(spec: OutsideSpec) -> None:
    """Let the outside and its bridge go, as far as they are there."""
    await netns.ip(f"netns delete {spec.namespace}\n", may_fail=True)
    await asyncio.to_thread(remove_link, f"{spec.bridge}p")
    await asyncio.to_thread(remove_link, spec.bridge)


def remove_link(name: str) -> bool:
    """Remove a network link of this computer's own namespace; tell whether it was there.

    Raises:
        OSError: it is still there.
    """
    there = _is_link(name)
    if there:
        # One whose other end's namespace was deleted goes by itself at any moment.
        _tool("ip", "link", "delete", name, may_fail=True)
        if _is_link(name):
            raise OSError(f"link {name} cannot be deleted")
    return there


def _is_link(name: str) -> bool:
    # Not by /sys/class/net, which may show another namespace: that of whoever mounted it.
    return any(link == name for _, link in socket.if_nameindex())


def remove_domain(name: str) -> bool:
    """End a virtual machine of libvirt's and remove its disks; tell whether it was there.

    Vagrant may have been killed at any moment, before it knew the machine as well.

    Raises:
        OSError: it is still there.
    """
    if shutil.which("virsh") is None:
        return False  # nor can there be one of libvirt's
    there = name in _virsh("list", "--all", "--name").split()
    if there:
        _virsh("destroy", name, may_fail=True)  # it may have ended
        _virsh(
            *("undefine", name, "--managed-save", "--snapshots-metadata", "--nvram"),
            "--remove-all-storage",
        )
    # A disk that was made before the machine was: Vagrant names it so.
    for pool in _virsh("pool-list", "--name").split():
        for line in _virsh("vol-list", pool).splitlines():
            volume, *_ = *line.split(), ""
            if volume.startswith(f"{name}."):
                _virsh("vol-delete", "--pool", pool, volume)
                there = True
    return there


def state_of(name: str) -> str:
    """A machine's state in libvirt's words (`running`, `shut off`, …), or nothing."""
    return _virsh("domstate", name, may_fail=True).strip()


def remains(name: str) -> list[str]:
    """What is still there of a virtual machine, in words."""
    if shutil.which("virsh") is not None and name in _virsh("list", "--all", "--name").split():
        return [f"virtual machine {name}"]
    return []


def as_user(uid: int, environment: Mapping[str, str], command: Sequence[str]) -> list[str]:
    """The words that run a command as the user whom the keeper works for."""
    assignments = [f"{name}={value}" for name, value in environment.items()]
    if uid == os.getuid():
        return ["env", *assignments, *command]
    gid = subprocess.run(
        ["id", "-g", str(uid)], capture_output=True, text=True, check=True
    ).stdout.strip()
    user = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--init-groups"]
    return [*user, "env", "-i", *assignments, *command]


def _virsh(*words: str, may_fail: bool = False) -> str:
    return _tool("virsh", "--quiet", "--connect", LIBVIRT, *words, may_fail=may_fail)


def _tool(*command: str, may_fail: bool = False) -> str:
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=TOOL_WITHIN,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"{' '.join(command)}: no end after {TOOL_WITHIN:.0f} s") from None
    if done.returncode != 0 and not may_fail:
        raise OSError(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout
