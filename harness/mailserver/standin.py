"""The stand-in: real Postfix and Dovecot behind docker-mailserver's documented interface.

Built from distribution packages, so it needs no container registry. Its recipe lies in the
folder `standin` beside this module.
"""

from __future__ import annotations

from pathlib import Path

from harness import cache
from harness.errors import HostError
from harness.keeper.client import Keeper
from harness.machines.base import BaseMachine
from harness.machines.debian import MIRROR, mmdebstrap, package_list
from harness.mailserver.image import NAME, Label, Rootfs, Say, hand_over

RECIPE = Path(__file__).parent / "standin"
SUITE = "trixie"
_THERE = "/root/standin"
"""The recipe's place on the machine that builds it."""


class StandIn:
    """The stand-in as an image source.

    Args:
        why: why it was taken, for reports.
    """

    def __init__(self, why: str) -> None:
        self.label = Label("stand-in", self.key(), why)

    def key(self) -> str:
        """Changes with the recipe."""
        return f"standin-{cache.digest(RECIPE, SUITE, MIRROR)}"

    def rootfs(self, folder: Path) -> Path:
        """Where the cache, a folder, has its root file system."""
        packages = cache.digest(RECIPE / "packages", RECIPE / "customize.sh", SUITE, MIRROR)
        return folder / "images" / f"standin-{packages}.tar"

    def prepare(self, keeper: Keeper, say: Say, _: Rootfs) -> None:
        """Make the image's root file system from packages."""
        target = self._archive = self.rootfs(keeper.cache)
        if target.exists():
            return
        target.parent.mkdir(exist_ok=True)
        say("mail server: installing the stand-in's packages")
        command = mmdebstrap(
            SUITE,
            package_list(RECIPE / "packages"),
            [f'{RECIPE / "customize.sh"} "$1"'],
            "{target}",
            variant="essential",
        )
        try:
            keeper.call(
                "make_file", progress=say, name="stand-in", path=str(target), command=command
            )
        except OSError as error:
            raise HostError(
                f"the stand-in's packages cannot be installed: {error}",
                "is the Debian mirror reachable? see `dms-harness doctor`",
            ) from error

    def load(self, machine: BaseMachine, say: Say) -> None:
        """Build the image for root and hand it to the user."""
        say("mail server: building the stand-in for root")
        machine.succeed(f"rm -rf {_THERE} && mkdir {_THERE}")
        for name in ("Containerfile", "rootfs"):
            machine.copy_to(RECIPE / name, f"{_THERE}/{name}")
        machine.copy_to(self._archive, f"{_THERE}/rootfs.tar")
        machine.succeed(
            # The health check is part of docker's image format only.
            f"podman build --quiet --format docker --tag {NAME} {_THERE}",
            within=300,
        )
        machine.succeed(f"rm -r {_THERE}")
        hand_over(machine, say)
