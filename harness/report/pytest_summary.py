"""What pytest says at its end: what was seen, what that means for the guide, what to paste."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.errors import HarnessError

if TYPE_CHECKING:
    from harness.pytest_run import Run

NOT_APPLICABLE = "not applicable here: "
"""How the reason begins why a variant's tests are skipped."""


def summarize(reporter: Any, exitstatus: int, run: Run) -> None:
    """Write it to pytest's terminal reporter."""
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and run.words and run.deploys:
        _say_what_was_meant(reporter, run)
    if run.has_folder and not run.is_worker:
        _show_observations(reporter, run)
        _sum_up_claims(reporter, run)
        if run.has_session and run.session.proof:
            reporter.write_line(f"host: {run.session.proof}", green=True)
    _say_what_is_not_applicable(reporter)
    _show_failures(reporter, run)


def _show_failures(reporter: Any, run: Run) -> None:
    """Say what was not as it should be, and what to paste to see it again."""
    if not reporter.stats.get("failed") and not reporter.stats.get("error"):
        return
    from harness.report.failures import failures_of, in_words, pasteable

    failures = failures_of(reporter.stats)
    if lines := in_words(failures):
        reporter.write_line("not as it should be:", red=True, bold=True)
    for line in lines:
        reporter.write_line(f"  {line}", red=not line.startswith(" "))
    config = run.config
    for line in pasteable(failures, run.command, config.rootpath, config.invocation_params.dir):
        reporter.write_line(line)


def _say_what_is_not_applicable(reporter: Any) -> None:
    """Name the scenario variants that cannot be judged on these machines, with the reason."""
    why: dict[str, dict[str, int]] = {}
    for report in reporter.stats.get("skipped", []):
        _, _, said = report.longrepr if isinstance(report.longrepr, tuple) else ("", 0, "")
        reason = said.partition(NOT_APPLICABLE)[2]
        if reason:
            scenario = "-".join(report.nodeid.partition("[")[2].rstrip("]").split("-")[:2])
            tests = why.setdefault(reason, {})
            tests[scenario] = tests.get(scenario, 0) + 1
    for reason, tests in why.items():
        named = ", ".join(f"{scenario} ({count})" for scenario, count in tests.items())
        reporter.write_line(f"{NOT_APPLICABLE}{reason}: {named}")


def _say_what_was_meant(reporter: Any, run: Run) -> None:
    from harness.keywords import near

    names = {name for each in run.scenarios for name in (each.folder.name, each.variant)}
    hint = near(run.words, names) or "`dms-harness list` shows what there is"
    reporter.write_line(f"ERROR: -k {run.words!r} selects nothing: {hint}", red=True)


def _show_observations(reporter: Any, run: Run) -> None:
    from rich.console import Console

    from harness.report.terminal import print_summary

    reporter.ensure_newline()
    console = Console(
        file=reporter._tw._file,
        width=max(reporter._tw.fullwidth, 100),
        no_color=not reporter._tw.hasmarkup,
        force_terminal=reporter._tw.hasmarkup,
    )
    print_summary(console, run.folder, run.machine.kind)


def _sum_up_claims(reporter: Any, run: Run) -> None:
    """Write down what the run says about the guide's claims, and tell it in a line."""
    from harness.report.claims import write_and_sum_up

    try:
        said = write_and_sum_up(run.folder, run.scenarios_folder)
    except HarnessError as error:
        reporter.write_line(f"ERROR: {error}", red=True)
        return
    if said:
        is_default = run.folder.parent == Path("runs").absolute()
        reporter.write_line(f"{said}; dms-harness claims{'' if is_default else f' {run.folder}'}")
