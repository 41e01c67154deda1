"""The scenario model: a folder with an operator's own files, and what is said about them.

`scenario.toml` says what an operator does by hand around the files, how they are launched, and
what is expected. Every mistake in it is an error that names the file, the key and the remedy.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.addresses import CLIENTS, MACHINE, vantages_of
from harness.errors import ScenarioError
from harness.scenario_table import (
    STANDARD_PORTS,
    UNANSWERED,
    WORD,
    ClientAddress,
    Expectation,
    IdMap,
    Mailbox,
    PlainLogin,
    Remains,
    ScenarioTable,
    Step,
    Table,
    VariantTable,
)
from harness.site import Account
from harness.vantage import Family

FILE = "scenario.toml"
STEPS = "steps.toml"
"""Beside the scenarios' folders: the steps that several of them name."""


@dataclass(frozen=True, slots=True, eq=False)
class Scenario:
    """One variant of a scenario: what is deployed, and what is expected of it.

    Attributes:
        id: `FOLDER-VARIANT`, what `pytest -k` selects by.
        folder: where the operator's files lie.
        base: where those of them lie that are not in `folder`, or None.
        variant: the variant's name.
        is_first: whether it is the first variant of its folder, in which things are shown that
            do not depend on the variant.
        table: what `scenario.toml` says.
    """

    id: str
    folder: Path
    variant: str
    is_first: bool
    table: ScenarioTable
    base: Path | None = None

    def __str__(self) -> str:
        return self.id

    @property
    def settings(self) -> VariantTable:
        """What makes this variant."""
        return self.table.variants[self.variant]

    @property
    def domain(self) -> str:
        """The mail domain: that of the first account."""
        return self.table.accounts[0].address.partition("@")[2]

    @property
    def accounts(self) -> list[Account]:
        """The mailboxes."""
        return [Account(each.address, each.password) for each in self.table.accounts]

    @property
    def closed_ports(self) -> list[int]:
        """The ports that a mail server may have and this one does not publish."""
        return [port for port in STANDARD_PORTS if port not in self.table.publish.values()]

    @property
    def forwarded_ports(self) -> list[int]:
        """The ports that the firewall leads to; outside they are reached by no other way."""
        return list(self.table.forwarded.values())

    @property
    def listening_ports(self) -> set[int]:
        """The ports that something listens on for the mail server, on the machine itself."""
        return set({**self.table.publish, **self.table.forwarded}.values())

    @property
    def relays_from(self) -> set[str]:
        """The vantages from which anybody is expected to be able to relay."""
        return {v for word in self.settings.expect.relays_from for v in vantages_of(word)}

    @property
    def prepare(self) -> tuple[Step, ...]:
        """What is done by hand before the start, in order."""
        return self.table.prepare + self.settings.prepare

    @property
    def place(self) -> Mapping[str, str]:
        """Which of the operator's files lies where on the machine."""
        return {**self.table.place, **self.settings.place}

    @property
    def interface(self) -> str:
        """What the machine's network interface is called."""
        return self.settings.interface or self.table.interface

    @property
    def second_interface(self) -> str | None:
        """What the machine's other network interface is called, or None where it has but one."""
        return self.settings.second_interface or self.table.second_interface

    @property
    def words(self) -> set[str]:
        """What `pytest -k` selects it by, beside its id: one word for each of its dimensions."""
        mode = "rootful" if self.table.user == "root" else "rootless"
        return {
            mode,
            self.table.launcher,
            self.table.network,
            f"{mode}_{self.table.network}",
            self.settings.checks,
            self.interface,
        }

    @property
    def reachable(self) -> list[str]:
        """The vantages from which the published ports are expected to answer."""
        return [one for one in self.table.vantages if self._rule(one).is_ not in UNANSWERED]

    @property
    def outside_family(self) -> Family | None:
        """The first IP version that anybody outside is expected to get through over, or None."""
        for vantage in self.reachable:
            if vantage.startswith("outside"):
                return 4 if vantage.endswith("4") else 6
        return None

    @property
    def main_vantage(self) -> str:
        """Where what is tried once is tried from: the first outside client that gets through."""
        return self.reachable[0]

    @property
    def unreachable(self) -> list[str]:
        """The vantages from which nothing is expected to answer."""
        return [one for one in self.table.vantages if self._rule(one).is_ in UNANSWERED]

    def unanswered(self, vantage: str) -> tuple[str, str]:
        """What is seen instead of an answer from a vantage that has none, and why."""
        rule = self._rule(vantage)
        return rule.is_, rule.why

    def _rule(self, vantage: str) -> ClientAddress:
        rules = (*self.settings.client_address, *self.table.client_address)
        return next(rule for rule in rules if vantage in vantages_of(rule.of))

    def client_address(self, vantage: str) -> tuple[str, str]:
        """The address or network that the server logs for a vantage's clients, and why."""
        rule = self._rule(vantage)
        place, _, family = vantage.rpartition("_v")
        digit: Family = 4 if family == "4" else 6
        if rule.is_ == "machine" or (rule.is_ == "own" and place == "self"):
            return MACHINE[digit], rule.why
        if rule.is_ == "own":
            own = {client.place: client.addresses[digit] for client in CLIENTS}
            own["localhost"] = "127.0.0.1" if digit == 4 else "::1"
            return own[place], rule.why
        return rule.is_, rule.why

    def files(self, name: str) -> dict[str, Path]:
        """The files behind a name of `place`: its own, and those that only the base has.

        Returns:
            Path below the name → file; a name that is a file itself has the path `""`.
        """
        found: dict[str, Path] = {}
        for folder in (self.base, self.folder):
            source = folder / name if folder else None
            if source is not None and source.is_file():
                found = {"": source}
            elif source is not None and source.is_dir():
                found.pop("", None)
                inside = (file for file in sorted(source.rglob("*")) if file.is_file())
                found |= {file.relative_to(source).as_posix(): file for file in inside}
        return found

    def environment(self) -> str:
        """The environment file with the variant's settings appended; nothing without a file."""
        if self.table.env_file is None:
            return ""
        text = self.files(self.table.env_file)[""].read_text(encoding="utf-8")
        if self.settings.env:
            text += f"\n# {self.variant}\n"
            text += "".join(f"{key}={value}\n" for key, value in self.settings.env.items())
        return text


