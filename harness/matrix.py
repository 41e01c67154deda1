"""A run of everything in cells, each one process of pytest's, for as many computers as there are.

No scheduler: what deals out the cells is the continuous integration that they are printed for.
"""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError
from harness.machines.options import MachineOptions, words_of

if TYPE_CHECKING:
    from harness.scenario import Scenario

PYTEST = ".venv/bin/pytest"
AT_MOST = 256
"""Cells that GitHub takes of one matrix."""
AUTO = "auto"
"""The mail server that a run takes where it is told nothing."""
PATHS = ("/", "./", "../", "~", "rootfs:")
"""How values begin that are paths."""

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_.-]+")

Cell = dict[str, Any]
"""`id`, `machine`, `distro` and `mailserver` (as the options take them; an empty distribution is
the machine's own), `scenarios` (the variants' ids), `command` (a line of shell), `junitxml` and
`runs` (where that writes). More keys may come: what else a cell is told apart by."""


def select(scenarios: Sequence[Scenario], words: str) -> list[Scenario]:
    """The variants that `pytest -k` may select tests of.

    Raises:
        HarnessError: the expression is wrong, or selects nothing.
    """
    from _pytest.mark.expression import Expression

    from harness.keywords import narrowed, near
    from harness.selection import values_of

    if not words:
        return list(scenarios)
    try:
        Expression.compile(words)
    except SyntaxError as error:
        raise HarnessError(f"-k {words!r}: {error}", "it is as pytest's -k") from None
    # With brackets as in a test's id, which a cell of another matrix may have been selected by.
    called = {each: {f"[{each.id}-", f"[{each.id}]", *each.words} for each in scenarios}
    chosen = narrowed(words, called)
    names = {name for each in scenarios for name in (each.folder.name, each.variant)}
    # A word that is in no name may be in a test's own, such as `imaps`; or a mistake.
    names |= {value for each in scenarios for value in (*called[each], *values_of(each))}
    if meant := near(words, names):
        raise HarnessError(f"-k {words!r}: a word of it is in no scenario's name", meant)
    if not chosen:
        raise HarnessError(
            f"-k {words!r} selects no scenario variant", "`dms-harness list` shows what there is"
        )
    return chosen


def groups(scenarios: Sequence[Scenario], cells: int | None) -> dict[str, list[Scenario]]:
    """The variants of each cell: those of a folder, or about as many in each of some cells.

    Args:
        scenarios: the variants, those of a folder together.
        cells: how many, or None for one a folder; there are never more than variants.
    """
    if cells is None:
        folders: dict[str, list[Scenario]] = {}
        for each in scenarios:
            folders.setdefault(each.folder.name, []).append(each)
        return folders
    many = min(cells, len(scenarios))
    bounds = [round(len(scenarios) * number / many) for number in range(many + 1)]
    width = len(str(many))
    return {
        f"{number + 1:0{width}}-of-{many}": list(scenarios[bounds[number] : bounds[number + 1]])
        for number in range(many)
    }


def expression(chosen: Sequence[Scenario], every: Sequence[Scenario], words: str) -> str:
    """What `pytest -k` selects these variants by, and no others.

    A test's id has its variant's behind a bracket, so that a name which another one begins with is
    not taken for it.

    Args:
        chosen: the variants.
        every: all there are: of a folder that is chosen as a whole, the folder is named.
        words: the expression that narrows it further, or "".
    """
    folders: dict[str, set[str]] = {}
    for each in every:
        folders.setdefault(each.folder.name, set()).add(each.id)
    ids = {each.id for each in chosen}
    parts: list[str] = []
    for each in chosen:
        folder = each.folder.name
        if folders[folder] <= ids:
            parts.append(f"[{folder}-")
        else:
            parts += [f"[{each.id}-", f"[{each.id}]"]
    exact = " or ".join(dict.fromkeys(parts))
    return f"({words}) and ({exact})" if words else exact


def names(values: Sequence[str]) -> dict[str, str]:
    """A short name for each value of a dimension, fit for a cell's id; none for its default.

    Values that differ get different names, also where they differ in what a name cannot have.

    Args:
        values: of one dimension, as its option takes them.
    """
    made: dict[str, str] = {}
    for value in dict.fromkeys(values):
        # Of a path, what tells it from others is its end.
        path = value.rpartition("/")[2] if value.startswith(PATHS) else value
        word = first = _NOT_IN_A_NAME.sub("_", path).strip("_.") or ("other" if value else "")
        number = itertools.count(2)
        while word in made.values():
            word = f"{first}_{next(number)}"
        made[value] = word
    return made


def cells(
    every: Sequence[Scenario],
    machines: Sequence[str],
    runs: Path,
    words: str = "",
    many: int | None = None,
    scenarios: Path | None = None,
    distros: Sequence[str] = ("",),
    mailservers: Sequence[str] = (AUTO,),
) -> list[Cell]:
    """All cells: by machine, distribution, mail server and scenarios, in this order.

    Args:
        every: all scenario variants there are.
        machines: kinds, as `--machine` takes them.
        runs: the folder in which each cell's run gets one of its own.
        words: an expression that narrows it, as `-k` takes it.
        many: cells for each machine; without it, one for each scenario folder.
        scenarios: the folder of scenarios, where it is not the usual one.
        distros: as `--distro` takes them, or an empty one for the machine's own.
        mailservers: as `--mailserver` takes them.

    Raises:
        HarnessError: nothing is selected.
    """
    chosen = groups(select(every, words), many)
    called = [names(machines), names(distros), names(mailservers)]
    made: list[Cell] = []
    for where in itertools.product(*called):
        machine, distro, mailserver = where
        told = [name[value] for name, value in zip(called, where, strict=True)]
        if list(mailservers) == [AUTO]:
            del told[-1]
        for name, variants in chosen.items():
            cell = "-".join(word for word in (*told, name) if word)
            folder = runs / cell
            argv = [
                PYTEST,
                *words_of(MachineOptions(machine=machine, distro=distro)),
                *([f"--mailserver={mailserver}"] if mailserver != AUTO else []),
                *([f"--scenarios={scenarios}"] if scenarios else []),
                "-k",
                expression(variants, every, words),
                f"--runs={folder}",
                f"--junitxml={folder / 'junit.xml'}",
            ]
            made.append(
                {
                    "id": cell,
                    "machine": machine,
                    "distro": distro,
                    "mailserver": mailserver,
                    "scenarios": [each.id for each in variants],
                    "command": shlex.join(argv),
                    "runs": str(folder),
                    "junitxml": str(folder / "junit.xml"),
                }
            )
    return made
