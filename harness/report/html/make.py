"""A report is put together from runs' folders."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.observations import Observation
from harness.report import not_applicable
from harness.report.generations import Made
from harness.report.html import matrices, verdicts
from harness.report.html.deployment import Deployment
from harness.report.html.differences import differences
from harness.report.html.facts import Deployed, read
from harness.report.html.ledgers import ledgers
from harness.report.html.matrices import Cell, Matrix
from harness.report.html.model import Picture, Report
from harness.report.html.side_by_side import Generation, Skipped, blocks, generations
from harness.report.html.timeline import timelines
from harness.report.html.verdicts import Judged
from harness.report.runs import Found, find, name_of
from harness.report.stability import Stability, stability_of

NAME = re.compile(r"[\w-]+(\.\d+)?")
"""Deployments whose names are safe to look for in a run's folder."""


def report_of(folders: Sequence[Path], claims_file: Path | None) -> Report:
    """The report of some runs.

    Args:
        folders: of runs, or folders that hold many runs.
        claims_file: the guide's claims; without one the report has no ledger.

    Raises:
        HarnessError: there are no observations, or the file of claims is wrong.
    """
    found = find(folders)
    runs = found.runs
    observed = read(runs)
    said = verdicts.read(runs)
    by_deployment = _by_deployment(said)
    side_by_side = generations(observed, _skipped(found, said))
    reach, relay = matrices.reachability(observed), matrices.relaying(observed)
    cells: dict[int, dict[str, Sequence[Cell]]] = {id(each): {} for each in observed}
    for matrix in (reach, relay):
        for row in matrix.rows:
            cells[id(row.deployed)][matrix.kind] = row.cells
    places = {name_of(run, runs): run for run in runs}
    told_apart = _told_apart(side_by_side)
    made = [
        Deployment(
            number,
            each,
            cells[id(each)],
            by_deployment.get((each.run, each.deployment), [] if each.run in said else None),
            told_apart[id(each)],
            _files(places[each.run], each.deployment),
        )
        for number, each in enumerate(observed, 1)
    ]
    every = [test for of in said.values() for test in of] if said else None
    return Report(
        list(dict.fromkeys(each.run for each in observed)),
        side_by_side,
        made,
        _picture(reach, side_by_side),
        _picture(relay, side_by_side),
        timelines(side_by_side),
        None if claims_file is None else ledgers(side_by_side, claims_file),
        every,
        differences(side_by_side),
        [name_of(run, [*runs, *found.empty]) for run in found.empty],
        _stability(observed, said),
    )


def _picture(matrix: Matrix, among: Sequence[Generation]) -> Picture:
    return Picture(matrix, blocks(matrix, among))


def _told_apart(among: Sequence[Generation]) -> dict[int, str]:
    """What each deployment's name says of it beside the variant, by Python's id of it."""
    said = {}
    for generation in among:
        of = [generation.name] if len(among) > 1 else []
        for repetitions in generation.variants.values():
            for each in repetitions:
                run = [each.run] if len({one.run for one in repetitions}) > 1 else []
                number = [f"repetition {each.repetition}"] if each.repetition else []
                said[id(each)] = ", ".join([*of, *run, *number])
    return said


def _skipped(found: Found, said: Mapping[str, Sequence[Judged]]) -> Skipped:
    """What was not applicable, by the tests' record or a record of its own."""
    by_tests = [
        (run, test.scenario, test.not_applicable, Made())
        for run, tests in said.items()
        for test in tests
        if test.not_applicable
    ]
    every = [*found.runs, *found.empty]
    return by_tests + [
        (name_of(run, every), *each) for run in every for each in not_applicable.read(run)
    ]


def _files(run: Path, deployment: str) -> list[str]:
    """What lies in a deployment's folder of evidence, where its name can be one."""
    if not NAME.fullmatch(deployment) or not (run / deployment).is_dir():
        return []
    return sorted(file.name for file in (run / deployment).iterdir())


def _stability(
    observed: Sequence[Deployed], said: Mapping[str, Sequence[Judged]]
) -> list[tuple[str, list[Stability]]]:
    """Run → how stable each variant was, for the runs that deployed variants several times."""
    runs: dict[str, list[Observation]] = {}
    for each in observed:
        if each.repetition:
            runs.setdefault(each.run, []).extend(Observation(**fact) for fact in each.facts)
    return [(run, stability_of(seen, said.get(run, ()))) for run, seen in runs.items()]


def _by_deployment(said: Mapping[str, Sequence[Judged]]) -> dict[tuple[str, str], list[Judged]]:
    """Run and deployment → what the tests said of it."""
    found: dict[tuple[str, str], list[Judged]] = {}
    for run, tests in said.items():
        for test in tests:
            found.setdefault((run, test.deployment), []).append(test)
    return found
