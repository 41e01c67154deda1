"""Reads Quadlet's files: the mail server's `.container`, and the `.network` that it names."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Final

from harness.reproduce import allowed, limits, networks
from harness.reproduce.environment import taken, unquoted
from harness.reproduce.model import Wanted
from harness.reproduce.notes import Notes

DANGEROUS: Final[Mapping[str, str]] = {
    "PodmanArgs": "options of podman's command line",
    "GlobalArgs": "options of podman's command line",
    "ContainersConfModule": "another configuration of podman's",
    "Exec": "a report brings no commands; the image's own is run",
    "Entrypoint": "a report brings no commands; the image's own is run",
    "HealthCmd": "commands in the container; the harness looks for itself",
    "AddDevice": "the machine's devices are not the container's",
    "Mount": "only Volume= is taken over",
    "Tmpfs": "mounts beside docker-mailserver's own",
    "Rootfs": "files of the machine's instead of an image",
    "Secret": "a report brings no secrets",
    "SeccompProfile": "takes a wall of the container's down",
    "SecurityLabelType": "takes a wall of the container's down",
    "SecurityLabelNested": "takes a wall of the container's down",
    "Unmask": "takes a wall of the container's down",
    "Sysctl": "kernel settings",
    "Ulimit": "limits beyond the machine's",
    "User": "the image's programs change users themselves",
    "Group": "the image's programs change users themselves",
    "EnvironmentHost": "settings of the host's",
    "CgroupsMode": "the machine's control groups are not the container's",
}
_TRUE: Final = ("true", "yes", "on", "1")
_TARGETS: Final = ("default.target", "multi-user.target")


def lines_of(text: str) -> Iterator[tuple[int, str, str, str]]:
    """A unit file's settings: line number, section, key, value; continued lines as one."""
    section, pending, begun = "", "", 0
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        if not pending:
            begun = number
        if line.endswith("\\"):
            pending += line[:-1] + " "
            continue
        line, pending = pending + line, ""
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
            continue
        key, equals, value = line.partition("=")
        if equals:
            yield begun, section, key.strip(), value.strip()


def read_quadlet(text: str, name: str, others: Mapping[str, str], notes: Notes) -> Wanted:
    """What a `.container` file asks for.

    Args:
        text: the file's.
        name: its path within the report.
        others: the report's `.network` files, by name without folder.
        notes: takes what is said of it.
    """
    unit = PurePosixPath(name).stem
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,60}", unit):
        notes.add("substituted", f"{name}: the unit's name", "dms")
        unit = "dms"
    wanted = Wanted("quadlet", name, unit=unit, container=f"systemd-{unit}")
    for number, section, key, raw in lines_of(text):
        where = f"{name}:{number}: {key}"
        if len(raw) > limits.LINE:
            notes.add("refused", where, f"longer than {limits.LINE} characters")
            continue
        match section:
            case "Container":
                _container(wanted, others, key, raw, where, notes)
            case "Service":
                _service(wanted, key, raw, where, notes)
            case "Install":
                _install(wanted, key, raw, where, notes)
            case "Unit":
                if key not in ("Description", "Documentation"):
                    notes.add("left out", f"{where}={raw}", "what other units do is the machine's")
            case _:
                notes.add("left out", f"{where}", f"the section [{section}]")
    return wanted


