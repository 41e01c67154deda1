"""Boxes: by the name of a distribution, or by Vagrant's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from harness.errors import HostError
from harness.keeper.client import Keeper
from harness.mailserver.image import Say

BUILT: Final = "debian-13"
"""The box that is made here, from packages."""


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


def find_box(wanted: str, keeper: Keeper, say: Say) -> Box:
    """The box of that name; made now where it is the one that is made here."""
    if wanted != BUILT:
        return Box(wanted)
    raise HostError("not yet")