def load(folder: Path) -> list[Scenario]:
    """The variants of the scenario in a folder, in the order of its file.

    Raises:
        ScenarioError: names the file, the key, what is wrong and what would be right.
    """
    file = folder / FILE
    if not WORD.fullmatch(folder.name):
        name = re.sub(r"[^a-z0-9_]+", "_", folder.name.lower()).strip("_") or "scenario"
        raise ScenarioError(
            f"{folder}: a scenario's folder is called by lower case letters, digits, underscores",
            f"mv {folder} {folder.with_name(name)}",
        )
    raw = _read(file)
    base, said_by = None, str(file)
    if isinstance(raw.get("base"), str) and raw["base"]:
        base = Path(os.path.normpath(folder / raw["base"]))
        said_by = f"{file} (over {base / FILE})"
        below = _read(base / FILE)
        if "base" in below:
            raise ScenarioError(
                f"{said_by}: base: the other has a base itself",
                f"name that one: {os.path.normpath(Path(raw['base'], str(below['base'])))}",
            )
        # The base's steps are those that lie beside it.
        raw = _with_steps(below, base / FILE) | _with_steps(raw, file)
    else:
        raw = _with_steps(raw, file)
    try:
        table = ScenarioTable.model_validate(raw)
    except ValidationError as error:
        raise ScenarioError(f"{said_by}: " + _explained(error), "correct it there") from None
    folders = [folder, base] if base else [folder]
    placed = [("place", name) for name in table.place]
    for variant, settings in table.variants.items():
        placed += [(f"variants.{variant}.place", name) for name in settings.place]
    if table.env_file is not None:
        placed.append(("env_file", table.env_file))
    for key, name in placed:
        there = Path.is_file if key == "env_file" else Path.exists
        if not any(there(each / name) for each in folders):
            names = sorted({path.name for each in folders for path in each.iterdir()})
            raise ScenarioError(
                f"{said_by}: {key} names {name!r}, which is not in "
                + " or ".join(map(str, folders)),
                f"there are: {', '.join(names)}",
            )
    return [
        Scenario(f"{folder.name}-{variant}", folder, variant, index == 0, table, base)
        for index, variant in enumerate(table.variants)
    ]


