"""The folders of runs that a reader names: each by itself, or a folder that holds many."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError

OBSERVATIONS = "observations.jsonl"
TRACES = ("progress.jsonl", "tests.jsonl", "claims.json", "not-applicable.jsonl")
"""What a run that deployed nothing may have left."""
REMEDY = "name the folder of a run that deployed something; `make run` makes one"


class RunsError(HarnessError):
    """There is no record where one was looked for: names the place."""


@dataclass(frozen=True, slots=True)
class Found:
    """What some folders hold.

    Attributes:
        runs: the folders of runs with observations, each once.
        empty: those of runs that observed nothing.
    """

    runs: Sequence[Path]
    empty: Sequence[Path] = ()


def find(folders: Iterable[Path]) -> Found:
    """The runs in some folders.

    A folder with a record is a run; of any other one, all runs anywhere below it are meant. Links
    below it, such as `latest`, are another name for what is found anyway.

    Raises:
        RunsError: one of the folders is missing or holds no run, or nothing was observed in any.
    """
    runs: dict[Path, Path] = {}
    empty: dict[Path, Path] = {}
    nothing = ""
    for folder in folders:
        below = list(_below(folder)) if folder.is_dir() else []
        if not below:
            raise RunsError(_no(folder) if folder.exists() else f"{folder} is missing", REMEDY)
        for run in below:
            (runs if _is_observed(run) else empty).setdefault(run.resolve(), run)
        nothing = nothing or _no(folder)
    if not runs:
        raise RunsError(nothing or "no folder of a run is named", REMEDY)
    return Found([*runs.values()], [*empty.values()])


def name_of(run: Path, runs: Sequence[Path]) -> str:
    """What a run is called: its folder's name, or the whole path where others are called so."""
    whole = run.resolve()
    others = {each.resolve() for each in runs} - {whole}
    return str(whole) if any(each.name == whole.name for each in others) else whole.name


def _below(folder: Path) -> Iterable[Path]:
    for where, folders, files in os.walk(folder):
        if OBSERVATIONS in files or any(trace in files for trace in TRACES):
            folders.clear()  # what else is in a run's folder is its evidence
            yield Path(where)
        folders.sort()


def _is_observed(run: Path) -> bool:
    file = run / OBSERVATIONS
    return file.is_file() and file.stat().st_size > 0


def _no(folder: Path) -> str:
    return f"{folder} holds no observations"
