"""The guide's claims: what it says, how that is tested, and which observations decide it.

Reads `scenarios/claims.toml`. Every mistake in it is an error that names file, key and remedy.
Nothing here says whether a claim is true: see `harness.claims_verdict`.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
    model_validator,
)

from harness.errors import ClaimsError
from harness.scenario_words import Table, Text, regular_expression

FILE = "claims.toml"
"""Beside the scenarios' folders."""
FEATURES = "features"
"""The one table of the file that is no claim."""
IMAGE = "image"
"""The word in `depends` for a claim about what the mail server itself does: what a stand-in for
it shows is marked as such."""

Model = TypeVar("Model", bound=BaseModel)

_ID = re.compile(r"C[1-9]\d*")


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


Regex = Annotated[str, AfterValidator(regular_expression)]
Globs = Annotated[tuple[Text, ...], BeforeValidator(_listed), Field(min_length=1)]
"""One pattern of the shell's kind, or a list of them."""


class Feature(Table):
    """Something that a machine, or what it was given, has or has not.

    Attributes:
        name: what claims call it in `needs`.
        would: what has it, for whoever wants to see the claim tested.
        kind: the kind of observation that says so.
        subject: its subject; None where nothing that is observed can show it.
        has: what all of the outcome must match.
    """

    name: Text
    would: Text
    kind: Text = "machine"
    subject: Text | None = None
    has: Regex | None = Field(None, alias="is")

    @model_validator(mode="after")
    def _is_decided(self) -> Self:
        if (self.subject is None) != (self.has is None):
            raise ValueError("`subject` and `is` belong together")
        return self


class Case(Table):
    """One setting in which the claim can be seen to hold, or not to.

    The observations of it are those whose scenario, kind, subject and vantage match. `holds`,
    `same` or `equals` says what they must be like; it is all of them that must, by default.

    Attributes:
        when: what the setting is called, unique within the claim.
        counts: a regular expression for the outcomes that say anything; by default all do.
        holds: a regular expression that all of the outcome must match; where `evidence` names a
            key that the observation has, one that is found somewhere in that.
        same: all outcomes are the same one, and there are two or more.
        equals: the key of the evidence that the outcome equals.
        evidence: what `holds` looks at in place of the outcome.
        suffices: one observation that is as it must be is enough (`any` in the file).
    """

    when: Text
    scenario: Globs
    kind: Text
    subject: Globs = ("*",)
    vantage: Globs | None = None
    counts: Regex | None = None
    holds: Regex | None = None
    same: Literal[True] | None = None
    equals: Text | None = None
    evidence: Text | None = None
    suffices: bool = Field(default=False, alias="any")

    @model_validator(mode="after")
    def _is_decided(self) -> Self:
        if sum(each is not None for each in (self.holds, self.same, self.equals)) != 1:
            raise ValueError("it takes one of `holds`, `same` and `equals`")
        if self.evidence and self.holds is None:
            raise ValueError("`evidence` is what `holds` looks at, and there is none")
        if self.suffices and self.same:
            raise ValueError("`any` one of them cannot be the same as the others")
        return self


class Correction(Table):
    """The guide's words as they ought to be, where a run gives this verdict."""

    contradicted: Text | None = None
    depends: Text | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.contradicted or self.depends):
            raise ValueError("it takes `contradicted`, `depends` or both")
        return self


class Claim(Table):
    """Something that the guide says and that can be tested.

    Attributes:
        id: `C14`.
        quote: the guide's own words without their Markdown; `…` stands for words left out.
        section: the heading below which they stand.
        test: how it is tested.
        depends: what the answer may depend on.
        needs: what the machine must have for an answer to mean anything.
        cases: in which settings it is looked at (`case` in the file).
        correction: what a maintainer might write in place of the quote.
    """

    id: Text
    quote: Text
    section: Text
    test: Text
    depends: tuple[Text, ...] = ()
    needs: tuple[Feature, ...] = ()
    cases: tuple[Case, ...] = Field((), alias="case")
    correction: Correction | None = None

    @model_validator(mode="after")
    def _names_each_case_once(self) -> Self:
        names = [case.when for case in self.cases]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two cases are called {name!r}")
        return self


def load_claims(path: Path) -> Sequence[Claim]:
    """The claims of a file, in its order.

    Raises:
        ClaimsError: names the file, the key, what is wrong and what would be right.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise ClaimsError(
            f"{path} is missing", f"the guide's claims are in {FILE} beside the scenarios"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ClaimsError(f"{path}: {error}", "correct the TOML there") from None
    features = raw.pop(FEATURES, {})
    if not raw:
        raise ClaimsError(f"{path} holds no claims", "a claim is a table such as [C14]")
    mistakes: list[str] = []
    known = {
        name: _checked(Feature, f"{FEATURES}.{name}", {"name": name}, table, mistakes)
        for name, table in (features if isinstance(features, dict) else {}).items()
    }
    claims = [_claim(name, table, known, mistakes) for name, table in raw.items()]
    if mistakes:
        raise ClaimsError(f"{path}: " + "; ".join(mistakes), "correct it there")
    return [claim for claim in claims if claim is not None]


def _claim(
    name: str, table: object, features: dict[str, Feature | None], mistakes: list[str]
) -> Claim | None:
    if not _ID.fullmatch(name):
        mistakes.append(f"{name}: a claim is called C and a number, such as C14")
        return None
    given = {"id": name}
    if isinstance(table, dict) and isinstance(table.get("needs"), list):
        for need in table["needs"]:
            if need not in features:
                near = difflib.get_close_matches(str(need), features, 1, 0.5) or sorted(features)
                mistakes.append(
                    f"{name}.needs: there is no {FEATURES}.{need!r}; there is {', '.join(near)}"
                )
        table = table | {"needs": [features[n] for n in table["needs"] if features.get(n)]}
    return _checked(Claim, name, given, table, mistakes)


def _checked(
    model: type[Model], where: str, given: dict[str, str], table: object, mistakes: list[str]
) -> Model | None:
    """A table as a model; or None, with what is wrong added to the mistakes."""
    if not isinstance(table, dict):
        mistakes.append(f"{where}: is no table")
        return None
    mistakes += [f"{where}.{key}: is the table's name, and no key" for key in given if key in table]
    try:
        return model.model_validate(table | given)
    except ValidationError as error:
        mistakes += [_said(model, where, mistake) for mistake in error.errors()]
        return None


def _said(model: type[BaseModel], where: str, mistake: Any) -> str:
    """One mistake, with its key."""
    location = mistake["loc"]
    text = mistake["msg"].removeprefix("Value error, ")
    if mistake["type"] == "extra_forbidden":
        keys = [field.alias or name for name, field in _table(model, location).model_fields.items()]
        near = difflib.get_close_matches(str(location[-1]), keys, 1)
        text = "there is no such key; " + (
            f"{near[0]!r} is one" if near else f"there are: {', '.join(keys)}"
        )
    elif mistake["type"] == "missing":
        text = "is missing"
    return f"{'.'.join([where, *map(str, location)])}: {text}"


def _table(model: type[BaseModel], location: tuple[int | str, ...]) -> type[BaseModel]:
    """The table that a key belongs to."""
    match location:
        case ["case", _, _, *_]:
            return Case
        case ["correction", _, *_]:
            return Correction
    return model
