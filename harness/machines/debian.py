"""Lists of packages, and Debian root file systems made from them by mmdebstrap."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

Family = Literal["debian", "fedora"]
"""Whose packages, in the order of the columns of a table."""
MIRROR = os.environ.get("DMS_HARNESS_MIRROR", "http://deb.debian.org/debian")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

_LEFT_OUT = ("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/doc/*", "/usr/share/info/*")


def package_list(path: Path, family: Family = "debian") -> list[str]:
    """The packages of a list: a row for each thing, `#` begins a comment.

    Args:
        path: a list of Debian's names alone, or a table with a column for each family, in which
            `-` stands for nothing to install.
        family: whose column.
    """
    column = get_args(Family).index(family)
    rows = (line.split("#")[0].split() for line in path.read_text(encoding="utf-8").splitlines())
    return [row[column] for row in rows if row and row[column] != "-"]


def mmdebstrap(
    suite: str,
    packages: Sequence[str],
    customize: Sequence[str],
    target: str,
    variant: str = "minbase",
    apt: Sequence[str] = (),
) -> list[str]:
    """The command that makes a root file system.

    Args:
        suite: Debian's code name.
        packages: what to install beside what the variant has.
        customize: shell commands for the finished file system; `"$1"` is its path.
        target: a folder to fill, or a tar file to write.
        variant: `essential` for the least that works, `minbase` with apt.
        apt: more options for apt.
    """
    return [
        "mmdebstrap",
        "--mode=root",
        f"--variant={variant}",
        f"--include={','.join(packages)}",
        *(f"--dpkgopt=path-exclude={path}" for path in _LEFT_OUT),
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        # Nothing of it has to survive a crash of the computer: it would be made again.
        "--dpkgopt=force-unsafe-io",
        "--aptopt=Acquire::Retries 3",
        "--aptopt=Acquire::Languages none",
        "--aptopt=APT::Install-Recommends false",
        *(f"--aptopt={option}" for option in apt),
        *(f"--keyring={KEYRING}" for _ in [0] if Path(KEYRING).exists()),
        *(f"--customize-hook={hook}" for hook in customize),
        suite,
        target,
        MIRROR,
    ]
