"""The report at the end of a run, written by itself: one line says where it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.pytest_run import Run

NAME = "report.html"
"""The file in the run's folder."""


def write_report(reporter: Any, run: Run, tell: bool = True) -> None:
    """Write what the tests said and the report into a run's folder; nothing without observations.

    Whatever goes wrong is told in a line, and changes nothing about how the run ends.

    Args:
        reporter: pytest's terminal reporter.
        run: the run, which is over.
        tell: whether to say where it is; what goes wrong is said in any case.
    """
    from harness.claims import FILE
    from harness.report.runs import OBSERVATIONS

    observed = run.folder / OBSERVATIONS
    if not (observed.is_file() and observed.stat().st_size):
        return
    file = run.folder / NAME
    try:
        from harness.report.html import verdicts
        from harness.report.html.make import report_of
        from harness.report.html.render import write

        verdicts.write(verdicts.ended(reporter.stats), run.folder)
        claims = run.scenarios_folder / FILE
        write(report_of([run.folder], claims if claims.is_file() else None), file)
    except Exception as error:  # the run's own result must not depend on it
        why = str(error).partition("\n")[0] or repr(error)
        reporter.write_line(f"report: not written: {type(error).__name__}: {why}", red=True)
        return
    if tell:
        reporter.write_line(f"report: {file}")
