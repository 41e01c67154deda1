"""What every source of the mail server image provides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from harness.keeper.client import Keeper
from harness.machines.base import BaseMachine

NAME: Final = "docker.io/mailserver/docker-mailserver:latest"
"""The name in the operator's files. Whatever the source, the image bears this name."""

Say = Callable[[str], None]
"""Tells the user, in one line, what is being done now."""

Rootfs = Callable[[], str]
"""Waits until the machines' root file system is in the keeper's store; returns its name there."""

_THERE = "/var/tmp/dms-harness-image.tar"  # noqa: S108 — the machine's, and root is alone there


@dataclass(frozen=True, slots=True)
class Label:
    """How reports name the image.

    Attributes:
        source: `stand-in`, `upstream`, `image` (any other reference), `archive` or `source`.
        version: a version, tag or digest within the source; complete after `Image.prepare`.
        why: why this source was taken.
    """

    source: str
    version: str
    why: str

    def __str__(self) -> str:
        return f"{self.source} {self.version} ({self.why})"


class Image(Protocol):
    """A source of the mail server image, decided upon.

    Attributes:
        label: how reports name it.
    """

    label: Label

    def key(self) -> str | None:
        """Changes whenever the image would be another one; None until `prepare` has fetched it."""

    def prepare(self, keeper: Keeper, say: Say, rootfs: Rootfs) -> None:
        """Fetch or make what `load` needs, into the cache. May take minutes.

        Sources that need podman for it call `rootfs`, which may still be in the making.

        Raises:
            HostError: it cannot be had; says why and what to do.
        """

    def load(self, machine: BaseMachine, say: Say) -> None:
        """Put the image into the machine's podman stores, root's and the user's, as `NAME`."""


def load_archive(machine: BaseMachine, archive: Path, identity: str, say: Say) -> None:
    """Put an archive's one image into both podman stores, under `NAME` and no other name.

    Args:
        machine: where.
        archive: as `podman save` writes it.
        identity: the image's id in podman, 64 hexadecimal digits.
        say: tells the user what is being done.

    Raises:
        CommandError: the machine's podman does not take it.
    """
    say(f"mail server: copying {archive.stat().st_size >> 20} MB to the machine")
    load = (
        f"podman load --quiet --input {_THERE}"
        f" && podman untag {identity} && podman tag {identity} {NAME}"
    )
    try:
        machine.copy_to(archive, _THERE)
        machine.succeed(f"chmod 644 {_THERE}")
        # One after the other: both at once take longer.
        for user in dict.fromkeys(("root", machine.user)):
            say(f"mail server: loading the image for {user}")
            machine.succeed(load, user, within=600)
    finally:
        machine.run(f"rm -f {_THERE}")


def hand_over(machine: BaseMachine, say: Say) -> None:
    """Copy the image from root's podman store to the user's, where that is another."""
    if machine.user == "root":
        return
    say(f"mail server: handing the image to {machine.user}")
    archive = f"/home/{machine.user}/image.tar"
    machine.succeed(
        f"podman save --quiet --output {archive} {NAME} && chown {machine.user} {archive}",
        within=300,
    )
    machine.succeed(f"podman load --quiet --input {archive} && rm {archive}", machine.user, 300)
