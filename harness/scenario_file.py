"""Reads scenarios: every mistake is an error that names the file, the key and the remedy."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Callable, Collection
from functools import cache
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from harness.errors import ScenarioError
from harness.on_machine import is_conditional, resolved
from harness.scenario import Scenario
from harness.scenario_expected import (
    ClientAddress,
    Expectation,
    IdMap,
    Otherwise,
    PlainLogin,
    Remains,
    Seen,
)
from harness.scenario_parts import Mailbox, Step, VariantTable
from harness.scenario_table import ScenarioTable
from harness.scenario_words import WORD, BuiltIn, Table

FILE = "scenario.toml"
STEPS = "steps.toml"
"""Beside the scenarios' folders: the steps that several of them name."""

Read = Callable[[Path], dict[str, Any]]


def load(folder: Path, read_steps: Read | None = None) -> list[Scenario]:
    """The variants of the scenario in a folder, in the order of its file.

    Args:
        folder: the scenario's.
        read_steps: gives the table of a file of steps; by default it is read anew each time.

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
    read_steps = read_steps or _read
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
        raw = _with_steps(below, base / FILE, read_steps) | _with_steps(raw, file, read_steps)
    else:
        raw = _with_steps(raw, file, read_steps)
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
    written = table if is_conditional(table) else None
    usual = resolved(table, {}) if written else table
    return [
        Scenario(f"{folder.name}-{variant}", folder, variant, index == 0, usual, base, written)
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


def _with_steps(raw: dict[str, Any], file: Path, read_steps: Read) -> dict[str, Any]:
    """A file's table with the names in `prepare` and `events` replaced by what they stand for.

    Events are a list of names, or a table where one needs another name, as what comes twice does.
    """
    variants = raw.get("variants")
    tables = [("", raw)]
    if isinstance(variants, dict):
        tables += [(f"variants.{n}.", v) for n, v in variants.items() if isinstance(v, dict)]
    for where, table in tables:
        if isinstance(named := table.get("prepare"), list):
            table["prepare"] = [
                _step(each, file, read_steps, f"{where}prepare") if isinstance(each, str) else each
                for each in named
            ]
        if isinstance(named := table.get("events"), list):
            twice = [name for name in named if named.count(name) > 1]
            if twice:
                raise ScenarioError(
                    f"{file}: {where}events: {twice[0]!r} is there twice: what is seen after it "
                    "could not be told apart",
                    f'give the second another name: {where}events = {{ {twice[0]} = "{twice[0]}", '
                    f'{twice[0]}_later = "{twice[0]}" }}',
                )
            table["events"] = {str(name): str(name) for name in named}
        if isinstance(named := table.get("events"), dict):
            table["events"] = {
                name: _step(each, file, read_steps, f"{where}events", get_args(BuiltIn))
                if isinstance(each, str) and each not in get_args(BuiltIn)
                else each
                for name, each in named.items()
            }
    return raw


def _step(
    name: str, file: Path, read_steps: Read, where: str, also: Collection[str] = ()
) -> dict[str, Any]:
    """The step that a name stands for."""
    beside = file.parent.parent / STEPS
    known = read_steps(beside) if beside.exists() else {}
    if name not in known:
        names = [*known, *also]
        near = difflib.get_close_matches(name, names, 3, 0.5) or sorted(names)
        raise ScenarioError(
            f"{file}: {where}: {beside} has no step {name!r}", f"it has {', '.join(near)}"
        )
    step: dict[str, Any] = known[name]
    return step


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
        case ["variants", _, "events", _, "Step", _, *_]:
            return Step
        case ["variants", _, "seen", _, _, *_]:
            return Seen
        case ["accounts", _, _, *_]:
            return Mailbox
        case ["client_address", _, _, *_] | ["variants", _, "client_address", _, _, *_]:
            return ClientAddress
        case ["variants", _, "otherwise", _, "expect", _, *_]:
            return Expectation
        case ["variants", _, "otherwise", _, _, *_]:
            return Otherwise
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
    read_steps = cache(_read)  # most folders name steps of the same file
    scenarios = [scenario for each in folders for scenario in load(each, read_steps)]
    if not scenarios:
        raise ScenarioError(f"{folder} holds no scenarios", f"a scenario is a folder with a {FILE}")
    return scenarios
