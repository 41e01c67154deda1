"""`dms-harness report`: a run as one HTML file."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.commands.options import add_runs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of which runs, and where to."""
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="write it there (report.html in the first run)"
    )
    add_runs(parser)


def run(args: argparse.Namespace) -> int:
    """Write a run as one HTML file: pictures, claims, every observation with its evidence."""
    from harness.report.html.at_end import NAME
    from harness.report.html.make import report_of
    from harness.report.html.render import write

    file = args.output or args.runs[0] / NAME
    write(report_of(args.runs, args.claims), file)
    print(f"report: {file}")
    return 0
