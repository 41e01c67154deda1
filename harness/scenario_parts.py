"""The tables within `scenario.toml` that say what is done; each value is checked when read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import Field, model_validator

from harness.scenario_expected import ClientAddress, Expectation, Otherwise, Seen
from harness.scenario_words import (
    LAST_LOOK,
    LOOKS,
    BuiltIn,
    Checks,
    Conditions,
    OtherInterface,
    Table,
    Text,
    User,
)
from harness.throughput.compare import SUBJECTS


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
    needs: Conditions = Field({})
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
