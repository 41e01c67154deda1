"""What pytest says at its end: what was seen, what that means for the guide, what to paste."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.errors import HarnessError
from harness.report import not_applicable
from harness.report.html.at_end import write_report

if TYPE_CHECKING:
    from harness.pytest_run import Run
    from harness.report.failures import Failure
    from harness.report.html.verdicts import Judged

MOST = 40
"""How many scenario variants have a line each, where `-v` does not ask for more."""
LEAST_WIDTH = 100
HEADING = "not as it should be (what is expected: where: what was seen):"


def summarize(reporter: Any, exitstatus: int, run: Run) -> None:
    """Write it to pytest's terminal reporter: with `-q` what calls for somebody, else all."""
    verbosity: int = run.config.get_verbosity()
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and run.words and run.deploys:
        _say_what_was_meant(reporter, run)
    failures = _failures(reporter)
    has_record = run.has_folder and not run.is_worker
    tests = _tests(reporter) if has_record else []
    if has_record:
        not_applicable.write(run.folder, not_applicable.why(reporter), run.facts)
        if verbosity >= 0:
            _show_observations(reporter, run, failures)
        if run.repeat > 1:
            _show_stability(reporter, run, tests, verbosity)
        claims = _sum_up_claims(reporter, run, tests)
        if claims and verbosity >= 0:
            reporter.write_line(claims)
        write_report(reporter, run, verbosity >= 0)
        if run.has_session and run.session.proof:
            reporter.write_line(f"host: {run.session.proof}", green=True)
        if path := os.environ.get("GITHUB_STEP_SUMMARY"):
            from harness.report.github import write_summary

            write_summary(Path(path), reporter, exitstatus, run, failures)
    if verbosity >= 0:
        for line in not_applicable.in_words(not_applicable.why(reporter)):
            reporter.write_line(line)
    if verbosity > -2:
        if has_record:
            _show_infrastructure(reporter, run, tests)
        _show_kept(reporter, run)
        _show_failures(reporter, run, failures)


def _failures(reporter: Any) -> list[Failure]:
    if not reporter.stats.get("failed") and not reporter.stats.get("error"):
        return []
    from harness.report.failures import failures_of

    return failures_of(reporter.stats)


def _tests(reporter: Any) -> list[Judged]:
    """What the tests said."""
    from harness.report.html.verdicts import ended

    return ended(reporter.stats)


def _show_stability(reporter: Any, run: Run, tests: list[Judged], verbosity: int) -> None:
    """Say how stable each variant was that was deployed several times; and write it down."""
    from harness.report import stability, stability_file

    found = stability.stability_of(stability.read_run(run.folder), tests, run.repeat)
    with contextlib.suppress(OSError):  # a disk that is full has been told of
        stability_file.write(found, run.folder)
    lines = stability.in_lines(found)
    if not lines or (verbosity < 0 and all(each.is_stable for each in found)):
        return
    reporter.write_line(stability.HEADING.format(run.repeat), bold=True)
    for line in lines:
        reporter.write_line(f"  {line}", yellow=line.startswith(" "))


def _show_infrastructure(reporter: Any, run: Run, tests: list[Judged]) -> None:
    """Say what went wrong with machines and this computer, apart from all verdicts."""
    from harness.report.infrastructure import of_run

    for line in of_run(run.folder, tests).lines:
        reporter.write_line(line, yellow=True, bold=not line.startswith(" "))


def _show_failures(reporter: Any, run: Run, failures: list[Failure]) -> None:
    """Say what was not as it should be, and what to paste to see it again."""
    if not failures:
        return
    from harness.report.failures import in_words, pasteable

    if lines := in_words(failures):
        reporter.write_line(HEADING, red=True, bold=True)
    for line in lines:
        reporter.write_line(f"  {line}", red=not line.startswith(" "))
    config = run.config
    here = config.invocation_params.dir
    for line in pasteable(failures, run.command, config.rootpath, here, run.repeat):
        reporter.write_line(line)


def _show_kept(reporter: Any, run: Run) -> None:
    """Say what stays on this computer, how one gets in, and what ends it."""
    kept = run.kept()
    if not kept:
        return
    from harness.kept.leave import LOG
    from harness.kept.options import END, OPTION

    reporter.write_line(f"kept ({OPTION} {run.keep}) until {END} is run:", yellow=True, bold=True)
    for machine in (machine for each in kept for machine in each.machines):
        for line in machine["lines"]:
            reporter.write_line(f"  {line}")
    reporter.write_line(f"  what arrives outside from now on: {run.folder / LOG}")


def _say_what_was_meant(reporter: Any, run: Run) -> None:
    from harness.keywords import near

    names = {name for each in run.scenarios for name in (each.folder.name, each.variant)}
    hint = near(run.words, names) or "`dms-harness list` shows what there is"
    reporter.write_line(f"ERROR: -k {run.words!r} selects nothing: {hint}", red=True)


def _show_observations(reporter: Any, run: Run, failures: list[Failure]) -> None:
    from rich.console import Console

    from harness.report.terminal import print_summary

    reporter.ensure_newline()
    console = Console(
        file=reporter._tw._file,
        width=max(reporter._tw.fullwidth, LEAST_WIDTH),
        no_color=not reporter._tw.hasmarkup,
        force_terminal=reporter._tw.hasmarkup,
    )
    print_summary(
        console,
        run.folder,
        run.machine.kind,
        Counter(failure.variant for failure in failures if not failure.infrastructure),
        MOST if run.config.get_verbosity() == 0 else None,
    )


def _sum_up_claims(reporter: Any, run: Run, tests: list[Judged]) -> str:
    """Write down what the run says about the guide's claims; the same in a line."""
    from harness.report.claims import write_and_sum_up
    from harness.report.infrastructure import of_run

    try:
        wrong = of_run(run.folder, tests).as_object()
        said = write_and_sum_up(run.folder, run.scenarios_folder, wrong)
    except HarnessError as error:
        reporter.write_line(f"ERROR: {error}", red=True)
        return ""
    is_default = run.folder.parent == Path("runs").absolute()
    return f"{said}; dms-harness claims{'' if is_default else f' {run.folder}'}" if said else ""
