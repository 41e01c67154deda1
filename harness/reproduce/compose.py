"""Reads a compose file: the mail server's service, its networks, and what is not taken over."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from harness.reproduce import allowed, networks
from harness.reproduce.environment import taken
from harness.reproduce.interpolate import interpolated
from harness.reproduce.model import Port, Wanted
from harness.reproduce.notes import Notes
from harness.reproduce.safe_yaml import NotYamlError, Value, mapping, parse, sequence, word

SERVICE: Final = "mailserver"
"""What the service is called that is deployed."""
HARMLESS: Final[Mapping[str, str]] = {
    "build": "an image is taken that --mailserver names; nothing of a report's is built",
    "deploy": "how many and how large says nothing about one mail server",
    "dns": "names are the outside's that belongs to the machine",
    "extra_hosts": "names are the outside's that belongs to the machine",
    "healthcheck": "commands in the container; the harness looks for itself",
    "labels": "names for others",
    "logging": "where the log goes is the machine's",
}
"""Keys of a service with the reason why they are left out."""
DANGEROUS: Final[Mapping[str, str]] = {
    "privileged": "the container would have all rights on the machine",
    "devices": "the machine's devices are not the container's",
    "device_cgroup_rules": "the machine's devices are not the container's",
    "pid": "the machine's processes are not the container's",
    "ipc": "the machine's memory is not the container's",
    "uts": "the machine's name is not the container's",
    "cgroup": "the machine's control groups are not the container's",
    "cgroup_parent": "the machine's control groups are not the container's",
    "cgroupns": "the machine's control groups are not the container's",
    "entrypoint": "a report brings no commands; the image's own is run",
    "command": "a report brings no commands; the image's own is run",
    "user": "the image's programs change users themselves",
    "extends": "takes over what another file says",
    "sysctls": "kernel settings",
    "ulimits": "limits beyond the machine's",
    "runtime": "another program would run the container",
    "volumes_from": "another container's volumes",
    "secrets": "a report brings no secrets",
    "configs": "files from elsewhere",
    "credential_spec": "a report brings no secrets",
    "tmpfs": "mounts beside docker-mailserver's own",
    "post_start": "a report brings no commands",
    "pre_stop": "a report brings no commands",
    "isolation": "another program would run the container",
}
_FLAGS_OFF: Final = ("privileged",)
_TOP: Final[Mapping[str, str]] = {
    "version": "",
    "services": "",
    "networks": "",
    "volumes": "",
    "name": "the project's name is the folder's here",
    "include": "takes over what another file says",
    "secrets": "a report brings no secrets",
    "configs": "files from elsewhere",
}


def read_compose(
    text: str, name: str, dot_env: Mapping[str, str], launcher_is_podman: bool, notes: Notes
) -> Wanted | None:
    """What a compose file asks for; None where it cannot be read, or has no mail server.

    Args:
        text: the file's.
        name: its name.
        dot_env: the variables of the `.env` beside it.
        launcher_is_podman: whether podman-compose is what starts it.
        notes: takes what is said of it.
    """
    try:
        raw = interpolated(parse(text, name, notes), dot_env, name, notes)
    except NotYamlError as error:
        notes.add("refused", name, str(error), decides=True)
        return None
    top = mapping(raw)
    for key in top:
        if key in ("include",):
            notes.add("refused", f"{name}: {key}", _TOP[key])
        elif (why := _TOP.get(key)) is None or why:
            notes.add("left out", f"{name}: {key}", why or "not known here")
    services = mapping(top.get("services"))
    chosen = _mail_server(services)
    if chosen is None:
        notes.add(
            "unmatched", f"{name}: services", "none of them is docker-mailserver", decides=True
        )
        return None
    for other in services:
        if other != chosen:
            notes.add("left out", f"{name}: services.{other}", "only the mail server is deployed")
    if chosen != SERVICE:
        notes.add("substituted", f"{name}: services.{chosen}", f"is called {SERVICE} here")
    wanted = Wanted("podman_compose" if launcher_is_podman else "compose", name)
    _service(wanted, mapping(services[chosen]), f"{name}: services.{chosen}", notes)
    _networks(wanted, mapping(top.get("networks")), name, notes)
    for volume, about in mapping(top.get("volumes")).items():
        if mapping(about):
            notes.add("refused", f"{name}: volumes.{volume}", "a volume with a driver or options")
    return wanted


def _mail_server(services: Mapping[str, Value]) -> str | None:
    """The name of the mail server's service: by its image, or by what it is called."""
    for name, service in services.items():
        if "docker-mailserver" in word(mapping(service).get("image")):
            return name
    for name in services:
        if name in (SERVICE, "mail", "dms", "docker-mailserver"):
            return name
    return None


