"""Where a run's machines come from, whatever their kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from harness import addresses
from harness.machines.base import BaseMachine
from harness.mailserver.image import NAME
from harness.vantage import Family

ROOTFUL: Final = (
    f"said=$(podman run --rm --network none --entrypoint true {NAME} 2>&1)"
    ' && echo yes || printf "%s\\n" "$said" | tail -n 1'
)
"""Whether podman starts a container of root's: `yes`, or why not."""

FACTS: Final[Mapping[str, str]] = {
    "distribution": '. /etc/os-release && echo "$ID ${VERSION_ID-$VERSION_CODENAME}"',
    # As `--distro` and `--vagrant-box` name the ones that there are.
    "distro": '. /etc/os-release && echo "$ID-${VERSION_ID-$VERSION_CODENAME}"',
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
    # The one of Debian 12 calls itself a composer.
    "podman-compose": "podman-compose --version 2>/dev/null"
    " | sed -n 's/^podman-composer\\? v.* //p'",
    "firewalld": "firewall-offline-cmd --version",
    # Which podman turns `.container` files into units; without it they are just files.
    "quadlet": "test -x /usr/lib/systemd/system-generators/podman-system-generator"
    " && echo yes || echo no",
    # A setting's name is among the words of a program that knows it.
    "rootless_port_forwarder": 'grep -qa rootless_port_forwarder "$(command -v podman)"'
    " && echo yes || echo no",
    "rootful containers": ROOTFUL,
    "oci runtime": "podman info --format '{{.Host.OCIRuntime.Name}}'",
    "network backend": "podman info --format '{{.Host.NetworkBackend}}'",
    "image": f"podman image inspect --format '{{{{.Id}}}}' {NAME}",
    # What docker-mailserver's own recipe, and whoever keeps to it, notes of its release.
    "docker-mailserver": "podman image inspect --format"
    f" '{{{{index .Labels \"org.opencontainers.image.version\"}}}}' {NAME}",
    "host_key": "cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub",
}
"""What a machine is asked of itself by root, and how."""

_DOES = f"c=$(podman create {{}} {NAME} 2>/dev/null) && podman rm $c >/dev/null"
"""Whether podman makes a container so; it says no to a network that it does not know."""
_SAYS = " && echo yes || echo no"

FEATURES: Final[Mapping[str, str]] = {
    "pasta network": f"command -v pasta >/dev/null && {_DOES.format('--network pasta')}{_SAYS}",
    "slirp4netns network": "command -v slirp4netns >/dev/null"
    f" && {_DOES.format('--network slirp4netns')}{_SAYS}",
    "rootless network": f"c=$(podman create {NAME}) && podman inspect --format"
    " '{{.HostConfig.NetworkMode}}' $c && podman rm $c >/dev/null",
    "rootless storage": "podman info --format"
    " '{{.Store.GraphDriverName}}{{range $name, $_ := .Store.GraphOptions}} {{$name}}{{end}}'",
}
"""What it is asked by the user who runs rootless containers: what podman can do for one.

Podman is asked to do a thing, not for its version, so that these hold for one that nobody knew.
"""


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
    """A machine's answers to `FACTS` and `FEATURES`, once it is provisioned and has its image.

    Those to the latter are missing where there is no rootless user yet.
    """
    made = {fact: machine.run(command).stdout.strip() for fact, command in FACTS.items()}
    if machine.user != "root":
        for feature, command in FEATURES.items():
            made[feature] = machine.run(command, machine.user).stdout.strip()
    return made
