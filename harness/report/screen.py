"""The terminal that pytest writes to, with lines below its cursor that come and go.

pytest writes "....F" and leaves the cursor behind it. The lines below are drawn from there, and
the cursor put back; so whatever pytest writes next continues where it stopped, and everything
below the cursor can be erased without knowing what it was: after the window was made narrower, too.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Sequence
from typing import Any, Final, TextIO

ERASE_BELOW: Final = "\x1b[J"
"""From the cursor to the end of the screen."""
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
ASCII: Final = str.maketrans(
    {"–": "-", "—": "-", "…": "...", "→": "->", "“": '"', "”": '"', "’": "'", "×": "x"}
)
ROWS_LEFT: Final = 2
"""Rows of the window that are pytest's, however much there is to show."""


class Screen:
    """A text file in the place of the one that pytest writes to.

    Args:
        file: what pytest wrote to before.
        fd: the same terminal or file, which stays what it is while pytest captures; closed with
            `close`.
    """

    def __init__(self, file: TextIO, fd: int) -> None:
        self._file = file
        self._fd = fd
        self._lock = threading.RLock()
        self._column = 0
        self._shown: tuple[str, ...] = ()
        self._is_closed = False
        self.written = time.monotonic()
        """When pytest or `say` last wrote."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, text: str) -> int:
        """Write what is pytest's."""
        with self._lock:
            self.erase()
            written = self._file.write(self._writable(text))
            self._file.flush()  # what is written past it must not come before it
            self._moved_by(text)
            return written

    def say(self, line: str) -> None:
        """Write a line of its own, from any thread, whatever pytest captures."""
        with self._lock:
            self.erase()
            self._put(("\n" if self._column else "") + line + "\n")
            self._column = 0
            self.written = time.monotonic()

    def show(self, lines: Sequence[str]) -> None:
        """Show lines below what pytest has written, instead of those that are shown.

        Args:
            lines: each shorter than the window is wide; may have colours.
        """
        with self._lock:
            if tuple(lines) == self._shown or self._is_closed:
                return
            columns, rows = self.size()
            shown = list(lines)[: max(0, rows - ROWS_LEFT)]
            column = self._column % columns
            # The cursor hangs in the last column there, and would not when it is put back.
            hangs = self._column > 0 and column == 0
            if not shown or hangs:
                self.erase()
                return
            back = f"\x1b[{len(shown)}A\r" + (f"\x1b[{column}C" if column else "")
            self._put(ERASE_BELOW + "".join(f"\n{line}" for line in shown) + back)
            self._shown = tuple(lines)

    def erase(self) -> None:
        """Take away what is shown."""
        with self._lock:
            if self._shown:
                self._put(ERASE_BELOW)
                self._shown = ()

    def size(self) -> os.terminal_size:
        """Columns and rows of the window."""
        with contextlib.suppress(OSError):
            size = os.get_terminal_size(self._fd)
            if size.columns and size.lines:
                return size
        return os.terminal_size((80, 24))

    def close(self) -> None:
        """Take away what is shown, and show nothing more; pytest can go on writing."""
        with self._lock:
            if not self._is_closed:
                self.erase()
                self._is_closed = True
                os.close(self._fd)

    def _put(self, text: str) -> None:
        if self._is_closed:
            return
        data = self._writable(text).encode(self._encoding)
        with contextlib.suppress(OSError):  # a terminal that is gone needs nothing
            while data:
                data = data[os.write(self._fd, data) :]

    @property
    def _encoding(self) -> str:
        return getattr(self._file, "encoding", None) or "utf-8"

    def _writable(self, text: str) -> str:
        """The text in the characters that the terminal has: `LANG=C` is no reason to crash."""
        try:
            text.encode(self._encoding)
        except UnicodeEncodeError:
            known = text.translate(ASCII)
            return known.encode(self._encoding, "replace").decode(self._encoding)
        return text

    def _moved_by(self, text: str) -> None:
        from rich.cells import cell_len

        self.written = time.monotonic()
        plain = _ESCAPE.sub("", text)
        _, newline, last = plain.rpartition("\n")
        if newline:
            self._column = 0
        _, carriage_return, last = last.rpartition("\r")
        if carriage_return:
            self._column = 0
        self._column += cell_len(last)
