"""Shell blocks: the commands in them, and what of ours runs each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

from harness.guide.agreement import alike
from harness.guide.drift import Difference, Row
from harness.guide.ours import beside, read
from harness.guide.page import Block
from harness.guide.table import STEPS, Command


@dataclass(frozen=True, slots=True)
class Place:
    """The file of ours that runs a command, and its line, or None where it does not."""

    file: Path
    line: int | None

    def __str__(self) -> str:
        return str(self.file) if self.line is None else f"{self.file}:{self.line}"


class Commands:
    """The block's commands are those of a list; its comments and `...` do not count.

    Args:
        commands: the list.
        table: `guide.toml`, beside which the files are.
    """

    def __init__(self, commands: Sequence[Command], table: Path) -> None:
        self.commands = commands
        self.runs = [" ".join(command.run.split()) for command in commands]
        self.table = table
        self.places = [_place(command, table) for command in commands]

    def likeness(self, block: Block) -> float:
        """The share of words that both have."""
        theirs = " ".join(text for _, text in commands_of(block))
        return alike(" ".join(self.runs).split(), theirs.split())

    def differences(self, block: Block) -> Iterator[Difference]:
        """One, with all commands that differ, and where ours are run."""
        theirs = commands_of(block)
        rows: list[Row] = []
        places: list[str] = []
        compared = SequenceMatcher(None, self.runs, [text for _, text in theirs], autojunk=False)
        for tag, begin, end, start, stop in compared.get_opcodes():
            if tag != "equal":
                rows += [Row("-", None, None, run) for run in self.runs[begin:end]]
                rows += [Row("+", None, number, text) for number, text in theirs[start:stop]]
                places += [str(place) for place in self.places[begin:end] if place]
        if rows:
            yield Difference(
                next((row.guide for row in rows if row.guide), block.line),
                "these are not the commands that it is known for",
                ", ".join(dict.fromkeys(places or [str(self.table)])),
                rows,
            )

    def not_run(self) -> Iterator[tuple[str, str]]:
        """The commands whose words the file that should run them has not, and that file."""
        for command, place in zip(self.commands, self.places, strict=True):
            if place and place.line is None:
                step = f"step {command.step}" if command.step else "file"
                said = f"`{command.run}`: the {step} has no “{command.there or command.run}”"
                yield said, str(place)


def commands_of(block: Block) -> list[tuple[int, str]]:
    """A shell block's commands, each on one line, with the number of its first."""
    found: list[tuple[int, str]] = []
    goes_on = False
    for number, line in block.lines:
        text = " ".join(line.removesuffix("\\").split())
        if goes_on:
            at, begun = found.pop()
            found.append((at, f"{begun} {text}".strip()))
        elif text and text[0] != "#" and text not in ("...", "…"):
            found.append((number, text))
        else:
            continue
        goes_on = line.endswith("\\")
    return found


def _place(command: Command, table: Path) -> Place | None:
    """Where a command of ours is; None for one that nothing runs."""
    if command.not_run is not None:
        return None
    file = beside(table, command.by or STEPS)
    begun = command.step is None
    for number, line in enumerate(read(file).splitlines(), 1):
        if command.step is not None and line.startswith("["):
            begun = line.strip() == f"[{command.step}]"
        if begun and (command.there or command.run) in line:
            return Place(file, number)
    return Place(file, None)
