"""When each phase of each deployment was: what a run's time is spent on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.report.html.facts import Deployed
from harness.report.html.side_by_side import Generation
from harness.report.terminal import PHASES

COLOURED = (*PHASES, "look after", "disturb")
"""Phases whose colours are always the same ones."""
COLOURS = 10
_Span = tuple[float, float, str, float]
"""When a phase began and ended, its name, its seconds."""


def colour(phase: str) -> int:
    """The number of a phase's colour; other phases share those."""
    known = phase in COLOURED
    return (COLOURED.index(phase) if known else sum(map(ord, phase))) % COLOURS


@dataclass(frozen=True, slots=True)
class Bar:
    """A phase: its name, its seconds, and where it lies in the run, in percent of the run."""

    name: str
    seconds: float
    left: float
    width: float


@dataclass(frozen=True, slots=True)
class Line:
    """A deployment's phases, in the order in which they began."""

    deployed: Deployed
    bars: Sequence[Bar]

    @property
    def seconds(self) -> float:
        """How long they took together."""
        return sum(bar.seconds for bar in self.bars)


@dataclass(frozen=True, slots=True)
class Timeline:
    """A generation's time.

    Attributes:
        of: the generation.
        runs: how many runs it is from; each begins at zero.
        seconds: the length of the longest.
        lines: the deployments as they began.
    """

    of: Generation
    runs: int
    seconds: float
    lines: Sequence[Line]

    @property
    def phases(self) -> list[str]:
        """The names of the phases, in the order in which a deployment goes through them."""
        named = dict.fromkeys(bar.name for line in self.lines for bar in line.bars)
        known = [name for name in COLOURED if name in named]
        return known + [name for name in named if name not in known]

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Where the axis has marks, in percent, and what stands there."""
        steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
        step = next((step for step in steps if self.seconds / step <= 8), 7200)
        marks = range(0, int(self.seconds) + 1, step)
        return [(100 * mark / self.seconds, _clock(mark)) for mark in marks]


def timelines(among: Iterable[Generation]) -> list[Timeline]:
    """A timeline for each generation in which phases were observed."""
    made = [_timeline(each) for each in among]
    return [each for each in made if each is not None]


def _timeline(of: Generation) -> Timeline | None:
    runs: dict[str, list[tuple[Deployed, list[_Span]]]] = {}
    for each in of.deployed:
        if spans := _spans(each):
            runs.setdefault(each.run, []).append((each, spans))
    if not runs:
        return None
    begins = {
        run: min(start for _, spans in of_run for start, *_ in spans)
        for run, of_run in runs.items()
    }
    whole = (
        max(
            end - begins[run]
            for run, of_run in runs.items()
            for _, spans in of_run
            for _, end, *_ in spans
        )
        or 1.0
    )
    lines = [
        Line(
            each,
            [
                Bar(name, seconds, 100 * (start - begins[run]) / whole, 100 * seconds / whole)
                for start, _, name, seconds in sorted(spans)
            ],
        )
        for run, of_run in runs.items()
        for each, spans in of_run
    ]
    return Timeline(of, len(runs), whole, sorted(lines, key=lambda line: line.bars[0].left))


def _spans(deployed: Deployed) -> list[_Span]:
    return [
        (float(fact["at"]) - seconds, float(fact["at"]), str(fact["subject"]), seconds)
        for fact in deployed.of("phase")
        for seconds in [float(fact["evidence"].get("seconds") or 0)]
    ]


def _clock(seconds: int) -> str:
    return f"{seconds // 60}:{seconds % 60:02}" if seconds >= 60 else f"{seconds} s"
