"""What somebody's own host is like: whether a run may begin there, and whether all is as it was."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from harness.errors import HostError
from harness.leaks import State, lasting
from harness.machines.ssh import network
from harness.machines.ssh.guard import UNIT
from harness.machines.ssh.login import Login
from harness.scenario_words import STANDARD_PORTS

USER: Final = "mailop"
"""Who runs rootless containers; made for the run."""
HIGH_PORTS: Final = tuple(10000 + port for port in (25, 143, 465, 587, 993))
"""Where scenarios publish that may not use the low ones."""

PACKAGES: Final[Mapping[str, Mapping[str, str]]] = {
    "apt-get install": {
        "python3": "python3",
        "podman": "podman",
        "ip": "iproute2",
        "ss": "iproute2",
        "nft": "nftables",
        "firewall-cmd": "firewalld",
        "newuidmap": "uidmap",
        "pasta": "passt",
        "slirp4netns": "slirp4netns",
        "docker-compose": "docker-compose",
        "podman-compose": "podman-compose",
        "findmnt": "mount",
    },
    "dnf install": {
        "python3": "python3",
        "podman": "podman",
        "ip": "iproute",
        "ss": "iproute",
        "nft": "nftables",
        "firewall-cmd": "firewalld",
        "newuidmap": "shadow-utils",
        "pasta": "passt",
        "slirp4netns": "slirp4netns",
        "docker-compose": "docker-compose",
        "podman-compose": "podman-compose",
        "findmnt": "util-linux",
    },
}
"""How to install → what a run needs → the package that has it."""
LAUNCHED_WITH: Final = ("pasta", "slirp4netns", "docker-compose", "podman-compose")
"""What some scenarios need and others do not."""

_ASK = f"""
echo "id $(. /etc/os-release; echo "$ID $ID_LIKE")"
for c in {" ".join(PACKAGES["dnf install"])}; do command -v $c >/dev/null || echo "lacks $c"; done
test -x /usr/sbin/sshd || echo "lacks sshd"
test -d /run/systemd/system || echo "lacks systemd"
id {USER} >/dev/null 2>&1 && echo "has the user {USER}"
test -e /sys/class/net/{network.LINK} && echo "has the network interface {network.LINK}"
for n in {" ".join(network.NETWORKS)}; do
    ip route show root $n 2>/dev/null | grep -q . && echo "has a route to $n"
    ip -6 route show root $n 2>/dev/null | grep -q . && echo "has a route to $n"
