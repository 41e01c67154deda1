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


class IdMap(Table):
    """The container's user namespace, as it is expected to be.

    Attributes:
        rows: `/proc/self/uid_map` as the container sees it, in its order: the first id in it, the
            id that this is in the user namespace around it, and how many.
        user_is: which of the container's user ids is the host's user.
        copies_image: whether podman copies the image, with other owners, before it can start it.
    """

    rows: Annotated[tuple[tuple[Id, Id, Annotated[int, Field(ge=1)]], ...], Field(min_length=1)]
    user_is: Id
    copies_image: bool

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        end = 0
        for first, _, count in self.rows:
            if first < end:
                raise ValueError(f"rows: {first} is mapped twice, or the rows are not in order")
            end = first + count
        if not any(first <= self.user_is < first + count for first, _, count in self.rows):
            raise ValueError(f"user_is: no row has {self.user_is}")
        return self


class Expectation(Table):
    """What is expected of a variant, and why.

    Attributes:
        relays_from: from where anybody may relay.
        bans: which of the outside places fail2ban keeps out after the bad logins of one of them.
        fails: what the error says, as a regular expression, where the mail server must not come up.
        within: the seconds after which a launcher that has not started it, and then a mail server
            that has not greeted, counts as failed: for what waits, and would do so for longer
            than a test should.
        id_map: the user namespace.
        why: the reason, for whoever reads of a failure.
    """

    relays_from: tuple[str, ...] = ()
    bans: tuple[str, ...] = ()
    fails: str | None = None
    within: Annotated[float, Field(gt=0)] | None = None
    id_map: IdMap | None = None
    why: Text

    @field_validator("fails")
    @classmethod
    def _compiles(cls, fails: str | None) -> str | None:
        return None if fails is None else regular_expression(fails)

    @model_validator(mode="after")
    def _failing(self) -> Self:
        if self.within is not None and self.fails is None:
            raise ValueError("within: is for a variant that fails; say with what in `fails`")
        return self

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
        second_interface: another one, on a network without a way out.
        client_address: rules that replace the scenario's for their vantages.
        expect: what is expected.
    """

    checks: Checks = "matrix"
    env: Mapping[str, str] = {}
    prepare: tuple[Step, ...] = ()
    place: Mapping[str, str] = {}
    interface: OtherInterface = None
    second_interface: OtherInterface = None
    client_address: tuple[ClientAddress, ...] = ()
    expect: Expectation

    @model_validator(mode="after")
    def _complete(self) -> Self:
        asked = self.checks == "id_map" and self.expect.fails is None
        if asked is not (self.expect.id_map is not None):
            raise ValueError(
                "expect.id_map: "
                + (
                    "is missing; checks = 'id_map' holds it against what is seen"
                    if asked
                    else "is looked at only with checks = 'id_map', where the mail server comes up"
                )
            )
        return self


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
        return regular_expression(what)


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
        second_interface: what another one is called, on a network without a way out.
        env_file: which of the placed files is the container's environment file, to which the
            variants' settings are appended.
        families: the IP versions that the machine and its network have.
        forwarded: where the container's ports are on the machine, for the published ones that the
            firewall leads there; nobody outside may reach them otherwise.
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
    interface: Annotated[str, Field(pattern=INTERFACE_NAME, examples=["enp1s0"])] = INTERFACE
    second_interface: OtherInterface = None
    families: Annotated[tuple[Family, ...], Field(min_length=1)] = (4, 6)
    peers: Mapping[Literal["peer", "neighbour"], Text] = {}
    hostname: Annotated[str, Field(pattern=r"^[^.\s]+\.[^\s]+$", examples=["mail.example.com"])]
    env_file: Text | None = None
    publish: Mapping[Service, Port]
    forwarded: Mapping[Service, Port] = {}
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

    @field_validator("publish", "forwarded")
    @classmethod
    def _distinct(cls, publish: Mapping[Service, int]) -> Mapping[Service, int]:
        for port in publish.values():
            services = [service for service, each in publish.items() if each == port]
            if len(services) > 1:
                raise ValueError(f"port {port} can lead to one of {', '.join(services)} only")
        return publish

    @field_validator("families")
    @classmethod
    def _once(cls, families: tuple[Family, ...]) -> tuple[Family, ...]:
        if len(set(families)) < len(families):
            raise ValueError(f"{list(families)} names one twice; say each once")
        return families

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
        for name, variant in self.variants.items():
            second = variant.second_interface or self.second_interface
            if second == (variant.interface or self.interface):
                raise ValueError(
                    f"variants.{name}: interface and second_interface are both {second}; "
                    "give the second another name"
                )
        for service, port in self.forwarded.items():
            if service not in self.publish:
                raise ValueError(
                    f"forwarded.{service}: publish has no {service} that the firewall could lead "
                    f"there; it has {', '.join(self.publish)}"
                )
            if port in self.publish.values():
                raise ValueError(
                    f"forwarded.{service}: {port} is published itself; name the port on the "
                    "machine that the firewall leads to, or leave it out"
                )
        for name, variant in self.variants.items():
            if variant.env and self.env_file is None:
                raise ValueError(
                    f"variants.{name}.env: there is no `env_file` that it could be appended to; "
                    "name one, or place a file that sets the variables"
                )
        if self.launcher in NEEDS_UNIT and self.unit is None:
            raise ValueError(f"unit: is missing; the launcher {self.launcher} needs one")
        for name in (FILE_OF[self.launcher],) if self.launcher in FILE_OF else ():
            if name not in self.place:
                raise ValueError(f"place: has no {name}, which the launcher {self.launcher} runs")
        return self
