"""What is on its way in a run, put together from all its processes' events; and in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.progress import (
    ENDS,
    ERROR,
    FAILED,
    GONE,
    KEPT,
    MACHINE,
    PLANS,
    SAYS,
    UP,
    WAITS,
    Event,
)

Row = tuple[str, float, str]
"""What is being done, for how many seconds, and of what."""


@dataclass
class _Thing:
    """Something on its way: when each phase began."""

    phases: list[tuple[str, float]] = field(default_factory=list)

    @property
    def began(self) -> float:
        return next((at for doing, at in self.phases if doing != WAITS), self.phases[0][1])

    def seconds(self, until: float) -> str:
        """The seconds of each phase, in words."""
        ends = [at for _, at in self.phases[1:]] + [until]
        return ", ".join(
            f"{doing} {end - at:.0f}"
            for (doing, at), end in zip(self.phases, ends, strict=True)
            if doing != WAITS
        )


class Board:
    """What is on its way, and how much has been done."""

    def __init__(self) -> None:
        self._on_their_way: dict[tuple[str, str], _Thing] = {}
        self._planned: dict[str, int] = {}
        self.done: dict[str, int] = dict.fromkeys(ENDS, 0)
        """How many have come to each end."""

    @property
    def planned(self) -> int:
        """How many deployments there will be at most, as far as that is known."""
        return max(sum(self._planned.values()), self.done[UP] + self.done[FAILED])

    def take(self, event: Event, *, each_phase: bool) -> str:
        """Note an event.

        Args:
            event: it.
            each_phase: whether each phase is told, or only how a deployment ends.

        Returns:
            What is to be told in a line of its own, or nothing.
        """
        if event.doing == SAYS:
            return event.text
        if event.doing == PLANS:
            self._planned[event.by] = int(event.text)
            return ""
        key = (event.by, event.of)
        if event.doing in ENDS:
            self.done[event.doing] += 1
            thing = self._on_their_way.pop(key, None)
            return _ending(event, thing)
        if event.of != MACHINE and event.doing != WAITS:
            self._on_their_way.pop((event.by, MACHINE), None)  # it is ready, or nothing would boot
        self._on_their_way.setdefault(key, _Thing()).phases.append((event.doing, event.at))
        is_told = each_phase and event.doing != WAITS and event.of != MACHINE
        return f"{event.of}: {event.doing}" if is_told else ""

    def rows(self, now: float) -> list[Row]:
        """What is on its way, without what only waits its turn.

        Args:
            now: seconds since the epoch.
        """
        rows = []
        for (_, name), thing in self._on_their_way.items():
            doing, since = thing.phases[-1]
            if doing != WAITS:
                rows.append((doing, max(0.0, now - since), name))
        return rows

    @property
    def waiting(self) -> int:
        """How many deployments wait their turn."""
        return sum(thing.phases[-1][0] == WAITS for thing in self._on_their_way.values())

    def counts(self) -> str:
        """How far the run is, in words; nothing before the first deployment."""
        if not self.planned:
            return ""
        said = [f"{self.done[UP]} of {self.planned} up"]
        if self.done[FAILED]:
            said.append(f"{self.done[FAILED]} did not come up")
        if self.done[ERROR]:
            said.append(f"{self.done[ERROR]} could not be tried")
        if self.waiting:
            said.append(f"{self.waiting} waiting their turn")
        return ", ".join(said)


def _ending(event: Event, thing: _Thing | None) -> str:
    """How something ended; taking it down is worth no line, and what is kept has one at the end."""
    if event.doing in (GONE, KEPT) or thing is None:
        return ""
    why = f": {event.text.splitlines()[0]}" if event.text else ""
    after = f"after {event.at - thing.began:.0f} s ({thing.seconds(event.at)})"
    what: Mapping[str, str] = {UP: "up", FAILED: "did not come up", ERROR: "could not be tried"}
    return f"{event.of}: {what[event.doing]} {after}{why}"


def waited_for(rows: Sequence[Row], at_most: int = 3) -> str:
    """What is on its way, in one line: the longest first."""
    longest = sorted(rows, key=lambda row: -row[1])
    named = [f"{name} ({doing}, {seconds:.0f} s)" for doing, seconds, name in longest[:at_most]]
    if len(longest) > at_most:
        named.append(f"{len(longest) - at_most} more")
    return ", ".join(named)
