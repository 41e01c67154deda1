"""Fedora root file systems, made from its packages by dnf."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

MIRROR = os.environ.get("DMS_HARNESS_FEDORA_MIRROR", "")
"""A mirror's folder that has `releases` and `updates`; by default those that Fedora suggests."""
KEYS: Final = "https://fedoraproject.org/fedora.gpg"
"""The keys that Fedora's packages are signed with, from where Fedora says that they are."""
INSTALL: Final = Path(__file__).parent / "guest" / "bootstrap-dnf.sh"
TOOLS: Final = ("dnf", "rpmkeys")
"""Programs that it takes; the second one looks at signatures, and Debian's dnf goes without."""
REMEDY: Final = "`apt-get install dnf rpm` on Debian and Ubuntu; on Fedora they are there"
"""What to do where one is missing."""
_METALINK: Final = "https://mirrors.fedoraproject.org/metalink?arch=$basearch&repo="
_REPOSITORIES: Final = {
    "fedora": ("fedora-$releasever", "releases/$releasever/Everything/$basearch/os/"),
    "updates": ("updates-released-f$releasever", "updates/$releasever/Everything/$basearch/"),
}
"""Its name → what a suggestion is asked for by, and where it lies on a mirror."""


def missing() -> list[str]:
    """The programs that it takes and this computer has not."""
    return [tool for tool in TOOLS if not shutil.which(tool)]


def repositories() -> str:
    """The definitions of Fedora's repositories, as dnf reads them."""
    return "\n".join(
        f"[{name}]\nname={name}\nenabled=1\ngpgcheck=1\ngpgkey={KEYS}\n"
        + (f"baseurl={MIRROR.rstrip('/')}/{path}" if MIRROR else f"metalink={_METALINK}{asked}")
        for name, (asked, path) in _REPOSITORIES.items()
    )


def index(release: str) -> str:
    """The address that tells whether there is such a release, as `MIRROR` has it."""
    asked, path = _REPOSITORIES["fedora"]
    address = f"{MIRROR.rstrip('/')}/{path}repodata/repomd.xml" if MIRROR else _METALINK + asked
    return address.replace("$basearch", platform.machine()).replace("$releasever", release)


def bootstrap(release: str, packages: Sequence[str], target: str) -> list[str]:
    """The command that makes a root file system.

    Args:
        release: Fedora's number.
        packages: what to install, with all that these need.
        target: a folder to fill.
    """
    # What is mounted while packages are installed is gone with it, however that ends.
    alone = ["unshare", "--mount", "--propagation=private"]
    return [*alone, "sh", str(INSTALL), target, release, repositories(), *packages]