done
ss -Hltnp | while read -r _ _ _ at _ who; do echo "listens $at $who"; done
echo "firewalld $(firewall-cmd --state 2>&1)"
echo "done"
"""


@dataclass(frozen=True, slots=True)
class Found:
    """What a host said of itself.

    Attributes:
        lacks: commands that it has not.
        install: the words before the packages' names in the distribution's install line.
        in_the_way: what it has and may not have.
        listening: port → what listens there, in the words of `ss`.
    """

    lacks: tuple[str, ...]
    install: str
    in_the_way: tuple[str, ...]
    listening: Mapping[int, str]


def understand(answer: str) -> Found:
    """What the answers to `_ASK` mean."""
    lacks: list[str] = []
    in_the_way: list[str] = []
    listening: dict[int, str] = {}
    install = "apt-get install"
    for line in answer.splitlines():
        word, _, rest = line.partition(" ")
        match word:
            case "id":
                if {"fedora", "rhel", "centos"} & set(rest.split()):
                    install = "dnf install"
            case "lacks":
                lacks.append(rest)
            case "has":
                in_the_way.append(rest)
            case "listens":
                at, _, who = rest.partition(" ")
                listening[int(at.rpartition(":")[2])] = who.strip()
    return Found(tuple(lacks), install, tuple(dict.fromkeys(in_the_way)), listening)


def refuse(where: object, found: Found) -> None:
    """See that a run may begin, before anything is changed.

    Raises:
        HostError: something is missing or in the way; all of it, and what to do.
    """
    missing = [each for each in found.lacks if each not in LAUNCHED_WITH]
    if missing:
        packages = dict.fromkeys(PACKAGES[found.install].get(each, each) for each in missing)
        raise HostError(
            f"{where}: has no {', '.join(missing)}, and nothing is installed on a host of yours",
            f"{found.install} {' '.join(packages)}",
        )
    if found.in_the_way:
        raise HostError(
            f"{where}: {'; '.join(found.in_the_way)} already, which the run makes",
            "`dms-harness clean` removes what a dead run left; what is yours, you must",
        )
    taken = [port for port in (*STANDARD_PORTS, *HIGH_PORTS) if port in found.listening]
    if taken:
        shown = "; ".join(f"port {port}: {found.listening[port] or 'the kernel'}" for port in taken)
        raise HostError(
            f"{where}: the ports of mail servers are in use there: {shown}",
            "stop it for the time of the run, or take a staging twin of the host",
        )


def ask(login: Login) -> Found:
    """Have a host answer."""
    done = login.run(login.as_root(_ASK))
    if not done.stdout.rstrip().endswith("done"):
        raise HostError(f"{login.where}: does not tell what it has: {done.stderr.strip()}")
    return understand(done.stdout)


_LOOKS: Final[Mapping[str, str]] = {
    "containers": "podman ps --all --format '{{.Names}} {{.State}}'",
    "networks": "podman network ls --format '{{.Name}}'",
    "volumes": "podman volume ls --format '{{.Name}}'",
    "images": "podman images --all --no-trunc --format '{{.Id}} {{.Repository}}:{{.Tag}}'",
    "units": "systemctl list-units --all --plain --no-legend --state=active,failed"
    " --type=service,socket,timer | cut -d' ' -f1 | grep -v ^dms-harness",
    "the run's units": f"systemctl list-units --all --plain --no-legend '{UNIT}*' | cut -d' ' -f1"
    f" | grep -v ^{UNIT}-guard",
    "enabled units": "systemctl list-unit-files --no-legend --state=enabled | cut -d' ' -f1",
    "processes": "ps -eo user:20,comm --no-headers | grep -E '^[0-9]|^mailop"
    "|conmon|pasta|passt|slirp4netns|rootlessport|aardvark|catatonit|crun|runc'",
    "listening sockets": "ss -Hltn | awk '{print $4}'",
    "firewall rules": "nft --stateless --terse list ruleset",
    "firewalld": "firewall-cmd --list-all-zones; firewall-cmd --permanent --list-all-zones",
    "network links": "ip -brief link | cut -d' ' -f1",
    "addresses": "ip -brief address | awk '{$2=\"\"; print}'",
    "routes": "ip route show; ip -6 route show | sed 's/ expires [^ ]*//'",
    "network namespaces": "ip netns list",
    "mounts": "findmnt --list --noheadings --output TARGET",
    "lingering users": "ls /var/lib/systemd/linger",
    "users": "getent passwd; getent group; cat /etc/subuid /etc/subgid",
    "sysctl": "sysctl net.ipv4.ip_unprivileged_port_start net.ipv4.ip_forward"
    " net.ipv6.conf.all.forwarding net.ipv4.icmp_ratelimit",
    "files in /etc": "cd /etc && find . -xdev -type f -exec sha256sum {} + && find . -xdev -type l"
    " -printf '%p -> %l\\n' && find . -xdev -type d",
    "files": "ls -A /root /srv /home /var/lib; find /tmp /var/tmp /run /dev/shm -xdev -nouser;"
    " cd /run && ls -d crun runc libpod netavark netns dms* 2>/dev/null",
}
"""Everything that a run could leave on a host. Each must print the same while nothing changes, on
a host that others use as well: what these others begin and end must not be among it."""
_HASH: Final = re.compile(r"[0-9a-f]{64}  ")
"""Of a file's content: nobody reads it, and some files are not for everybody's eyes."""
_MARK: Final = "=== "
"""What comes before each sort of thing."""


def look(login: Login) -> State:
    """Everything on a host that a run could leave behind, without changing anything for it.

    Raises:
        HostError: the host does not answer.
    """
    # In one go: where names are not resolved, each sudo takes its time.
    script = "".join(
        f"echo {shlex.quote(_MARK + sort)}; {{ {command}; }} 2>&1\n"
        for sort, command in _LOOKS.items()
    )
    done = login.run(login.as_root(script), within=300)
    parts = done.stdout.split(_MARK)[1:]
    if len(parts) != len(_LOOKS):
        raise HostError(f"{login.where}: cannot be looked at: {done.stdout}{done.stderr}")
    state: dict[str, frozenset[str]] = {}
    for part in parts:
        sort, _, output = part.partition("\n")
        state[sort] = lasting(sort, output)
    return state


def differences(before: State, after: State) -> list[str]:
    """What is there now and was not before, and the other way round, in words."""
    units = before.get("units", frozenset()) & after.get("units", frozenset())
    by_themselves = {
        f"units: {unit.rpartition('.')[0]}.service"
        for unit in units
        if unit.endswith((".socket", ".timer"))
    }
    new, gone = (
        [
            f"{word}: {sort}: {_HASH.sub('', line)}"
            for sort in one
            for line in one[sort] - other[sort]
        ]
        for word, one, other in (("new", after, before), ("gone", before, after))
    )
    # What somebody's sockets and timers start comes and goes; a process may end at any time.
    return [
        line
        for line in (*sorted(new), *sorted(gone))
        if line.partition(": ")[2] not in by_themselves and not line.startswith("gone: processes")
    ]
