"""What a deployment leaves on the machine that it ran on.

The machine is looked at before the operator's first step and after the last one; what is there
then and was not before is a leak. Mail and configuration stay on purpose, and so do images.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping

from harness.machines.base import BaseMachine

State = Mapping[str, frozenset[str]]
"""Sort of thing → the things of that sort, a line each."""

# Each must print the same lines again while nothing changes.
_EVERYBODY = {
    "containers": "podman ps --all --format '{{.Names}} {{.State}}'",
    "networks": "podman network ls --format '{{.Name}}'",
    "volumes": "podman volume ls --format '{{.Name}}'",
    "units": "systemctl %s list-units --all --plain --no-legend --state=active,failed"
    " --type=service,socket,timer | cut -d' ' -f1",
}
_ROOT_ONLY = {
    "processes": "ps -eo user:20,comm --no-headers",
    "listening sockets": "ss -Hltun | awk '{print $1, $5}'",
    "firewall rules": "nft --stateless list ruleset",
    "network links": "ip -brief link | cut -d' ' -f1",
    "mounts": "findmnt --list --noheadings --output TARGET",
    "lingering users": "ls /var/lib/systemd/linger",
    "sysctl": "sysctl net.ipv4.ip_unprivileged_port_start net.ipv4.ip_forward"
    " net.ipv4.icmp_ratelimit",
}
# What comes and goes by itself, whole lines by sort of thing: the kernel's and systemd's own,
# podman's API while it is asked, the harness's own login. Of all other sorts everything counts.
_BY_ITSELF = {
    "processes": re.compile(
        r"\S+ +(kworker\S*|\(sd-pam\)|\(udev-worker\)|systemd-(hostnam|timedat|localed|tmpfile)\S*"
        r"|sshd?|sshd-\S+"
        # A user's own bus and podman's pause process are started once and stay.
        r"|podman|podman pause|catatonit|polkitd|dbus-daemon"
        # What prints the lines itself.
        r"|ps|ss|sh|bash|awk|mawk|gawk|cut|nft|ip|ls|sysctl|findmnt|systemctl|sftp-server)"
    ),
    "units": re.compile(
        r"(podman|polkit|dbus|podman-user-wait-network-online|systemd-tmpfiles-clean"
        r"|dms-harness-shell-\S*|systemd-hostnamed|systemd-timedated|systemd-localed|user@\d+|user-runtime-dir@\d+"
        r"|sshd?|sshd?@\S+)\.service"
    ),
    # A user's own file system, which a login brings; not what podman mounts in it.
    "mounts": re.compile(r"/run/user/\d+(/(?!containers|libpod|netns)\S*)?|/run/credentials/\S+"),
}


def lasting(sort: str, output: str) -> frozenset[str]:
    """The lines that a command has printed, without what comes and goes by itself."""
    by_itself = _BY_ITSELF.get(sort)
    lines = (line.strip() for line in output.splitlines())
    return frozenset(
        line for line in lines if line and not (by_itself and by_itself.fullmatch(line))
    )


async def look(machine: BaseMachine) -> State:
    """Everything on the machine that a deployment could leave behind."""

    async def section(user: str, name: str, command: str) -> tuple[str, frozenset[str]]:
        scope = "" if user == "root" else "--user"
        done = await machine.run_async(command.replace("%s", scope), user)
        sort = f"{user}'s {name}" if name in _EVERYBODY else name
        return sort, lasting(name, done.stdout)

    # A login starts a user's own systemd, which is to be there at the first look already.
    for user in ("root", machine.user):
        await machine.run_async("true", user)
    everybodys = await asyncio.gather(
        *(section(u, n, c) for u in ("root", machine.user) for n, c in _EVERYBODY.items())
    )
    # Afterwards: podman mounts its storage on itself while root asks it for anything.
    roots = await asyncio.gather(
        *(section("root", name, command) for name, command in _ROOT_ONLY.items())
    )
    return dict([*everybodys, *roots])


def left_behind(before: State, after: State) -> list[str]:
    """What is there now and was not before, in words."""
    return sorted(f"{sort}: {line}" for sort in after for line in after[sort] - before[sort])
