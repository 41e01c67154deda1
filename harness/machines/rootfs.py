"""Root file systems that goldens are made from: packages, and what a first boot needs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from harness import cache
from harness.errors import HostError
from harness.keeper import hostrun
from harness.keeper.client import Keeper
from harness.machines import fedora
from harness.machines.debian import MIRROR, Family, mmdebstrap, package_list
from harness.machines.distros import DEFAULT, Distro, How
from harness.machines.shell import Login
from harness.mailserver.image import Say

GUEST = Path(__file__).parent / "guest"
PACKAGES: Final = GUEST / "packages"
"""The table of what is installed on machines of every kind."""
_PROVISION: Final = "/run/dms-harness-provision.sh"
_TARGET: Final = Path("{target}")
"""What the keeper puts the new subvolume's path for."""
_UNPACK: Final = """\
if [ -d "$1" ]; then cp -a --reflink=auto "$1/." "$2"; else
    tar -C "$2" --numeric-owner --xattrs --xattrs-include='*' -xf "$1"; fi
[ -e "$2/etc/os-release" ] || [ -e "$2/usr/lib/os-release" ] ||
    { echo "$1 has no etc/os-release: not a whole root file system" >&2; exit 1; }
own=$1 target=$2 hook=$3 key=$4 units=$5
shift 5
"$@"
[ -x "$target/usr/lib/systemd/systemd" ] || [ -x "$target/lib/systemd/systemd" ] ||
    { echo "$own has no usr/lib/systemd/systemd, nor has its distribution's package" >&2; exit 1; }
"$hook" "$target" "$key" "$units"
"""
"""Fills a folder from a user's root file system, has a command install what is missing in it, and
readies it for its boot. That of a container image has no systemd before."""

_BOTH: Final = 'hook=$1 target=$2 key=$3 units=$4; shift 4; "$@"; "$hook" "$target" "$key" "$units"'
"""Has a command fill a folder, and readies what is in it for its boot."""


def rootfs_name(
    login: Login, packages: Sequence[str] | None = None, distro: Distro = DEFAULT
) -> str:
    """The name of the root file system that a distribution, the packages and the keys make.

    Args:
        login: the keys.
        packages: what is in it, where that is not Debian's column of the table.
        distro: whose packages.
    """
    hook, units = (GUEST / each for each in ("customize.sh", "masked-units"))
    parts: list[str | Path]
    if distro.how == "rootfs":
        parts = [_state(Path(distro.release)), PACKAGES, GUEST / "provision.sh", _UNPACK]
    elif distro.how == "dnf":
        parts = [" ".join(_listed(packages, distro)), fedora.repositories(), fedora.INSTALL]
    else:
        parts = [" ".join(_listed(packages, distro)), " ".join(distro.apt), MIRROR]
    return f"rootfs-{cache.digest(hook, units, distro.release, login.public_key, *parts)}"


def ensure_rootfs(
    keeper: Keeper,
    login: Login,
    say: Say,
    packages: Sequence[str] | None = None,
    distro: Distro = DEFAULT,
) -> str:
    """The name of the root file system that a golden is made from; made now where missing.

    Args:
        keeper: makes it.
        login: the keys of its machines.
        say: is told of progress.
        packages: what to install, where that is not Debian's column of the table.
        distro: which distribution.

    Raises:
        HostError: it cannot be made; says why and what to do.
    """
    name = rootfs_name(login, packages, distro)
    waiting = f"another run is installing the packages of {distro}; waiting for it"
    with cache.exclusive(keeper.cache, f"rootfs-{distro.word}", lambda: say(waiting)):
        if keeper.call("stamp", name=name)["stamp"] is None:
            _make(keeper, login, say, name, packages, distro)
    return name


def _make(
    keeper: Keeper,
    login: Login,
    say: Say,
    name: str,
    packages: Sequence[str] | None,
    distro: Distro,
) -> None:
    if distro.how == "dnf" and (missing := fedora.missing()):
        raise HostError(f"{distro} is made by {' and '.join(missing)}: missing", fedora.REMEDY)
    say("machine: installing packages")
    try:
        keeper.call(
            "bootstrap",
            progress=lambda line: say(f"machine: {line}"),
            name=f"rootfs-{distro.word}",
            final=name,
            command=_COMMANDS[distro.how](distro, login, packages),
            notes={"built": time.strftime("%Y-%m-%d"), "distro": distro.name},
        )
    except OSError as error:
        raise HostError(
            f"the packages of {distro} cannot be installed: {error}",
            _REMEDIES[distro.how],
        ) from error


def _listed(packages: Sequence[str] | None, distro: Distro) -> list[str]:
    family: Family = "fedora" if distro.how == "dnf" else "debian"
    listed = package_list(PACKAGES, family) if packages is None else packages
    return [*listed, *distro.more]


def _of_packages(distro: Distro, login: Login, packages: Sequence[str] | None) -> list[str]:
    hook = f"{GUEST / 'customize.sh'} \"$1\" '{login.public_key}' {GUEST / 'masked-units'}"
    listed = _listed(packages, distro)
    return mmdebstrap(distro.release, listed, [hook], str(_TARGET), apt=list(distro.apt))


def _of_fedora(distro: Distro, login: Login, packages: Sequence[str] | None) -> list[str]:
    listed = _listed(packages, distro)
    filled = fedora.bootstrap(distro.release, listed, str(_TARGET))
    hook = [str(GUEST / "customize.sh"), str(_TARGET), login.public_key]
    return ["sh", "-euc", _BOTH, "both", *hook, str(GUEST / "masked-units"), *filled]


def _of_own(distro: Distro, login: Login, _: Sequence[str] | None) -> list[str]:
    """The command that takes a user's root file system, and has it install what is missing.

    Its own package manager does that, from its own sources, by this computer's network: its
    machines have none to anywhere.
    """
    inside = ["sh", _PROVISION, "-", "-", PACKAGES.read_text(encoding="utf-8"), "packages"]
    provision = {_PROVISION: str(GUEST / "provision.sh")}
    online = hostrun.nspawn("rootfs", _TARGET, inside, {}, provision, {})
    hook, units = (str(GUEST / each) for each in ("customize.sh", "masked-units"))
    unpack = ["sh", "-euc", _UNPACK, "unpack", distro.release, str(_TARGET)]
    return [*unpack, hook, login.public_key, units, *online]


def _state(path: Path) -> str:
    """A text that changes with the files of a root file system: their names, sizes and times."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    seen = ((file, file.lstat()) for file in files)
    return "\n".join(f"{file} {stat.st_size} {stat.st_mtime_ns}" for file, stat in seen)


_COMMANDS: Final[Mapping[How, Callable[[Distro, Login, Sequence[str] | None], list[str]]]] = {
    "mmdebstrap": _of_packages,
    "dnf": _of_fedora,
    "rootfs": _of_own,
}
_REMEDIES: Final[Mapping[How, str]] = {
    "mmdebstrap": "is the Debian mirror reachable? see `dms-harness doctor`",
    "dnf": "are Fedora's mirrors reachable? DMS_HARNESS_FEDORA_MIRROR names another one",
    "rootfs": "correct it, or take another one by --distro",
}
"""What makes a root file system in its folder, and what to do where that fails."""