def _service(wanted: Wanted, service: Mapping[str, Value], where: str, notes: Notes) -> None:
    for key, value in service.items():
        at = f"{where}.{key}"
        match key:
            case "image":
                wanted.image = word(value)
            case "container_name":
                allowed.take_name(wanted, notes, word(value), at)
            case "hostname" | "domainname":
                allowed.take_host(wanted, notes, word(value), at, domain=key == "domainname")
            case "env_file":
                for each in sequence(value):
                    path = word(mapping(each).get("path")) if isinstance(each, dict) else word(each)
                    _env_file(wanted, notes, path, at)
            case "environment":
                wanted.inline |= taken(_settings(value), at, notes)
            case "ports":
                for each in sequence(value):
                    _port(wanted, notes, each, at)
            case "volumes":
                for each in sequence(value):
                    _volume(wanted, notes, each, at)
            case "cap_add" | "cap_drop":
                take = allowed.add_capability if key == "cap_add" else allowed.drop_capability
                for each in sequence(value):
                    take(wanted, notes, word(each), at)
            case "security_opt":
                for each in sequence(value):
                    allowed.add_security(wanted, notes, word(each), at)
            case "network_mode":
                networks.take_mode(wanted.net, notes, word(value), at)
            case "networks":
                for each in value if isinstance(value, dict) else sequence(value):
                    networks.take_mode(wanted.net, notes, word(each), at)
            case "restart":
                allowed.take_restart(wanted, notes, word(value), at)
            case "stop_grace_period":
                wanted.stop_timeout = allowed.seconds(word(value))
            case "userns_mode":
                allowed.take_userns(wanted, notes, word(value), at)
            case _ if key in _FLAGS_OFF and value in (False, None):
                continue
            case _ if key in DANGEROUS:
                notes.add("refused", at, DANGEROUS[key])
            case _:
                notes.add("left out", at, HARMLESS.get(key, "not known here"))


def _env_file(wanted: Wanted, notes: Notes, path: str, where: str) -> None:
    clean = path.removeprefix("./")
    if allowed.PATH.fullmatch(clean) or re.fullmatch(r"\.[a-z]+(\.[a-z]+)?", clean):
        wanted.env_files.append(clean)
    else:
        notes.add("refused", f"{where}: {path}", "a path that leads out of the report")


def _settings(value: Value) -> dict[str, str]:
    """`environment` in either of its forms; a name without a value would be this computer's."""
    if isinstance(value, dict):
        return {key: word(each) for key, each in value.items() if each is not None}
    pairs = (word(each).partition("=") for each in sequence(value))
    return {key.strip(): text for key, equals, text in pairs if equals}


def _port(wanted: Wanted, notes: Notes, value: Value, where: str) -> None:
    if not isinstance(value, dict):
        allowed.add_port(wanted, notes, word(value), where)
        return
    target, published = word(value.get("target")), word(value.get("published"))
    protocol = word(value.get("protocol")) or "tcp"
    if not re.fullmatch(r"[0-9]{1,5}", target) or not re.fullmatch(r"[0-9]{0,5}", published):
        said = f"{where}: {published}:{target}"
        notes.add("refused", said, "no port that is understood")
        return
    address = word(value.get("host_ip"))
    port = Port(int(published or 0), int(target), address, protocol)
    allowed.add_one_port(wanted, notes, port, where)


def _volume(wanted: Wanted, notes: Notes, value: Value, where: str) -> None:
    if isinstance(value, dict):
        kind = word(value.get("type")) or "volume"
        if kind not in ("bind", "volume"):
            notes.add("refused", f"{where}: type {kind}", "only folders and volumes are mounted")
            return
        source, target = word(value.get("source")), word(value.get("target"))
        options = ["ro"] if value.get("read_only") is True else []
        selinux = word(mapping(value.get("bind")).get("selinux"))
        options += [selinux] if selinux else []
        if "propagation" in mapping(value.get("bind")):
            notes.add("refused", f"{where}: bind.propagation", "mounts would cross over")
    else:
        source, _, rest = word(value).partition(":")
        target, _, tail = rest.partition(":")
        options = tail.split(",") if tail else []
        if not target:
            notes.add("left out", f"{where}: {source}", "a volume without a name")
            return
    allowed.add_mount(wanted, notes, source, target, options, where)


def _networks(wanted: Wanted, defined: Mapping[str, Value], name: str, notes: Notes) -> None:
    """What the file says of the network that the mail server is on."""
    net = wanted.net
    ours = net.name or "default"
    if net.kind not in (None, "bridge"):
        return
    for each in defined:
        if each != ours:
            notes.add("left out", f"{name}: networks.{each}", "the mail server is not on it")
    about = mapping(defined.get(ours))
    for key, value in about.items():
        at = f"{name}: networks.{ours}.{key}"
        match key:
            case "driver":
                networks.take_driver(net, notes, word(value), at)
            case "enable_ipv6":
                net.ipv6 = value is True
            case "internal":
                net.internal = value is True
            case "ipam":
                _subnets(wanted, mapping(value), at, notes)
            case "driver_opts":
                _driver_options(wanted, mapping(value), at, notes)
            case "external":
                if value not in (False, None):
                    notes.add("assumed", at, "a bridge without options, made here")
            case _:
                notes.add("left out", at, "not known here")


def _subnets(wanted: Wanted, ipam: Mapping[str, Value], where: str, notes: Notes) -> None:
    import ipaddress

    for each in sequence(ipam.get("config")):
        text = word(mapping(each).get("subnet"))
        try:
            network = ipaddress.ip_network(text)
        except ValueError:
            notes.add("refused", f"{where}: {text}", "no network")
            continue
        documented = network.overlaps(
            ipaddress.ip_network("203.0.113.0/24" if network.version == 4 else "2001:db8::/48")
        )
        if network.is_private and not documented and len(wanted.net.subnets) < 4:
            wanted.net.subnets += (str(network),)
        else:
            notes.add("refused", f"{where}: {text}", "no private network; podman chooses one")


def _driver_options(wanted: Wanted, options: Mapping[str, Value], where: str, notes: Notes) -> None:
    for key, value in options.items():
        if key in ("mtu", "com.docker.network.driver.mtu") and re.fullmatch(
            r"[0-9]{3,5}", word(value)
        ):
            wanted.net.mtu = int(word(value))
        else:
            notes.add("left out", f"{where}.{key}", "not known here")
