"""Options that several commands have."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.commands.completers import completes, runs


def add_runs(parser: argparse.ArgumentParser) -> None:
    """Which runs, and which claims to hold against them."""
    action = parser.add_argument(
        "runs",
        nargs="*",
        type=Path,
        default=[Path("runs") / "latest"],
        metavar="RUN",
        help="a run's folder, or one that holds many runs, such as a matrix's; what several saw"
        " is put together (default: runs/latest)",
    )
    completes(action, runs)
    parser.add_argument(
        "--claims",
        type=Path,
        default=Path("scenarios") / "claims.toml",
        metavar="FILE",
        help="the guide's claims (default: %(default)s)",
    )


def add_scenarios(parser: argparse.ArgumentParser) -> None:
    """Where the scenarios are."""
    parser.add_argument(
        "--scenarios",
        type=Path,
        default=Path("scenarios"),
        metavar="DIR",
        help="the folder with the scenarios (default: %(default)s)",
    )


def add_json(parser: argparse._ActionsContainer) -> None:
    """Whether to print for programs."""
    parser.add_argument("--json", action="store_true", help="print an object for other programs")
