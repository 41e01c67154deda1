"""What `scenario.toml` may say. Every value is checked as it is read."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from harness.addresses import INTERFACE, vantage_names, vantages_of
from harness.site import Service
from harness.vantage import Family

LauncherName = Literal["quadlet", "compose", "podman_compose", "run", "generated_unit"]
"""The launchers that there are; see `harness.launchers`."""
NetworkName = Literal["pasta", "slirp4netns", "bridge"]
"""What podman calls the container's network mode (`HostConfig.NetworkMode`)."""
Checks = Literal["matrix", "ports", "start", "bans", "smart_host", "id_map"]
"""What a variant is there to show: everything about ports, addresses, logins, mail and relaying;
from where the ports answer; whether it comes up; whom fail2ban keeps out; mail through a relay
host; the user namespace."""
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

Port = Annotated[int, Field(ge=1, le=65535)]
Text = Annotated[str, Field(min_length=1)]


class Table(BaseModel):
    """A table of the file: a key that it does not know is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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
    """What is expected of a variant, and why.

    Attributes:
        relays_from: from where anybody may relay.
        bans: which of the outside places fail2ban keeps out after the bad logins of one of them.
        fails: what the error says, as a regular expression, where the mail server must not come up.
        why: the reason, for whoever reads of a failure.
    """

    relays_from: tuple[str, ...] = ()
    bans: tuple[str, ...] = ()
    fails: str | None = None
    why: Text

    @field_validator("relays_from", "bans")
    @classmethod
    def _known(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        for word in words:
            vantages_of(word)
        return words


class ClientAddress(Table):
    """Which address the mail server logs for clients from somewhere, and why.

    Or, where nothing answers them, what they see instead: one of `UNANSWERED`.
    """

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
        if value not in ("own", "machine", *UNANSWERED):
            try:
                ipaddress.ip_network(value)
            except ValueError:
                raise ValueError(
                    f"{value!r} is neither `own` (the client's), `machine` (the host's in the "
                    "client's family), an address, a network, nor what is seen where nothing "
                    f"answers ({', '.join(UNANSWERED)})"
                ) from None
        return value


class VariantTable(Table):
    """A variant: what is different in it, and what follows from that.

    Attributes:
        checks: what it is there to show.
        env: settings that are appended to the environment file.
        prepare: steps that are taken after the scenario's own.
        place: files that are placed as well, or elsewhere.
        interface: the machine's network interface.
        client_address: rules that replace the scenario's for their vantages.
        expect: what is expected.
    """

    checks: Checks = "matrix"
    env: Mapping[str, str] = {}
    prepare: tuple[Step, ...] = ()
    place: Mapping[str, str] = {}
    interface: Text | None = None
    client_address: tuple[ClientAddress, ...] = ()
    expect: Expectation


class Remains(Table):
    """What the operator's own tear-down leaves on the machine, and why that is right.

    Attributes:
        what: a regular expression for whole lines of the leak check.
        why: the reason.
    """

    what: Text
    why: Text

    @field_validator("what")
    @classmethod
    def _compiles(cls, what: str) -> str:
        try:
            re.compile(what)
        except re.error as error:
            raise ValueError(f"{what!r} is no regular expression: {error}") from None
        return what


class PlainLogin(Table):
    """A service that takes a password from outside without TLS, and why it does."""

    service: Literal["smtp", "submission", "imap"]
    why: Text


class ScenarioTable(Table):
    """The whole of `scenario.toml`, with what it takes over from its base.

    Attributes:
        base: the folder of the scenario that this one is like, relative to its own. A key that
            is given here replaces the base's; a file that is not here is the base's.
        unit: the systemd unit, for the launchers that have one.
        container: the container's name.
        interface: what the machine's network interface is called.
        families: the IP versions that the machine and its network have.
        peers: containers on the machine that connect to the mail server's own address, each with
            the podman network that it is on.
        disturb: what is broken on purpose once the mail server greets, before anything is
            observed: for showing that the right checks fail. Taken back first at the stop.
        remains: what the operator's own tear-down leaves on the machine.
        plain_login: the services that take passwords from outside in clear text.
    """

    base: Text | None = None
    title: Text
    launcher: LauncherName
    network: NetworkName
    user: Literal["root", "rootless"]
    unit: Text | None = None
    container: Text
    interface: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{1,14}$", examples=["enp1s0"])] = (
        INTERFACE
    )
    families: Annotated[tuple[Family, ...], Field(min_length=1)] = (4, 6)
    peers: Mapping[Literal["peer", "neighbour"], Text] = {}
    hostname: Annotated[str, Field(pattern=r"^[^.\s]+\.[^\s]+$", examples=["mail.example.com"])]
    env_file: Text
    publish: Mapping[Service, Port]
    place: Mapping[str, str]
    certificates: Mapping[str, str] = {}
    accounts: Annotated[tuple[Mailbox, ...], Field(min_length=2)]
    alias: str | None = None
    prepare: tuple[Step, ...] = ()
    disturb: tuple[Step, ...] = ()
    remains: tuple[Remains, ...] = ()
    plain_login: tuple[PlainLogin, ...] = ()
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

    @property
    def vantages(self) -> list[str]:
        """The names of all places that connections are made from, each with its family."""
        return vantage_names(self.families, tuple(self.peers))

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for where, rules in (
            ("client_address", self.client_address),
            *((f"variants.{n}.client_address", v.client_address) for n, v in self.variants.items()),
        ):
            said = [vantage for rule in rules for vantage in vantages_of(rule.of)]
            for vantage in self.vantages:
                times = said.count(vantage)
                if times > 1 or (times == 0 and where == "client_address"):
                    raise ValueError(f"{where}: {vantage} must be said once, and is {times}×")
        if self.launcher in NEEDS_UNIT and self.unit is None:
            raise ValueError(f"unit: is missing; the launcher {self.launcher} needs one")
        for name in (FILE_OF[self.launcher],) if self.launcher in FILE_OF else ():
            if name not in self.place:
                raise ValueError(f"place: has no {name}, which the launcher {self.launcher} runs")
        return self
