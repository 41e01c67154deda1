"""How a run leaves machines to its user."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.kept.marker import read
from harness.shell.way_in import described

if TYPE_CHECKING:
    from harness.deployment import Deployment
    from harness.keeper.client import Keeper

LOG = "kept.log"
"""In the run's folder: what has arrived outside since, and why the outside ended."""


def leave(
    keeper: Keeper,
    deployments: Sequence[Deployment],
    run: Path,
    image: str,
    keep: str,
    holding: Sequence[int] = (),
) -> str:
    """Leave machines as they are, and the world around them.

    Args:
        keeper: theirs; it goes on by itself, without any other machine.
        deployments: what stays; this process has let go of it.
        run: the run's folder.
        image: which mail server image they have, in words.
        keep: what `--keep` was.
        holding: descriptors of files that stay open as long as the machines are there, for the
            locks on them.

    Returns:
        What a person must know who uses them, or nothing.

    Raises:
        OSError: the keeper cannot go on without the run.
    """
    note = {
        "run": str(run),
        "keep": keep,
        "machines": [
            {
                "name": each.machine.name,
                "scenario": each.scenario.id,
                "hostname": each.scenario.table.hostname,
                "domain": each.scenario.domain,
                "families": list(each.scenario.table.families),
                "lines": described(each, run, image),
            }
            for each in deployments
        ],
    }
    marker = keeper.outlive([each.machine.name for each in deployments], note)
    try:
        return _attend(marker, run / LOG, holding)
    except BaseException:
        if kept := read(marker):
            kept.end()
        raise


def _attend(marker: Path, log: Path, holding: Sequence[int]) -> str:
    """Have somebody serve the world around what is kept; what is wrong with that, or nothing."""
    with log.open("a", encoding="utf-8") as errors:
        attendant = subprocess.Popen(
            [sys.executable, "-m", "harness.kept.attendant", str(marker)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
            pass_fds=holding,
        )
    assert attendant.stdout is not None
    with attendant.stdout:
        is_there = attendant.stdout.readline()
    if not is_there:
        attendant.wait()
        return f"nobody answers their names and takes their mail: see {log}"
    attendant.returncode = 0  # it lives as long as the machines, and nobody waits for it
    return ""
