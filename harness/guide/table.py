"""`scenarios/guide.toml`: which of the guide's code blocks is shown by what, checked as it is read.

What is named in it lies relative to its own folder.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import TypeAdapter, ValidationError, model_validator

from harness.errors import GuideError
from harness.scenario_words import Table, Text

FILE = "guide.toml"
STEPS = "steps.toml"


class Command(Table):
    """A command of a shell block, and what runs it.

    Attributes:
        run: the guide's words.
        by: the file of ours that runs it.
        step: or the step of `steps.toml`.
        there: the words that do it there, on one line, where they are not the guide's.
        not_run: why nothing of ours runs it.
    """

    run: Text
    by: Text | None = None
    step: Text | None = None
    there: Text | None = None
    not_run: Text | None = None

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if sum(each is not None for each in (self.by, self.step, self.not_run)) != 1:
            raise ValueError(
                f"{self.run!r}: give one of `by` (a file), `step` (of {STEPS}) or `not_run` (why)"
            )
        if self.there is not None and self.not_run is not None:
            raise ValueError(f"{self.run!r}: `there` is for what is run; remove it or `not_run`")
        return self


class Entry(Table):
    """A code block of the guide, and how it agrees with what is ours; one of three ways.

    Attributes:
        section: the heading that it stands under.
        within: the innermost admonition or tab that it is in, where that matters.
        equal: the file that has exactly its text.
        contained_in: the files that have all that it sets (YAML, or systemd's format).
        same: the paths at which these have neither more nor less than the block.
        command: its commands, in order.
    """

    section: Text
    within: Text | None = None
    equal: Text | None = None
    contained_in: tuple[Text, ...] = ()
    same: tuple[Text, ...] = ()
    command: tuple[Command, ...] = ()

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if sum(map(bool, (self.equal, self.contained_in, self.command))) != 1:
            raise ValueError("give one of `equal`, `contained_in`, `command`")
        if bool(self.same) is not bool(self.contained_in):
            # Without it nobody would notice that the guide has taken something out.
            raise ValueError("`same` goes with `contained_in`: name the paths that the block sets")
        return self

    @property
    def files(self) -> list[tuple[str, str]]:
        """The files that it names, each with its key."""
        named = [("equal", self.equal)] if self.equal else []
        named += [("contained_in", name) for name in self.contained_in]
        return named + [("command.by", each.by) for each in self.command if each.by]


def load_table(path: Path) -> Mapping[str, Entry]:
    """The entries of `guide.toml` by name, in its order.

    Raises:
        GuideError: names the file, the key, what is wrong and what would be right.
    """
    raw = _read(path, "it says which code block of the guide is shown by which file")
    try:
        table = TypeAdapter(dict[str, Entry]).validate_python(raw)
    except ValidationError as error:
        raise GuideError(f"{path}: {_explained(error)}", "correct it there") from None
    steps = path.parent / STEPS
    known = _read(steps, "entries name its steps") if steps.exists() else {}
    for name, entry in table.items():
        for key, file in entry.files:
            if not (path.parent / file).is_file():
                raise GuideError(
                    f"{path}: {name}.{key} names {file!r}, which is no file",
                    f"name one, relative to {path.parent}",
                )
        for command in entry.command:
            if command.step and command.step not in known:
                near = difflib.get_close_matches(command.step, known, 3, 0.5) or sorted(known)
                raise GuideError(
                    f"{path}: {name}.command.step: {steps} has no step {command.step!r}",
                    f"it has {', '.join(near)}" if near else f"write it into {steps}",
                )
    return table


def _read(path: Path, what_for: str) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise GuideError(f"{path} is missing", what_for) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise GuideError(f"{path}: {error}", "correct the TOML there") from None


def _explained(error: ValidationError) -> str:
    """All mistakes of the file, each with its key."""
    said = []
    for mistake in error.errors():
        text = mistake["msg"].removeprefix("Value error, ")
        if mistake["type"] == "extra_forbidden":
            model = Command if "command" in mistake["loc"] else Entry
            near = difflib.get_close_matches(str(mistake["loc"][-1]), model.model_fields, 1)
            text = "there is no such key; " + (
                f"{near[0]!r} is one" if near else f"there are: {', '.join(model.model_fields)}"
            )
        elif mistake["type"] == "missing":
            text = "is missing"
        said.append(f"{'.'.join(map(str, mistake['loc'])) or 'the file'}: {text}")
    return "; ".join(said)