def _read(file: Path) -> dict[str, Any]:
    """A file's TOML as it is."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise ScenarioError(
            f"{file} is missing", "every folder of scenarios needs one; copy a neighbour's"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{file}: {error}", "correct the TOML there") from None


def _with_steps(raw: dict[str, Any], file: Path) -> dict[str, Any]:
    """A file's table with the names in `prepare` replaced by the steps that they stand for."""
    variants = raw.get("variants")
    tables = [("", raw)]
    if isinstance(variants, dict):
        tables += [(f"variants.{n}.", v) for n, v in variants.items() if isinstance(v, dict)]
    for where, table in tables:
        named = table.get("prepare")
        if not isinstance(named, list) or not any(isinstance(each, str) for each in named):
            continue
        beside = file.parent.parent / STEPS
        known = _read(beside) if beside.exists() else {}
        for position, name in enumerate(named):
            if isinstance(name, str):
                if name not in known:
                    near = difflib.get_close_matches(name, known, 3, 0.5) or sorted(known)
                    raise ScenarioError(
                        f"{file}: {where}prepare: {beside} has no step {name!r}",
                        f"it has {', '.join(near)}",
                    )
                named[position] = known[name]
    return raw


def _explained(error: ValidationError) -> str:
    """All mistakes of a file, each with its key."""
    said = []
    for mistake in error.errors():
        key = ".".join(str(part) for part in mistake["loc"] if part != "[key]") or "the file"
        text = mistake["msg"].removeprefix("Value error, ")
        if mistake["type"] == "extra_forbidden":
            text = "there is no such key" + _near(mistake["loc"])
        elif mistake["type"] == "missing":
            text = "is missing"
        elif mistake["type"] == "literal_error":
            text += f", not {mistake['input']!r}"
        elif mistake["type"] == "string_pattern_mismatch":
            field = _model(mistake["loc"]).model_fields[str(mistake["loc"][-1])]
            text = f"{mistake['input']!r} has not the form of {', '.join(field.examples or ())}"
        said.append(f"{key}: {text}")
    return "; ".join(said)


def _near(location: tuple[int | str, ...]) -> str:
    known = [field.alias or name for name, field in _model(location).model_fields.items()]
    near = difflib.get_close_matches(str(location[-1]), known, 1)
    return f"; {near[0]!r} is one" if near else f"; there are: {', '.join(known)}"


def _model(location: tuple[int | str, ...]) -> type[Table]:
    """The table that a key belongs to."""
    match location:
        case ["plain_login", _, _, *_]:
            return PlainLogin
        case ["remains", _, _, *_]:
            return Remains
        case ["prepare" | "disturb", _, _, *_] | ["variants", _, "prepare", _, _, *_]:
            return Step
        case ["accounts", _, _, *_]:
            return Mailbox
        case ["client_address", _, _, *_] | ["variants", _, "client_address", _, _, *_]:
            return ClientAddress
        case ["variants", _, "expect", "id_map", _, *_]:
            return IdMap
        case ["variants", _, "expect", _, *_]:
            return Expectation
        case ["variants", _, _, *_]:
            return VariantTable
    return ScenarioTable


def load_all(folder: Path) -> list[Scenario]:
    """The variants of all scenarios below a folder, in the order of their names.

    Raises:
        ScenarioError: one of them is wrong, or there is none.
    """
    if not folder.is_dir():
        raise ScenarioError(f"{folder} is no folder", "name one that holds scenarios")
    folders = sorted(each for each in folder.iterdir() if each.is_dir())
    scenarios = [scenario for each in folders for scenario in load(each)]
    if not scenarios:
        raise ScenarioError(f"{folder} holds no scenarios", f"a scenario is a folder with a {FILE}")
    return scenarios
