"""What every source of the mail server image provides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from harness.keeper.client import Keeper
from harness.machines.base import BaseMachine

NAME: Final = "docker.io/mailserver/docker-mailserver:latest"
"""The name in the operator's files. Whatever the source, the image bears this name."""

Say = Callable[[str], None]
"""Tells the user, in one line, what is being done now."""


@dataclass(frozen=True, slots=True)
class Label:
    """How reports name the image.

    Attributes:
        source: `stand-in`, `upstream` or `source`.
        version: a version, tag or digest within the source.
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

    def key(self) -> str:
        """Changes whenever the image would be another one."""

    def prepare(self, keeper: Keeper, say: Say) -> None:
        """Fetch or make what `load` needs, into the cache. May take minutes.

        Raises:
            HostError: it cannot be had; says why and what to do.
        """

    def load(self, machine: BaseMachine, say: Say) -> None:
        """Put the image into the machine's podman stores, root's and the user's, as `NAME`."""


def hand_over(machine: BaseMachine, say: Say) -> None:
    """Copy the image from root's podman store to the user's."""
    say(f"mail server: handing the image to {machine.user}")
    archive = f"/home/{machine.user}/image.tar"
    machine.succeed(
        f"podman save --quiet --output {archive} {NAME} && chown {machine.user} {archive}",
        within=300,
    )
    machine.succeed(f"podman load --quiet --input {archive} && rm {archive}", machine.user, 300)
