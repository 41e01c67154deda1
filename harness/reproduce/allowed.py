"""What a report may ask for. Everything else is refused or left out, by name."""

from __future__ import annotations

import ipaddress
import posixpath
import re
from typing import Final

from harness.reproduce import limits
from harness.reproduce.model import Mount, Port, Wanted
from harness.reproduce.notes import Notes

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
"""Of containers, volumes, networks, units."""
HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")
PATH: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]*(/[A-Za-z0-9_][A-Za-z0-9_.@+-]*)*")
"""A path within a folder, without `..`, hidden names and what a shell or systemd would read."""
MAP: Final = re.compile(r"[+]?[0-9]{1,10}:@?([0-9]{1,10}|%U|%G)(:[0-9]{1,10})?")
RESTART: Final = re.compile(r"(no|always|unless-stopped|on-failure(:[0-9]{1,3})?|never)")
NUMBER: Final = re.compile(r"[0-9]{1,6}")

CONFIG: Final = "/tmp/docker-mailserver"  # noqa: S108 — in the container
TARGETS: Final = ("/var/mail", "/var/mail-state", "/var/log/mail", CONFIG, "/etc/letsencrypt")
"""What docker-mailserver's documentation mounts; also what is below."""
CERTIFICATES: Final = re.compile(
    r"/(tmp/(dms|ssl|docker-mailserver)|etc/(ssl|dms)|certs?)/[\w./-]+"
)
"""Where reports put certificates for `SSL_TYPE=manual`."""
OPTIONS: Final = ("ro", "rw", "z", "Z", "U")
CAPABILITIES: Final = {
    "NET_ADMIN": "fail2ban needs it",
    "NET_BIND_SERVICE": "podman gives it by default",
    "SYS_CHROOT": "Dovecot needs it; podman gives it by default",
    "CHOWN": "podman gives it by default",
    "DAC_OVERRIDE": "podman gives it by default",
    "FOWNER": "podman gives it by default",
    "KILL": "podman gives it by default",
    "SETGID": "podman gives it by default",
    "SETUID": "podman gives it by default",
}
"""What may be added; the image's programs need no more."""
_ANYWHERE = ("0.0.0.0", "::", "*", "")  # noqa: S104 — what reports say, not what we bind
_CLOCKS = ("/etc/localtime", "/etc/timezone")


def add_port(wanted: Wanted, notes: Notes, text: str, where: str) -> None:
    """Take in a port in the short form: `[[ADDRESS:]HOST:]CONTAINER[/PROTOCOL]`, also ranges."""
    match = re.fullmatch(
        r"(?:(?:(\[[0-9a-fA-F:.]+\]|[0-9.]*|\*):)?([0-9]*(?:-[0-9]+)?):)?"
        r"([0-9]+(?:-[0-9]+)?)(?:/(tcp|udp))?",
        text.strip()[:100],
    )
    if match is None:
        notes.add("refused", f"{where}: {text}", "no port that is understood")
        return
    address = (match[1] or "").strip("[]")
    inner = _range(match[3])
    outer = _range(match[2]) if match[2] else ([0] * len(inner) if match[2] == "" else inner)
    if match[2] is None:
        outer = [0] * len(inner)  # only the container's: podman takes any port of the machine's
    if not inner or len(inner) != len(outer) or len(inner) > 64:
        notes.add("refused", f"{where}: {text}", "a range that is none, or of more than 64 ports")
        return
    for host, container in zip(outer, inner, strict=True):
        add_one_port(wanted, notes, Port(host, container, address, match[4] or "tcp"), where)


def add_one_port(wanted: Wanted, notes: Notes, port: Port, where: str) -> None:
    """Take in a port whose parts are known."""
    said = f"{where}: {port.host}:{port.container}/{port.protocol}"
    if not (0 <= port.host <= 65535 and 1 <= port.container <= 65535):
        notes.add("refused", said, "no such port")
    elif port.protocol != "tcp":
        notes.add("left out", said, "no service of the mail server's is there")
    elif len(wanted.ports) >= limits.WORDS:
        notes.add("refused", said, f"more than {limits.WORDS} ports")
    elif port.host == 22:
        notes.add("refused", said, "the machine is reached by its own SSH server there")
    else:
        address = "" if port.address in _ANYWHERE else port.address
        if address:
            try:
                ipaddress.ip_address(address)
            except ValueError:
                notes.add("refused", f"{said}: {address}", "no address")
                return
        wanted.ports.append(Port(port.host, port.container, address, port.protocol))


def _range(text: str) -> list[int]:
    first, _, last = text.partition("-")
    begin, end = int(first[:7]), int((last or first)[:7])
    return list(range(begin, end + 1)) if begin <= end < begin + 1000 else []


