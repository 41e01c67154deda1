"""Live progress at pytest's terminal, in the way that suits where it is shown.

On a terminal, lines below pytest's own say what is being deployed, and for how long. Elsewhere, in
continuous integration above all, there is a line for each deployment that came up or did not, and
one a minute while nothing else is said. `-v` tells each phase in a line, `-q` nothing.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from harness.progress import Reader
from harness.report.board import Board, waited_for
from harness.report.screen import Screen

if TYPE_CHECKING:
    import pytest

TICK: Final = 0.2
"""Seconds between two looks at what is going on."""
STILL_FOR: Final = 0.3
"""Seconds after pytest wrote that its line is left alone, so that nothing flickers."""
HEARTBEAT: Final = 60.0
"""Seconds after which a run that says nothing says what it is waiting for."""
CI: Final = ("CI", "BUILD_NUMBER")
"""What continuous integration sets; the same that pytest looks at."""
DUMB: Final = ("", "dumb", "unknown")
"""Terminals that cannot move their cursor."""


class Way(Enum):
    """How progress is shown."""

    QUIET = "nothing"
    LINES = "a line for each deployment"
    PHASES = "a line for each phase"
    LIVE = "lines below pytest's"


def way_of(config: pytest.Config, is_terminal: bool, environment: Mapping[str, str]) -> Way:
    """How progress is shown with these options, here.

    Args:
        config: pytest's.
        is_terminal: whether pytest writes to a terminal.
        environment: variables of this process.
    """
    verbosity = config.get_verbosity()
    if verbosity < 0:
        return Way.QUIET
    if verbosity > 0:
        return Way.PHASES
    # A debugger, or tests that print: what they write would be drawn over.
    is_shared = config.getoption("capture") not in ("fd", "sys") or config.getoption("usepdb")
    if not is_terminal or is_shared or environment.get("TERM", "") in DUMB:
        return Way.LINES
    return Way.LINES if any(environment.get(name) for name in CI) else Way.LIVE


class Live:
    """Shows what the processes of a run are doing, until it is closed.

    Args:
        folder: the run's.
        reporter: pytest's terminal reporter.
        way: how to show it.
        started: seconds since the epoch when the run began.
    """

    def __init__(self, folder: Path, reporter: Any, way: Way, started: float) -> None:
        self.way = way
        self._reader = Reader(folder)
        self._board = Board()
        self._started = started
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._has_colours = bool(reporter.hasmarkup) and not os.environ.get("NO_COLOR")
        self._said = time.monotonic()
        self._screen, self._say = _outputs(reporter)
        self._ticker = threading.Thread(target=self._tick, name="progress", daemon=True)
        if way is not Way.QUIET:
            self._ticker.start()

    def catch_up(self) -> None:
        """Show what has happened by now."""
        with self._lock:
            for event in self._reader.new():
                line = self._board.take(event, each_phase=self.way is Way.PHASES)
                is_told = self.way is not Way.LIVE or not event.of
                if line and is_told and self.way is not Way.QUIET:
                    self._tell(line, event.at)

    def close(self) -> None:
        """Take away what is shown, for good; a second call does nothing."""
        self._ended.set()
        if self._ticker.is_alive():
            self._ticker.join()
        with contextlib.suppress(OSError):
            self.catch_up()
        self._screen.close()

    def _tick(self) -> None:
        # A terminal that is gone needs nothing any more.
        with contextlib.suppress(OSError):
            while not self._ended.wait(TICK):
                self.catch_up()
                if self.way is Way.LIVE:
                    self._draw()
                else:
                    self._show_life()

    def _tell(self, line: str, at: float) -> None:
        self._said = time.monotonic()
        self._say(f"[{at - self._started:6.1f} s] {line}")

    def _show_life(self) -> None:
        rows = self._board.rows(time.time())
        last = max(self._said, self._screen.written)
        if rows and time.monotonic() - last >= HEARTBEAT:
            self._tell(f"still on its way: {waited_for(rows)}", time.time())

    def _draw(self) -> None:
        if time.monotonic() - self._screen.written < STILL_FOR:
            return
        now = time.time()
        rows, counts = self._board.rows(now), self._board.counts()
        if not rows:
            self._screen.show([])
            return
        minutes, seconds = divmod(int(now - self._started), 60)
        foot = f"{minutes}:{seconds:02} {counts}".strip()
        self._screen.show(self._rendered(rows, foot))

    def _rendered(self, rows: list[tuple[str, float, str]], foot: str) -> list[str]:
        from rich.console import Console
        from rich.text import Text

        out = io.StringIO()
        # One column less than there is: no cursor hangs behind the last one.
        width = max(1, self._screen.size().columns - 1)
        console = Console(
            file=out,
            width=width,
            force_terminal=True,
            color_system="standard" if self._has_colours else None,
            no_color=not self._has_colours,
        )
        doing = max(len(row[0]) for row in rows)
        for what, seconds, of in rows:
            line = Text("  ").append(f"{what:<{doing}}", style="cyan")
            line.append(f" {seconds:4.0f} s  ", style="dim").append(of)
            console.print(line, no_wrap=True, overflow="crop", crop=True)
        console.print(Text(f"  {foot}", style="dim"), no_wrap=True, overflow="crop", crop=True)
        return out.getvalue().splitlines()


def _outputs(reporter: Any) -> tuple[Screen, Callable[[str], None]]:
    """The screen, which pytest writes through from now on, and what writes lines.

    Notices go to standard error, as ever; where that is the same terminal or file, through the
    screen, so that they are lines of their own.
    """
    file = reporter._tw._file
    out, error = os.dup(file.fileno()), sys.__stderr__ or file
    screen = Screen(file, out)
    reporter._tw._file = screen
    try:
        is_same = os.path.samestat(os.fstat(out), os.fstat(error.fileno()))
    except (OSError, ValueError):
        is_same = False
    if is_same:
        return screen, screen.say
    own = os.dup(error.fileno())

    def say(line: str) -> None:
        with contextlib.suppress(OSError):
            os.write(own, f"{line}\n".encode(error.encoding or "utf-8", "replace"))

    return screen, say
