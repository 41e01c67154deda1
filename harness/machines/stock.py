"""Where a run's machines come from, whatever their kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from harness import addresses
from harness.machines.base import BaseMachine
from harness.mailserver.image import NAME
from harness.vantage import Family

FACTS: Final[Mapping[str, str]] = {
    "distribution": '. /etc/os-release && echo "$ID $VERSION_ID"',
    "kernel": "uname -r",
    "systemd": "systemctl --version | head -1",
    "podman": "podman --version",
    # Of Debian's package, or Fedora's: asked without a terminal, it says nothing itself.
    "passt": "dpkg-query -W -f '${Version}' passt 2>/dev/null"
    " || rpm -q --qf '%{version}-%{release}' passt",
    "slirp4netns": "slirp4netns --version | head -1",
    # Where Debian has it, and where Fedora does.
    "netavark": "PATH=/usr/lib/podman:/usr/libexec/podman netavark --version",
    "compose": "docker-compose version --short",
    "firewalld": "firewall-offline-cmd --version",
    "image": f"podman image inspect --format '{{{{.Id}}}}' {NAME}",
    "host_key": "cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub",
}
"""What a machine is asked of itself, and how."""


@dataclass(frozen=True, slots=True)
class Network:
    """What a machine's network is like.

    Attributes:
        interface: the name of its network interface, which has the default routes.
        families: the IP versions that it has.
        second: the name of another interface, on a network of its own, or None.
    """

    interface: str = addresses.INTERFACE
    families: tuple[Family, ...] = (4, 6)
    second: str | None = None


USUAL: Final = Network()
"""What nearly all scenarios ask for."""


class Stock(Protocol):
    """Machines with podman and the mail server image, as many as are asked for, all alike."""

    @property
    def limit(self) -> int | None:
        """How many of its machines may exist at a time; None for as many as there is room for."""

    @property
    def proof(self) -> str:
        """What `close` has shown of a host that stays; empty where machines go as a whole."""

    @property
    def facts(self) -> Mapping[str, str]:
        """What its machines are made of: distribution, podman, systemd, …; see `golden.FACTS`.

        Empty as long as that is not known: before `prepare` where `prepare` has anything to do.
        """

    def prepare(self) -> None:
        """Do once what takes long, so that `fork` is quick.

        Raises:
            HarnessError: it cannot be done; says why and what to do.
        """

    def fork(self, name: str, network: Network = USUAL) -> BaseMachine:
        """A fresh machine, not yet started. Starting it waits until there is room for it.

        Args:
            name: unique within the run.
            network: what its network is like.
        """

    def close(self) -> list[str]:
        """Give back what `prepare` took; return what is left of it on this computer, in words."""


def made_of(machine: BaseMachine) -> dict[str, str]:
    """A machine's answers to `FACTS`, once it is provisioned and has its image."""
    return {fact: machine.run(command).stdout.strip() for fact, command in FACTS.items()}
