"""The words of `scenario.toml`, and what its tables have in common."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from harness.needs import checked

LauncherName = Literal["quadlet", "compose", "podman_compose", "run", "generated_unit"]
"""The launchers that there are; see `harness.launchers`."""
NetworkName = Literal["pasta", "slirp4netns", "bridge"]
"""What podman calls the container's network mode (`HostConfig.NetworkMode`)."""
Checks = Literal["matrix", "ports", "start", "bans", "smart_host", "id_map", "life", "throughput"]
"""What a variant is there to show: everything about ports, addresses, logins, mail and relaying;
from where the ports answer; whether it comes up; whom fail2ban keeps out; mail through a relay
host; the user namespace; what outlives a reboot, a kill and the like; how fast podman's ways into
a container are."""
BuiltIn = Literal["reboot", "logout", "login"]
"""The events that are no command: the machine's restart, and the operator's last session and the
next one."""
LOOKS = (
    "mail server",
    "container",
    "delivered mail",
    "queued mail",
    "mynetworks",
    "relay",
)
"""What is looked at after every event; see `harness.life`."""
LAST_LOOK = "queued mail at last"
"""What is looked at once, after the last event."""
FILE_OF: Mapping[LauncherName, str] = {
    "compose": "compose.yaml",
    "podman_compose": "compose.yaml",
    "run": "podman-run.sh",
    "generated_unit": "podman-create.sh",
}
"""Which of the placed files a launcher starts from; its folder is where the operator works."""
NEEDS_UNIT: tuple[LauncherName, ...] = ("quadlet", "generated_unit")
UNANSWERED = ("refused", "timeout", "unreachable", "closed without a word")
"""What a client sees where nothing answers (see `probes.greeting.Greeting`)."""

STANDARD_PORTS = (25, 110, 143, 465, 587, 993, 995, 4190)
"""Ports that a mail server may have; those that a scenario does not publish must be closed."""

WORD = re.compile(r"[a-z0-9_]+")
"""What folders and variants may be called: the `-` in an id is what stands between them."""

User = Literal["root", "rootless", "operator"]
"""Who does something by hand: the user who runs rootless containers, or `operator`: whoever
launches the mail server, root or that user."""
Port = Annotated[int, Field(ge=1, le=65535)]
Id = Annotated[int, Field(ge=0)]
Text = Annotated[str, Field(min_length=1)]
INTERFACE_NAME = r"^[a-z][a-z0-9]{1,14}$"
OtherInterface = Annotated[str | None, Field(pattern=INTERFACE_NAME, examples=["enp2s0"])]


def regular_expression(text: str) -> str:
    """The text, which must be a regular expression.

    Raises:
        ValueError: it is none; says why.
    """
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from None
    return text


def spoken(event: str) -> str:
    """An event's name as a reader sees it."""
    return event.replace("_", " ")


class Table(BaseModel):
    """A table of the file: a key that it does not know is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Conditions = Annotated[Mapping[str, Text], AfterValidator(checked)]
"""What a machine must be like: a fact, as the run's observations of kind `machine` have it, and a
version to compare with (`>= 5.0`) or a regular expression for the whole of it."""


class Row(Table):
    """Something that is expected, of all machines or of some.

    Attributes:
        where: which machines it is for; without it, those that no other row about it is for.
    """

    where: Conditions = {}
