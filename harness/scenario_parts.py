"""The tables within `scenario.toml`. Every value is checked as it is read."""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from harness.addresses import vantages_of
from harness.needs import checked
from harness.throughput.compare import SUBJECTS

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


class Step(Table):
    """Something that is done by hand around the deployment, and taken back after it.

    Attributes:
        why: the reason.
        run: a command line for bash; `$CONTAINER` and `$UNIT` are the scenario's.
        user: who does it.
        undo: what takes it back.
    """

    why: Text
    run: Text
    user: User = Field("root", alias="as")
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


class Otherwise(Row):
    """What is expected of a variant on some machines, in place of all that is expected of others.

    Its reason is that of what is expected.
    """

    where: Annotated[Conditions, Field(min_length=1)]
    expect: Expectation


class ClientAddress(Row):
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


class Seen(Row):
    """Something that is seen of a mail server's life, or of how ways into it compare, and why.

    Attributes:
        of: one of `LOOKS`, or `LAST_LOOK`, or the name of a question; or one of
            `throughput.compare.SUBJECTS`.
        run: what answers the question: a command line for bash, of which the last line counts.
        user: who asks.
        after: the event after which it is seen; without one a question is asked at the beginning.
        is_: the whole outcome, as a regular expression.
        why: the reason.
    """

    of: Text
    run: Text | None = None
    user: User = Field("operator", alias="as")
    after: Text | None = None
    is_: Text = Field(alias="is")
    why: Text

    def __str__(self) -> str:
        return re.sub(r"\W+", "_", self.subject)

    @property
    def subject(self) -> str:
        """What the observation is about."""
        return f"{self.of} after {spoken(self.after)}" if self.after else self.of

    @property
    def compares(self) -> bool:
        """Whether it is about ways that are held against each other."""
        return self.of in SUBJECTS and self.run is None and self.after is None

    @field_validator("is_")
    @classmethod
    def _compiles(cls, value: str) -> str:
        return regular_expression(value)

    @model_validator(mode="after")
    def _can_be_seen(self) -> Self:
        if self.compares:
            return self
        if self.run is None and self.of not in (*LOOKS, LAST_LOOK):
            near = difflib.get_close_matches(self.of, SUBJECTS, 1)
            raise ValueError(
                f"of: {self.of!r} is no look ({', '.join((*LOOKS, LAST_LOOK))}); "
                "as a question it needs `run`" + (f"; {near[0]!r} is a comparison" if near else "")
            )
        if self.run is not None and self.of in (*LOOKS, LAST_LOOK):
            raise ValueError(f"of: {self.of!r} is a look; give the question another name")
        if self.of == LAST_LOOK and self.after is not None:
            raise ValueError(f"after: {self.of!r} is looked at after the last event; leave it out")
        if self.run is None and self.of != LAST_LOOK and self.after is None:
            raise ValueError(f"after: is missing; {self.of!r} is looked at after an event")
        return self


def spoken(event: str) -> str:
    """An event's name as a reader sees it."""
    return event.replace("_", " ")


class VariantTable(Table):
    """A variant: what is different in it, and what follows from that.

    Attributes:
        checks: what it is there to show.
        needs: what its machine must have for it to be run, beside what its scenario needs.
        env: settings that are appended to the environment file.
        prepare: steps that are taken after the scenario's own.
        place: files that are placed as well, or elsewhere.
        interface: the machine's network interface.
        second_interface: another one, on a network without a way out.
        client_address: rules that replace the scenario's for their vantages.
        events: what changes the life of the mail server, in order: a step each, or one of
            `BuiltIn`. In the file a list of names, which are also those in `steps.toml`, or a
            table where a name may stand for a step as well.
        seen: what is expected to be seen at the beginning and after the events.
        expect: what is expected.
        otherwise: what is expected instead on some machines.
    """

    checks: Checks = "matrix"
    needs: Conditions = {}
    env: Mapping[str, str] = {}
    prepare: tuple[Step, ...] = ()
    place: Mapping[str, str] = {}
    interface: OtherInterface = None
    second_interface: OtherInterface = None
    client_address: tuple[ClientAddress, ...] = ()
    events: Mapping[str, Step | BuiltIn] = {}
    seen: tuple[Seen, ...] = ()
    expect: Expectation
    otherwise: tuple[Otherwise, ...] = ()

    @model_validator(mode="after")
    def _lives(self) -> Self:
        looks = self.checks in ("life", "throughput")
        if looks is not bool(self.seen):
            raise ValueError(
                "seen: "
                + (
                    f"is missing; checks = {self.checks!r} holds it against what is seen"
                    if looks
                    else "is looked at only with checks = 'life' and checks = 'throughput'"
                )
            )
        if self.events and self.checks != "life":
            raise ValueError("events: happen only with checks = 'life'")
        for position, seen in enumerate(self.seen):
            if seen.of == LAST_LOOK and not self.events:
                raise ValueError(f"seen.{position}: {LAST_LOOK!r} needs `events`")
            if seen.compares is not (self.checks == "throughput"):
                raise ValueError(
                    f"seen.{position}.of: {seen.of!r} is not seen with checks = {self.checks!r}; "
                    + (
                        f"there are: {', '.join((*LOOKS, LAST_LOOK))}, and questions"
                        if self.checks == "life"
                        else f"one is {SUBJECTS[0]!r}"
                    )
                )
            if seen.after is not None and seen.after not in self.events:
                raise ValueError(
                    f"seen.{position}.after: there is no event {seen.after!r}; "
                    f"there are: {', '.join(self.events) or 'none'}"
                )
        return self

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


class Remains(Row):
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


class PlainLogin(Row):
    """A service that takes a password from outside without TLS, and why it does."""

    service: Literal["smtp", "submission", "imap"]
    why: Text
