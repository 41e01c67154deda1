"""Boxes: by the name of a distribution, or by Vagrant's own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness import cache
from harness.errors import HostError
from harness.keeper.client import Keeper
from harness.keeper.vm import LIBVIRT
from harness.machines import golden, vagrant_box
from harness.machines.golden import Golden
from harness.mailserver.image import Image, Say

BUILT: Final = "debian-13"
"""The box that is made here, from packages."""
BUILT_WITH: Final[Mapping[str, tuple[str, ...]]] = {BUILT: (), f"{BUILT}-selinux": ("selinux",)}
"""The boxes that are made here, and what each has beside; see `vagrant_box.WITH`."""
PREFIX: Final = "dms-harness-"
"""What Vagrant's own names of such boxes begin with."""


@dataclass(frozen=True, slots=True)
class Box:
    """What Vagrant is told of a box.

    Attributes:
        name: as the Vagrantfile's table has it, or Vagrant's own name of a box.
        url: where it comes from; empty for what the table or Vagrant's catalog says.
        is_here: whether nothing has to be downloaded.
    """

    name: str
    url: str = ""
    is_here: bool = False


def find_box(wanted: str, keeper: Keeper, image: Image, say: Say) -> Box:
    """The box of that name; made now where it is the one that is made here.

    Args:
        wanted: a distribution, one of Vagrant's boxes, or a `.box` file.
        keeper: owns what making it takes.
        image: a box that is made here has it.
        say: tells the user what is being done.

    Raises:
        HostError: it cannot be made; says why and what to do.
    """
    path = Path(wanted).expanduser()
    if wanted.endswith(".box"):
        if not path.is_file():
            raise HostError(f"--vagrant-box {wanted}: no such file", "a file, or a box by its name")
        return Box(f"{PREFIX}{path.stem}", path.absolute().as_uri(), is_here=True)
    if wanted not in BUILT_WITH:
        return Box(wanted)
    with cache.exclusive(keeper.cache, "box", lambda: say("another run makes the box; waiting")):
        file = _built_file(wanted, keeper, image)
        if file is None or not file.exists():
            made = golden.ensure(keeper, image, say)
            file = _built_file(wanted, keeper, image)
            assert file is not None
            _make(wanted, file, keeper, made, say)
    return Box(f"{PREFIX}{file.stem}", file.as_uri(), is_here=True)


def _built_file(name: str, keeper: Keeper, image: Image) -> Path | None:
    """Where the cache has the box with an image, or would; None while that is not fetched."""
    furnished = golden.golden_name(cache.login(keeper.cache), image)
    if furnished is None:
        return None
    digest = cache.digest(*vagrant_box.ingredients(), furnished)
    return keeper.cache / "boxes" / f"{name}-{digest}.box"


def forget_boxes() -> list[str]:
    """Remove the boxes that were made here from where Vagrant and libvirt keep them.

    Returns:
        Their names.
    """
    listed = [line.split()[0] for line in _lines("vagrant", "box", "list") if line.strip()]
    names = sorted({name for name in listed if name.startswith(PREFIX)})
    for name in names:
        _lines("vagrant", "box", "remove", "--force", "--all", name)
    virsh = ("virsh", "--quiet", "--connect", LIBVIRT)
    for pool in _lines(*virsh, "pool-list", "--name"):
        for line in _lines(*virsh, "vol-list", pool.strip()) if pool.strip() else ():
            if (volume := line.split()[0] if line.split() else "").startswith(PREFIX):
                _lines(*virsh, "vol-delete", "--pool", pool.strip(), volume)
    return names


def _lines(*command: str) -> list[str]:
    """What a command prints; nothing where it is not installed, or fails."""
    if shutil.which(command[0]) is None:
        return []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.splitlines() if done.returncode == 0 else []


def _make(name: str, file: Path, keeper: Keeper, like: Golden, say: Say) -> None:
    say(f"machine: making the box {name} from packages")
    file.parent.mkdir(exist_ok=True)
    store = Path(keeper.call("hello")["store"])
    command = [
        *(sys.executable, str(vagrant_box.RECIPE / "make"), "{target}"),
        *("--like", str(store / like.name), "--user", golden.USER),
        *(f"--with={extra}" for extra in BUILT_WITH[name]),
    ]
    try:
        keeper.call(
            "make_file",
            progress=lambda line: say(f"machine: {line}"),
            name="box",
            path=str(file),
            command=command,
        )
    except OSError as error:
        raise HostError(
            f"the box {name} cannot be made: {error}",
            "is the Debian mirror reachable, and are e2fsprogs and qemu-utils installed?",
        ) from error
