"""Debian root file systems by mmdebstrap, from package lists."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

MIRROR = os.environ.get("DMS_HARNESS_MIRROR", "http://deb.debian.org/debian")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

_LEFT_OUT = ("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/doc/*", "/usr/share/info/*")


def package_list(path: Path) -> list[str]:
    """The packages of a list: one a line, `#` begins a comment."""
    lines = (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def mmdebstrap(
    suite: str,
    packages: Sequence[str],
    customize: Sequence[str],
    target: str,
    variant: str = "minbase",
) -> list[str]:
    """The command that makes a root file system.

    Args:
        suite: Debian's code name.
        packages: what to install beside what the variant has.
        customize: shell commands for the finished file system; `"$1"` is its path.
        target: a folder to fill, or a tar file to write.
        variant: `essential` for the least that works, `minbase` with apt.
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
        *(f"--keyring={KEYRING}" for _ in [0] if Path(KEYRING).exists()),
        *(f"--customize-hook={hook}" for hook in customize),
        suite,
        target,
        MIRROR,
    ]
