"""A small machine of Debian's that says it is Fedora, and packages with Fedora's names.

They are empty, but for the units and the firewall-cmd that provisioning uses. That Fedora has
packages of these names is not shown by them.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.machines.base import BaseMachine
from harness.machines.debian import package_list
from harness.machines.rootfs import PACKAGES

LIST = package_list(PACKAGES, "fedora")
MACHINE = (
    *("systemd", "systemd-sysv", "dbus", "libpam-systemd", "openssh-server", "passwd", "procps"),
    *("iproute2", "dnf", "rpm", "createrepo-c", "gpg", "gpg-agent"),
)
"""Debian's packages of the machine that says it is Fedora."""

_RUNS = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n"
_UNIT = f"{_RUNS}[Install]\nWantedBy=multi-user.target\n"
_SOCKET = "[Socket]\nListenStream=%t/podman/podman.sock\n[Install]\nWantedBy=sockets.target\n"
_SYSTEM, _USERS = "/usr/lib/systemd/system", "/usr/lib/systemd/user"
FILES = {
    "openssh-server": {f"{_SYSTEM}/sshd.service": _UNIT},
    "podman": {
        f"{_SYSTEM}/podman.socket": _SOCKET,
        f"{_SYSTEM}/podman.service": _RUNS,
        f"{_USERS}/podman.socket": _SOCKET,
    },
    "docker-distribution": {f"{_SYSTEM}/docker-distribution.service": _UNIT},
    "firewalld": {
        f"{_SYSTEM}/firewalld.service": _UNIT,
        # As Fedora's servers have it; the real one is a link, too.
        "/etc/firewalld/firewalld-server.conf": "DefaultZone=FedoraServer\n",
        "/usr/bin/firewall-cmd": "#!/bin/sh\nfor word; do zone=${word#--set-default-zone=}; done\n"
        'echo "$*" >> /var/log/firewall-cmd\n'
        'sed -i --follow-symlinks "s/^DefaultZone=.*/DefaultZone=$zone/"'
        " /etc/firewalld/firewalld.conf\n",
    },
}


def spec(names: Sequence[str]) -> str:
    """A recipe for rpmbuild: a package for each name."""
    text = (
        "Name: stand-in\nVersion: 44\nRelease: 1\nSummary: -\nLicense: none\nBuildArch: noarch\n"
        "%description\n-\n%install\n"
    )
    for files in FILES.values():
        for path, content in files.items():
            text += f"mkdir -p $(dirname %{{buildroot}}{path})\n"
            text += f"cat > %{{buildroot}}{path} <<'END'\n{content.replace('%', '%%')}END\n"
    text += "ln -s firewalld-server.conf %{buildroot}/etc/firewalld/firewalld.conf\n"
    text += "chmod 755 %{buildroot}/usr/bin/firewall-cmd\n"
    for name in names:
        # What a script needs (/bin/sh) is here, but no package of this repository has it.
        text += f"%package -n {name}\nSummary: -\nAutoReqProv: no\n%description -n {name}\n-\n"
        listed = [
            *FILES.get(name, ()),
            *(["/etc/firewalld/firewalld.conf"] * (name == "firewalld")),
        ]
        text += f"%files -n {name}\n" + "".join(f"{path}\n" for path in listed)
    return text


def say_fedora(machine: BaseMachine) -> None:
    """Have a machine of Debian's say that it is one of Fedora's."""
    machine.succeed(
        "rm /etc/os-release"
        # Debian's name for it, which would be in the way of the unit itself.
        " && rm -f /etc/systemd/system/sshd.service"
        # It would wait a minute for a firewall that is none, and never answers.
        " && rm /etc/systemd/system/network-online.target.wants/network-after-firewall.service"
        # Without these, useradd gives nobody sub-ids.
        " && rm -f /etc/subuid /etc/subgid",
    )
    machine.write_file("/etc/os-release", 'ID=fedora\nPRETTY_NAME="Fedora Linux 44"\n')
