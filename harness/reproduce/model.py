"""What a report asks to be deployed, whichever way it is launched: checked values only."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.scenario_words import LauncherName, NetworkName


@dataclass(frozen=True, slots=True)
class Port:
    """A published port.

    Attributes:
        host: the machine's, 0 for any.
        container: the container's.
        address: of the machine that it is bound to, or nothing: all of them.
        protocol: `tcp` or `udp`.
    """

    host: int
    container: int
    address: str = ""
    protocol: str = "tcp"


@dataclass(frozen=True, slots=True)
class Mount:
    """Something mounted into the container.

    Attributes:
        source: a path relative to the operator's folder, or the name of a volume.
        target: where it is in the container.
        options: `ro`, `Z` and the like.
        named: whether the source is a volume of podman's.
    """

    source: str
    target: str
    options: tuple[str, ...] = ()
    named: bool = False


@dataclass(slots=True)
class Net:
    """The container's network.

    Attributes:
        kind: what podman calls its mode; None where the report leaves that to podman.
        options: of the mode, such as `port_handler=slirp4netns`.
        name: of a bridge network that is not the launcher's default.
        ipv6: whether that network has IPv6.
        subnets: of that network.
        mtu: of that network, or None.
        internal: whether that network leads nowhere.
    """

    kind: NetworkName | None = None
    options: tuple[str, ...] = ()
    name: str = ""
    ipv6: bool = False
    subnets: tuple[str, ...] = ()
    mtu: int | None = None
    internal: bool = False


@dataclass(slots=True)
class Wanted:
    """A deployment as a report describes it.

    Attributes:
        launcher: how it is started.
        source: the report's file that says so.
        rootful: whether root runs it; None where nothing says so.
        why_mode: what says so.
        container: its name, or nothing.
        hostname: as it is said, also where it has no dot.
        domainname: said beside the hostname.
        image: as it is said.
        inline: settings in the file itself.
        env_files: the environment files that it names, as paths within the report.
        settings: what these have, in order.
        ports: what is published.
        mounts: what is mounted.
        net: the network.
        cap_add: capabilities beyond podman's default.
        cap_drop: capabilities of the default that it does without.
        label_disable: SELinux does not separate it.
        no_new_privileges: as podman calls it.
        user_maps: `UIDMap` and `GIDMap` as they are said, or `--uidmap`.
        userns: the user namespace's mode, or nothing.
        restart: the policy, or nothing.
        stop_timeout: seconds, or None.
        unit: the systemd unit, for the launchers that have one.
        wanted_by: the systemd target that starts it, or nothing.
    """

    launcher: LauncherName
    source: str
    rootful: bool | None = None
    why_mode: str = ""
    container: str = ""
    hostname: str = ""
    domainname: str = ""
    image: str = ""
    inline: dict[str, str] = field(default_factory=dict)
    env_files: list[str] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    ports: list[Port] = field(default_factory=list)
    mounts: list[Mount] = field(default_factory=list)
    net: Net = field(default_factory=Net)
    cap_add: list[str] = field(default_factory=list)
    cap_drop: list[str] = field(default_factory=list)
    label_disable: bool = False
    no_new_privileges: bool = False
    user_maps: list[tuple[str, str]] = field(default_factory=list)
    userns: str = ""
    restart: str = ""
    stop_timeout: int | None = None
    unit: str = ""
    wanted_by: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """All settings; those in the file itself win."""
        return {**self.settings, **self.inline}
