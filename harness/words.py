"""The words of a command line, as pytest should have understood them, and for somewhere else."""

from __future__ import annotations

import os
from collections.abc import Container, Sequence
from pathlib import Path

BARE = "--"


def joined(
    words: Sequence[str], options: Container[str], *, will_exist: bool = False
) -> list[str] | None:
    """The same words with `--option=value` for each `--option value` that could be misunderstood.

    pytest looks for its configuration before it knows a plugin's options: a value that exists as a
    file or folder is one of the tests then, and the project's own configuration is not found.

    Args:
        words: the arguments of pytest's command line.
        options: those that take a value.
        will_exist: whether any value may be there as a file or folder once it is looked for, as
            xdist's workers do, who get the same words when the run's folder has been made.

    Returns:
        The words to use instead, or None where nothing can be misunderstood.
    """
    told: list[str] = []
    given = list(words)
    while given and given[0] != BARE:
        word = given.pop(0)
        is_there = will_exist or (given and Path(given[0].partition("::")[0]).exists())
        if word in options and given and is_there:
            word += f"={given.pop(0)}"
        told.append(word)
    told += given
    return told if told != list(words) else None


def from_here(nodeid: str, root: Path, here: Path) -> str:
    """A test's id as pytest takes it in a folder that is not the project's own.

    Args:
        nodeid: the id, with the path from `root`.
        root: the project's folder.
        here: where the command is given.
    """
    path, colons, rest = nodeid.partition("::")
    return f"{os.path.relpath(root / path, here)}{colons}{rest}" if here != root else nodeid