def _container(
    wanted: Wanted, others: Mapping[str, str], key: str, raw: str, where: str, notes: Notes
) -> None:
    value = raw.replace("%N", wanted.unit).replace("%p", wanted.unit)
    match key:
        case "Image":
            wanted.image = value
        case "ContainerName":
            allowed.take_name(wanted, notes, value, where)
        case "HostName":
            allowed.take_host(wanted, notes, value, where)
        case "PublishPort":
            allowed.add_port(wanted, notes, value, where)
        case "Volume":
            source, _, rest = value.partition(":")
            target, _, options = rest.partition(":")
            source = source.removesuffix(".volume") if source.endswith(".volume") else source
            allowed.add_mount(
                wanted, notes, source, target, options.split(",") if options else [], where
            )
        case "Environment":
            wanted.inline |= taken(_pairs(value, where, notes), where, notes)
        case "EnvironmentFile":
            wanted.env_files.append(PurePosixPath(value).name)
        case "Network":
            _network(wanted, others, value, where, notes)
        case "AddCapability" | "DropCapability":
            take = allowed.add_capability if key.startswith("Add") else allowed.drop_capability
            for each in value.split():
                take(wanted, notes, each, where)
        case "UIDMap" | "GIDMap":
            allowed.take_map(wanted, notes, key, value, where)
        case "UserNS":
            allowed.take_userns(wanted, notes, value, where)
        case "StopTimeout":
            wanted.stop_timeout = allowed.seconds(value)
        case "NoNewPrivileges":
            wanted.no_new_privileges = value.lower() in _TRUE
        case "SecurityLabelDisable":
            wanted.label_disable = value.lower() in _TRUE
        case "Pod":
            notes.add("unmatched", f"{where}={value}", "no scenario has a pod", decides=True)
        case _ if key in DANGEROUS:
            notes.add("refused", f"{where}={raw}", DANGEROUS[key])
        case _:
            notes.add("left out", f"{where}={raw}", "not known here")


def _pairs(value: str, where: str, notes: Notes) -> dict[str, str]:
    """`Environment=`: settings, each of which may be quoted."""
    try:
        words = shlex.split(value, posix=True)
    except ValueError as error:
        notes.add("refused", where, f"{error}")
        return {}
    pairs = (each.partition("=") for each in words[: limits.WORDS])
    return {key: unquoted(text) for key, equals, text in pairs if equals}


def _service(wanted: Wanted, key: str, value: str, where: str, notes: Notes) -> None:
    if key == "Restart":
        allowed.take_restart(wanted, notes, value, where)
    elif key.startswith("Exec"):
        made = re.fullmatch(r"[^;&|$`]*\bmkdir -p [^;&|$`]*", value)
        why = "the folders are made without it" if made else "a command on the machine"
        notes.add("left out" if made else "refused", f"{where}={value}", why)
    elif key in ("TimeoutStartSec", "TimeoutStopSec", "RestartSec"):
        notes.add("left out", f"{where}={value}", "the harness has limits of its own")
    else:
        notes.add("refused", f"{where}={value}", "how systemd runs programs is the machine's")


def _install(wanted: Wanted, key: str, value: str, where: str, notes: Notes) -> None:
    targets = [each for each in value.split() if each in _TARGETS]
    if key == "WantedBy" and targets:
        wanted.wanted_by = targets[0]
    else:
        notes.add("left out", f"{where}={value}", "not known here")


def _network(
    wanted: Wanted, others: Mapping[str, str], value: str, where: str, notes: Notes
) -> None:
    name = value.partition(":")[0]
    if not name.endswith(".network"):
        networks.take_mode(wanted.net, notes, value, where)
        return
    stem = name.removesuffix(".network")
    if not allowed.NAME.fullmatch(stem):
        notes.add("refused", f"{where}={value}", "no network", decides=True)
        return
    wanted.net.kind, wanted.net.name = "bridge", stem
    text = others.get(name)
    if text is None:
        notes.add("assumed", f"{where}={value}", "a bridge without options: the file is missing")
        return
    for number, _, key, each in lines_of(text):
        at = f"{name}:{number}: {key}"
        match key:
            case "IPv6":
                wanted.net.ipv6 = each.lower() in _TRUE
            case "Internal":
                wanted.net.internal = each.lower() in _TRUE
            case "Driver":
                networks.take_driver(wanted.net, notes, each, at)
            case "Description" | "NetworkName":
                pass
            case _:
                notes.add("left out", f"{at}={each}", "not known here")