def add_mount(
    wanted: Wanted, notes: Notes, source: str, target: str, options: list[str], where: str
) -> None:
    """Take in a mount, by where it is in the container; the host's own paths never count.

    Args:
        wanted: what it is added to.
        notes: takes what is said of it.
        source: as the report has it: a relative or absolute path, `~/…`, `%h/…`, or a volume.
        target: the path in the container.
        options: what stands behind it.
        where: the place in the report.
    """
    said = f"{where}: {source}:{target}"
    clean = posixpath.normpath(target) if target.startswith("/") else target
    if source == target and source in _CLOCKS:
        notes.add("left out", said, "the host's clock and zone are the machine's here")
        return
    inside = any(clean == one or clean.startswith(f"{one}/") for one in TARGETS)
    if ".." in target.split("/") or not (inside or CERTIFICATES.fullmatch(clean)):
        notes.add(
            "refused", said, "no folder of docker-mailserver's: the host's files stay the host's"
        )
        return
    if not re.fullmatch(r"[\w./@+-]{1,200}", clean):
        notes.add("refused", said, "a path with characters that no such path has")
        return
    if any(mount.target == clean for mount in wanted.mounts):
        notes.add("refused", said, f"{clean} is mounted twice")
        return
    if len(wanted.mounts) >= limits.WORDS:
        return
    kept = []
    for option in options:
        if option in OPTIONS:
            kept.append(option)
        elif option:
            notes.add("left out", f"{said}: the option {option}", "not among " + ", ".join(OPTIONS))
    named = NAME.fullmatch(source) is not None
    must_be_folder = clean.startswith((CONFIG, "/etc/letsencrypt")) or not inside
    if named and not must_be_folder:
        wanted.mounts.append(Mount(source, clean, tuple(kept), named=True))
        return
    relative = source.removeprefix("./").rstrip("/")
    if named or not PATH.fullmatch(relative):
        relative = "volumes/" + clean.strip("/").replace("/", "-")
        notes.add("substituted", said, f"a folder of the operator's, {relative}")
    wanted.mounts.append(Mount(relative, clean, tuple(kept)))


def add_capability(wanted: Wanted, notes: Notes, name: str, where: str) -> None:
    """Take in a capability that is to be added."""
    plain = name.strip().upper().removeprefix("CAP_")
    if plain in CAPABILITIES:
        wanted.cap_add.append(plain)
    else:
        notes.add(
            "refused",
            f"{where}: {name}",
            "docker-mailserver needs none but NET_ADMIN, for fail2ban",
        )


def drop_capability(wanted: Wanted, notes: Notes, name: str, where: str) -> None:
    """Take in a capability that it does without."""
    plain = name.strip().upper().removeprefix("CAP_")
    if re.fullmatch(r"[A-Z][A-Z_]{1,30}", plain):
        wanted.cap_drop.append(plain)
    else:
        notes.add("refused", f"{where}: {name}", "no capability")


def add_security(wanted: Wanted, notes: Notes, option: str, where: str) -> None:
    """Take in a `security_opt`."""
    match option.strip().lower().replace(":", "=", 1):
        case "label=disable":
            wanted.label_disable = True
        case "no-new-privileges" | "no-new-privileges=true":
            wanted.no_new_privileges = True
        case _:
            notes.add("refused", f"{where}: {option}", "takes a wall of the container's down")


def take_userns(wanted: Wanted, notes: Notes, mode: str, where: str) -> None:
    """Take in a user namespace's mode."""
    if re.fullmatch(r"keep-id(:[ug]id=[0-9]{1,6}(,[ug]id=[0-9]{1,6})?)?|nomap", mode):
        wanted.userns = mode
    else:
        notes.add("refused", f"{where}: {mode}", "only keep-id and nomap are taken over")


def take_map(wanted: Wanted, notes: Notes, key: str, value: str, where: str) -> None:
    """Take in a `UIDMap` or `GIDMap`."""
    if MAP.fullmatch(value):
        wanted.user_maps.append((key, value))
    else:
        notes.add("refused", f"{where}: {key}={value}", "no map that is understood")


def take_restart(wanted: Wanted, notes: Notes, policy: str, where: str) -> None:
    """Take in a restart policy."""
    if RESTART.fullmatch(policy):
        wanted.restart = policy
    else:
        notes.add("refused", f"{where}: {policy}", "no restart policy")


def take_name(wanted: Wanted, notes: Notes, name: str, where: str) -> None:
    """Take in the container's name."""
    if NAME.fullmatch(name):
        wanted.container = name
    else:
        notes.add("refused", f"{where}: {name}", "no name of a container")


def take_host(wanted: Wanted, notes: Notes, name: str, where: str, *, domain: bool = False) -> None:
    """Take in the host name, or the domain name beside it."""
    if not HOST.fullmatch(name):
        notes.add("refused", f"{where}: {name}", "no name of a host")
    elif domain:
        wanted.domainname = name.lower()
    else:
        wanted.hostname = name.lower()


def seconds(text: str) -> int | None:
    """A duration of compose's (`1m30s`) or of systemd's (`70`) in seconds; None for another."""
    if NUMBER.fullmatch(text):
        return int(text)
    match = re.fullmatch(r"(?:([0-9]{1,3})(?:m|min))? ?(?:([0-9]{1,4})(?:s|sec))?", text)
    if match is None or not text:
        return None
    return int(match[1] or 0) * 60 + int(match[2] or 0)
