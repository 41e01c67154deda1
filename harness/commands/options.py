"""Options that several commands have."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_runs(parser: argparse.ArgumentParser) -> None:
    """Which runs, and which claims to hold against them."""
    parser.add_argument(
        "runs",
        nargs="*",
        type=Path,
        default=[Path("runs") / "latest"],
        metavar="RUN",
        help="a run's folder; of several, the observations are put together (runs/latest)",
    )
    parser.add_argument(
        "--claims", type=Path, default=Path("scenarios") / "claims.toml", metavar="FILE"
    )
