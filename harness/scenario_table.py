"""The whole of `scenario.toml`, checked as it is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from harness.addresses import INTERFACE, vantage_names, vantages_of
from harness.scenario_expected import ClientAddress, PlainLogin, Remains
from harness.scenario_parts import Mailbox, Step, VariantTable
from harness.scenario_words import (
    FILE_OF,
    INTERFACE_NAME,
    NEEDS_UNIT,
    WORD,
    Conditions,
    LauncherName,
    NetworkName,
    OtherInterface,
    Port,
    Table,
    Text,
)
from harness.site import Service
from harness.vantage import Family


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
        needs: what a machine must have, beside what the launcher and the network need.
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
    needs: Conditions = Field({})
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
    def _every_vantage_once(self) -> Self:
        for where, rules in (
            ("client_address", self.client_address),
            *((f"variants.{n}.client_address", v.client_address) for n, v in self.variants.items()),
        ):
            said = [one for rule in rules if not rule.where for one in vantages_of(rule.of)]
            for vantage in self.vantages:
                times = said.count(vantage)
                if times > 1 or (times == 0 and where == "client_address"):
                    raise ValueError(f"{where}: {vantage} must be said once, and is {times}×")
        return self

    @model_validator(mode="after")
    def _interfaces_differ(self) -> Self:
        for name, variant in self.variants.items():
            second = variant.second_interface or self.second_interface
            if second == (variant.interface or self.interface):
                raise ValueError(
                    f"variants.{name}: interface and second_interface are both {second}; "
                    "give the second another name"
                )
        return self

    @model_validator(mode="after")
    def _can_log_out(self) -> Self:
        for name, variant in self.variants.items():
            if self.user == "root" and {"logout", "login"} & set(map(str, variant.events.values())):
                raise ValueError(
                    f"variants.{name}.events: root, by whom the harness looks, cannot log out; "
                    "leave logout and login to scenarios whose user is rootless"
                )
        return self

    @model_validator(mode="after")
    def _forwarded_ports_lead_somewhere(self) -> Self:
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
        return self

    @model_validator(mode="after")
    def _settings_have_a_file(self) -> Self:
        for name, variant in self.variants.items():
            if variant.env and self.env_file is None:
                raise ValueError(
                    f"variants.{name}.env: there is no `env_file` that it could be appended to; "
                    "name one, or place a file that sets the variables"
                )
        return self

    @model_validator(mode="after")
    def _launcher_has_what_it_starts(self) -> Self:
        if self.launcher in NEEDS_UNIT and self.unit is None:
            raise ValueError(f"unit: is missing; the launcher {self.launcher} needs one")
        for name in (FILE_OF[self.launcher],) if self.launcher in FILE_OF else ():
            if name not in self.place:
                raise ValueError(f"place: has no {name}, which the launcher {self.launcher} runs")
        return self
