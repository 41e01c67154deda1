"""The tables within `scenario.toml` that say what is expected; each value is checked when read."""

from __future__ import annotations

import difflib
import ipaddress
import re
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from harness.addresses import vantages_of
from harness.scenario_words import (
    LAST_LOOK,
    LOOKS,
    UNANSWERED,
    Conditions,
    Id,
    Row,
    Table,
    Text,
    User,
    regular_expression,
    spoken,
)
from harness.throughput.compare import SUBJECTS


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
