"""A run's record, as two of them are compared: its observations, by what they are about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError
from harness.observations import Observation, read
from harness.report.claims import OBSERVATIONS

Key = tuple[str, str, str | None]
"""Kind, subject, vantage."""
REMEDY = "name the folder of a run that deployed something, such as runs/latest"


@dataclass(frozen=True, slots=True)
class Run:
    """What was observed in a run.

    Attributes:
        name: what the reader calls it.
        observations: all of them, as they were made.
        broken: lines of its record that are no observation, such as one that a kill cut off.
    """

    name: str
    observations: tuple[Observation, ...]
    broken: int = 0

    @property
    def by_scenario(self) -> Mapping[str, Mapping[Key, Observation]]:
        """Scenario variant → what was seen of each thing there, the latest where seen twice."""
        found: dict[str, dict[Key, Observation]] = defaultdict(dict)
        for seen in self.observations:
            key = (seen.kind, seen.subject, seen.vantage)
            known = found[seen.scenario].get(key)
            # Mail that was relayed was relayed, whatever came of another attempt.
            if known is None or (known.kind, known.outcome) != ("relay", "relayed"):
                found[seen.scenario][key] = seen
        return found


def load(folder: Path) -> Run:
    """A run's record.

    Args:
        folder: the run's folder, or its `observations.jsonl`.

    Raises:
        HarnessError: there is none, or nothing in it is an observation.
    """
    file = folder if folder.name == OBSERVATIONS and folder.is_file() else folder / OBSERVATIONS
    if not file.is_file():
        latest = folder / "latest"
        is_above = (latest / OBSERVATIONS).is_file()
        raise HarnessError(
            f"{folder} holds no {OBSERVATIONS}" if folder.exists() else f"{folder} is missing",
            f"that is the folder of all runs: name one of them, such as {latest}"
            if is_above
            else REMEDY,
        )
    broken: list[int] = []
    try:
        found = tuple(read(file, broken=broken))
    except (OSError, UnicodeDecodeError) as error:
        raise HarnessError(f"{file}: {error}", REMEDY) from None
    if not found:
        what = f"none of its {len(broken)} lines is an observation" if broken else "is empty"
        raise HarnessError(f"{file}: {what}", REMEDY)
    return Run(str(folder), found, len(broken))


def facts(scenarios: Iterable[Mapping[Key, Observation]]) -> Mapping[str, list[str]]:
    """What the machines and the mail server were: fact → its values, one or several."""
    known: dict[str, set[str]] = defaultdict(set)
    for seen in (each for scenario in scenarios for each in scenario.values()):
        if seen.kind == "machine" and seen.subject != "host_key":
            known[seen.subject].add(seen.outcome or "unknown")
        elif (seen.kind, seen.subject) == ("mail server", "image"):
            known["mail server"].add(seen.outcome.partition(" (")[0])
    return {fact: sorted(values) for fact, values in sorted(known.items())}


def seconds(scenarios: Iterable[Mapping[Key, Observation]]) -> Mapping[str, float]:
    """How long each phase took in the middle, seconds."""
    from statistics import median

    taken: dict[str, list[float]] = defaultdict(list)
    for seen in (each for scenario in scenarios for each in scenario.values()):
        given = seen.evidence.get("seconds")
        if seen.kind == "phase" and isinstance(given, int | float):
            taken[seen.subject].append(float(given))
    return {phase: round(median(each), 1) for phase, each in taken.items()}
