"""Distributions that a machine of the embedded kind can be, and what is special about each.

A generation of podman is added by a row of `KNOWN`. What a scenario can show on it is not written
here: the machine is asked once, when its golden is built (`harness.machines.stock`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from harness.errors import HostError

How = Literal["mmdebstrap", "dnf", "rootfs"]
"""How a root file system comes about: from Debian's packages, from Fedora's, or from one that the
user has."""
OWN: Final = "rootfs:"
"""What a user's own root file system is asked for by, before its path."""


@dataclass(frozen=True, slots=True)
class Distro:
    """A distribution, or somebody's own root file system.

    Attributes:
        name: as `--distro` takes it.
        release: the mirror's name of it (`bookworm`, `44`), or the path of a tar file or a folder.
        how: what fills the root file system.
        more: packages that it needs beside those of the table of packages → why.
        apt: options for apt while it is installed → why.
        about: what people should know of it.
    """

    name: str
    release: str
    how: How = "mmdebstrap"
    more: Mapping[str, str] = field(default_factory=dict)
    apt: Mapping[str, str] = field(default_factory=dict)
    about: str = ""

    @property
    def word(self) -> str:
        """A short name, fit to be part of a file's or a machine's."""
        return "rootfs" if self.how == "rootfs" else self.name

    def __str__(self) -> str:
        return self.name


DEBIAN_12: Final = Distro(
    "debian-12",
    "bookworm",
    more={
        "runc": "its crun raises the limit of locked memory before it starts a container of root's,"
        " and gives up on a computer that does not let it (no CAP_SYS_RESOURCE); runc goes on"
    },
    about="podman 4.3: no Quadlet, no pasta; slirp4netns is the default, and vfs for a user's"
    " storage; docker-compose 1.29",
)
DEBIAN_13: Final = Distro(
    "debian-13", "trixie", about="podman 5.4; pasta is the default; docker-compose 2.26"
)
DEBIAN_FORKY: Final = Distro(
    "debian-forky",
    "forky",
    apt={
        "Acquire::Check-Valid-Until false": "a mirror may keep a state of it for longer than that"
        " says it is valid: Debian's own changes four times a day"
    },
    about="what will be Debian 14, as its mirror has it: podman 5.8, docker-compose 2.40",
)


def fedora(release: int) -> Distro:
    """A release of Fedora, whichever: what its podman can do it is asked itself."""
    return Distro(
        f"fedora-{release}",
        str(release),
        "dnf",
        more={
            "fedora-release": "which distribution it is",
            "glibc-minimal-langpack": "or those of all languages come",
            "dnf": "what a user would install more with",
            "rpm": "provisioning asks it what is there",
            "util-linux": "what every installation has, as the following",
            "findutils": "the same",
            "gawk": "the same",
            "hostname": "the same",
            "tar": "the same",
        },
        about="by this computer's dnf from Fedora's mirrors, which has not been tried yet",
    )


KNOWN: Final[Mapping[str, Distro]] = {
    each.name: each for each in (DEBIAN_12, DEBIAN_13, DEBIAN_FORKY, fedora(44))
}
_FEDORA: Final = re.compile(r"fedora-([1-9][0-9]+)")
DEFAULT: Final = DEBIAN_13


def find(name: str) -> Distro:
    """The distribution of a name, or the default for an empty one.

    Raises:
        HostError: there is none; says what was meant, or what can be meant.
    """
    if not name:
        return DEFAULT
    if name.startswith(OWN):
        return _own(name)
    if name in KNOWN:
        return KNOWN[name]
    if release := _FEDORA.fullmatch(name):
        return fedora(int(release[1]))
    near = difflib.get_close_matches(name, KNOWN, 1)
    if Path(name).exists():
        raise HostError(f"--distro {name}: no such distribution", f"did you mean {OWN}{name}?")
    raise HostError(
        f"--distro {name}: no such distribution",
        f"did you mean {near[0]}?" if near else f"it takes {', '.join(KNOWN)}, {OWN}PATH",
    )


def _own(name: str) -> Distro:
    """A root file system that a user has."""
    path = Path(name.removeprefix(OWN)).expanduser().absolute()
    if not name.removeprefix(OWN) or not path.exists():
        raise HostError(
            f"--distro {name}: no such file or folder",
            f"{OWN}PATH, a tar file or a folder with a whole root file system",
        )
    return Distro(f"{OWN}{path}", str(path), "rootfs", about="your own root file system")
