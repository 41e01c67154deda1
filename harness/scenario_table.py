"""What `scenario.toml` may say. Every value is checked as it is read."""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Mapping
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator

from harness.addresses import CLIENTS
from harness.site import Service
from harness.vantage import Family

LauncherName = Literal["quadlet"]
"""The launchers that there are; see `harness.launchers`."""
PLACES = (*(client.place for client in CLIENTS), "localhost", "self")
"""Where connections come from: outside clients, and the machine itself by two addresses."""
GROUPS: Mapping[str, tuple[str, ...]] = {
    "outside": tuple(client.place for client in CLIENTS),
    "outside_lan": tuple(client.place for client in CLIENTS if client.on_lan),
    **{place: (place,) for place in PLACES},
}
"""Words that an expectation may use for one place or several, with or without `_v4` or `_v6`."""

STANDARD_PORTS = (25, 110, 143, 465, 587, 993, 995, 4190)
"""Ports that a mail server may have; those that a scenario does not publish must be closed."""

WORD = re.compile(r"[a-z0-9_]+")
"""What folders and variants may be called: the `-` in an id is what stands between them."""

Port = Annotated[int, Field(ge=1, le=65535)]
Text = Annotated[str, Field(min_length=1)]


class Table(BaseModel):
    """A table of the file: a key that it does not know is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def vantages_of(word: str) -> list[str]:
    """The vantages that a word of an expectation stands for.

    Raises:
        ValueError: there is no such word; the text names the nearest ones.
    """
    group, _, family = word.rpartition("_v")
    families: tuple[Family, ...] = get_args(Family)
    if group and family in ("4", "6"):
        families = (4,) if family == "4" else (6,)
    else:
        group = word
    if group not in GROUPS:
        near = difflib.get_close_matches(group, GROUPS, 3, 0.4) or GROUPS
        raise ValueError(f"{word!r} is no vantage; {', '.join(near)} are, also with _v4 or _v6")
    return [f"{place}_v{each}" for place in GROUPS[group] for each in families]


class Step(Table):
    """Something that is done by hand around the deployment, and taken back after it."""

    why: Text
    run: Text
    user: Literal["root", "rootless"] = Field("root", alias="as")
    undo: str | None = None


class Mailbox(Table):
    """An account that the operator's files create."""

    address: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$", examples=["alice@example.com"])]
    password: Text


class Expectation(Table):
    """What is expected of who may relay, and why."""

    relays_from: tuple[str, ...] = ()
    why: Text

    @field_validator("relays_from")
    @classmethod
    def _known(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        for word in words:
            vantages_of(word)
        return words


class VariantTable(Table):
    """A variant: settings that are appended to the environment file, and what follows from them."""

    env: Mapping[str, str] = {}
    expect: Expectation


class ClientAddress(Table):
    """Which address the mail server logs for clients from somewhere, and why."""

    of: str
    is_: str = Field(alias="is")
    why: Text

    @field_validator("of")
    @classmethod
    def _known(cls, word: str) -> str:
        vantages_of(word)
        return word

    @field_validator("is_")
    @classmethod
    def _address(cls, value: str) -> str:
        if value not in ("own", "machine"):
            try:
                ipaddress.ip_network(value)
            except ValueError:
                raise ValueError(
                    f"{value!r} is neither `own` (the client's), `machine` (the host's in the "
                    "client's family), an address, nor a network"
                ) from None
        return value


class ScenarioTable(Table):
    """The whole of `scenario.toml`, with what it takes over from its base.

    Attributes:
        base: the folder of the scenario that this one is like, relative to its own. A key that
            is given here replaces the base's; a file that is not here is the base's.
        disturb: what is broken on purpose once the mail server greets, before anything is
            observed: for showing that the right checks fail. Taken back first at the stop.
    """

    base: Text | None = None
    title: Text
    launcher: LauncherName
    network: Text
    user: Literal["root", "rootless"]
    unit: Text
    container: Text
    hostname: Annotated[str, Field(pattern=r"^[^.\s]+\.[^\s]+$", examples=["mail.example.com"])]
    env_file: Text
    publish: Mapping[Service, Port]
    place: Mapping[str, str]
    certificates: Mapping[str, str] = {}
    accounts: Annotated[tuple[Mailbox, ...], Field(min_length=2)]
    alias: str | None = None
    prepare: tuple[Step, ...] = ()
    disturb: tuple[Step, ...] = ()
    client_address: tuple[ClientAddress, ...]
    variants: Annotated[Mapping[str, VariantTable], Field(min_length=1)]

    @field_validator("publish")
    @classmethod
    def _distinct(cls, publish: Mapping[Service, int]) -> Mapping[Service, int]:
        for port in publish.values():
            services = [service for service, each in publish.items() if each == port]
            if len(services) > 1:
                raise ValueError(f"port {port} can lead to one of {', '.join(services)} only")
        return publish

    @field_validator("variants")
    @classmethod
    def _selectable(cls, variants: Mapping[str, VariantTable]) -> Mapping[str, VariantTable]:
        for name in variants:
            if not WORD.fullmatch(name):
                raise ValueError(f"{name!r} must be lower case letters, digits and underscores")
        return variants

    @field_validator("client_address")
    @classmethod
    def _complete(cls, rules: tuple[ClientAddress, ...]) -> tuple[ClientAddress, ...]:
        said = [vantage for rule in rules for vantage in vantages_of(rule.of)]
        for place in PLACES:
            for vantage in vantages_of(place):
                if said.count(vantage) != 1:
                    raise ValueError(f"{vantage} must be said once, and is {said.count(vantage)}×")
        return rules
