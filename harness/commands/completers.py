"""What a shell completes an argument with. Asked at each key: reads no more than it must."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path

SCENARIOS, RUNS = Path("scenarios"), Path("runs")

Completer = Callable[..., Iterable[str]]


def completes(action: argparse.Action, completer: Completer) -> None:
    """Have an argument completed. Nothing is imported until a shell asks."""
    action.completer = completer  # type: ignore[attr-defined]


def scenarios(parsed_args: argparse.Namespace | None = None, **_: object) -> list[str]:
    """The ids of all scenario variants, and their folders' names."""
    from harness.errors import HarnessError
    from harness.scenario_file import load_all

    folder = getattr(parsed_args, "scenarios", None) or SCENARIOS
    try:
        known = load_all(folder)
    except HarnessError:
        return []  # the command itself says what is wrong
    return sorted({name for each in known for name in (each.folder.name, each.id)})


def claims(parsed_args: argparse.Namespace | None = None, **_: object) -> list[str]:
    """The ids of the guide's claims."""
    import tomllib

    from harness.claims import FEATURES, FILE

    file = getattr(parsed_args, "claims", None) or SCENARIOS / FILE
    try:
        return [name for name in tomllib.loads(file.read_text("utf-8")) if name != FEATURES]
    except (OSError, ValueError):
        return []


def runs(prefix: str = "", **_: object) -> list[str]:
    """The folders of runs; where a path was begun, those there, or all to go on from."""
    above = Path(prefix).parent if "/" in prefix else RUNS
    if prefix.endswith("/"):
        above = Path(prefix)
    try:
        folders = sorted(each for each in above.iterdir() if each.is_dir())
    except OSError:
        return []
    # What has no record may be on the way to one that has.
    with_record = [each for each in folders if (each / "observations.jsonl").is_file()]
    return [str(each) for each in with_record] or [f"{each}/" for each in folders]
