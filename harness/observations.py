"""The record of a run: plain facts, written down as they happen.

An observation never judges. It says what was tried, from where, and what was seen, with the
evidence beside it. Verdicts are made elsewhere, from observations only.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_NO_CHARACTER = re.compile("[\ud800-\udfff]")
"""What some decoders make of bytes that are no text."""
Json = None | bool | int | float | str | list[Any] | dict[str, Any]


@dataclass(frozen=True, slots=True)
class Observation:
    """One fact.

    Attributes:
        kind: what sort of fact (`port`, `banner`, `relay`, `client_address`, …).
        subject: what it is about, within the kind (`25`, `nmap-07`, `587 good password`, …).
        outcome: what was seen, one word or a short phrase (`open`, `refused`, `554`, …).
        vantage: from where, or None where that makes no sense.
        scenario: the scenario variant's id.
        at: seconds since the epoch.
        evidence: reply lines, log lines, addresses, seconds: whatever shows it.
        repetition: which deployment of the variant it is about, where a run has several, from 1;
            0 where it has one. The record leaves that out.
    """

    kind: str
    subject: str
    outcome: str
    vantage: str | None = None
    scenario: str = ""
    at: float = 0.0
    evidence: Mapping[str, Json] = field(default_factory=dict)
    repetition: int = 0

    @property
    def deployment(self) -> str:
        """What tells its deployment from the run's others."""
        return deployment_id(self.scenario, self.repetition)

    def __str__(self) -> str:
        where = f" from {self.vantage}" if self.vantage else ""
        shown = ", ".join(f"{key}={value!r}" for key, value in self.evidence.items())
        return f"{self.kind} {self.subject}{where}: {self.outcome}" + (
            f" ({shown})" if shown else ""
        )


def deployment_id(variant: str, repetition: int) -> str:
    """What a deployment is called: as its variant, with the repetition's number if it has one."""
    return f"{variant}.{repetition}" if repetition else variant


def variant_and_repetition(deployment: str) -> tuple[str, int]:
    """The variant's id and the repetition's number, or 0, in what `deployment_id` has made."""
    variant, _, number = deployment.rpartition(".")
    return (variant, int(number)) if variant and number.isdecimal() else (deployment, 0)


class Observations:
    """The observations of one deployment, kept in memory and appended to a JSON lines file.

    Args:
        scenario: the id of the variant that every observation here carries.
        path: the file to append to, or None to keep them in memory only. Several processes may
            append to the same file: every line is one write.
        repetition: which of the variant's deployments they are about, see `Observation`.
    """

    def __init__(self, scenario: str, path: Path | None = None, repetition: int = 0) -> None:
        self.scenario = scenario
        self.repetition = repetition
        self.path = path
        self._all: list[Observation] = []
        self._lock = threading.Lock()

    def record(
        self,
        kind: str,
        subject: str,
        outcome: str,
        vantage: str | None = None,
        **evidence: Json,
    ) -> Observation:
        """Write one fact down, now."""
        seen = Observation(
            kind,
            str(subject),
            str(outcome),
            vantage,
            self.scenario,
            time.time(),
            evidence,
            self.repetition,
        )
        # Not `asdict`: it copies the evidence first, which takes twice as long as the rest.
        known = {name: getattr(seen, name) for name in seen.__slots__}
        if not self.repetition:
            del known["repetition"]
        line = json.dumps(known, ensure_ascii=False, default=str) + "\n"
        # A reply that is no UTF-8 must not end the run: no file, worker or report can have it.
        if _NO_CHARACTER.search(line):
            line = _NO_CHARACTER.sub("\N{REPLACEMENT CHARACTER}", line)
            seen = Observation(**json.loads(line))
        with self._lock:
            self._all.append(seen)
            if self.path is not None:
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(line)
        return seen

    def __iter__(self) -> Iterator[Observation]:
        return iter(tuple(self._all))

    def find(
        self,
        kind: str,
        subject: str | None = None,
        vantage: str | None = None,
        outcome: str | None = None,
    ) -> list[Observation]:
        """All observations that match, in the order in which they were made."""
        return [
            seen
            for seen in self
            if seen.kind == kind
            and subject in (None, seen.subject)
            and vantage in (None, seen.vantage)
            and outcome in (None, seen.outcome)
        ]

    def one(self, kind: str, subject: str, vantage: str | None = None) -> Observation:
        """The latest observation that matches.

        Raises:
            AssertionError: nothing of the sort was observed, so nothing can be said about it.
        """
        found = self.find(kind, subject, vantage)
        where = f" from {vantage}" if vantage else ""
        assert found, f"not observed: {kind} {subject}{where}"
        return found[-1]


def read(
    path: Path, kinds: Container[str] | None = None, broken: list[int] | None = None
) -> list[Observation]:
    """The observations of a run, in the order in which they were made; none without the file.

    A last line that a killed run left half written is no observation.

    Args:
        path: the file.
        kinds: only these, or all: most of a file is of kinds that not every reader wants.
        broken: gets the numbers of lines that are no observations; without it, one that ends
            like any other and still is none is an error.
    """
    if not path.is_file():
        return []
    found = []
    # Of several processes that were killed, each may have left half a line, and no UTF-8 either.
    with path.open(encoding="utf-8", errors="strict" if broken is None else "replace") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith("}\n"):
                if broken is not None and line.strip():
                    broken.append(number)
                continue
            # The kind is a line's first value: to see that it is not wanted takes no parsing.
            if kinds is not None and line.split('"', 4)[3] not in kinds:
                continue
            try:
                found.append(Observation(**json.loads(line)))
            except (ValueError, TypeError):
                if broken is None:
                    raise
                broken.append(number)
    return found
