"""pytest in a terminal of its own, whose screen can be read; holds no tests itself."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pyte
import pytest
from keeper_support import until

from harness.cache import exclusive

HERE = Path(__file__).parent
SCENARIOS = HERE.parents[1] / "scenarios"
WITHIN = 40.0
"""Seconds in which a run gets to any moment, on a computer that does other things as well."""
TESTS = """
import pytest

def test_observed(scenario, observations, vantage): ...

def test_observed_more(scenario, observations, vantage): ...
"""
LEFT_OUT = ("PYTEST_", "GITHUB_", "DMS_", "FAKE_", "COV_")
NOT_SET = ("CI", "BUILD_NUMBER", "NO_COLOR", "FORCE_COLOR", "PY_COLORS", "COLUMNS", "LC_ALL")


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """The variables of a pytest that nothing here has an influence on."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(LEFT_OUT) and name not in NOT_SET
    }
    # A cache of its own, below the working folder: real machines' memory is none of its business.
    own = {"PYTHONPATH": str(HERE), "TERM": "xterm-256color", "DMS_HARNESS_CACHE": "cache"}
    return inherited | own | more


def project(folder: Path, tests: str = TESTS) -> Path:
    """A folder with tests that pytest takes for those that deploy."""
    deployments = folder / "tests" / "deployments"
    deployments.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(
        "[tool.pytest.ini_options]\ntestpaths = ['tests/deployments']\n"
    )
    (deployments / "test_it.py").write_text(tests)
    return folder


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that is filled once for all tests, whichever of xdist's workers needs it first."""
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = shared / name
    with exclusive(shared, name, lambda: None):
        if not (folder / "complete").exists():
            folder.mkdir()
            make(folder)
            (folder / "complete").touch()
    return folder


def pytest_words(select: str, *more: str) -> list[str]:
    """The command that deploys without machines."""
    fake = ["-p", "fake_deployments", f"--scenarios={SCENARIOS}", "--runs=runs"]
    return [sys.executable, "-m", "pytest", *fake, "-k", select, *more]


def run(folder: Path, select: str, *more: str, **given: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end, without a terminal; what it writes is in `stdout`."""
    return subprocess.run(
        pytest_words(select, *more),
        cwd=folder,
        env=environment(given),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=WITHIN * 2,
        check=False,
    )


class Terminal:
    """A terminal with a process in it.

    Attributes:
        process: it.
        screen: what is seen, and what has scrolled away.
    """

    def __init__(self, process: subprocess.Popen[bytes], master: int, columns: int, rows: int):
        self.process = process
        self.screen = pyte.HistoryScreen(columns, rows, history=5000)
        self.raw = b""
        self._stream = pyte.ByteStream(self.screen)
        self._master = master
        self._lock = threading.Lock()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        with suppress(OSError):  # the last process has closed its end
            while told := os.read(self._master, 4096):
                with self._lock:
                    self.raw += told
                    self._stream.feed(told)

    @property
    def lines(self) -> list[str]:
        """The window's lines, without the empty ones at the end."""
        with self._lock:
            lines = [line.rstrip() for line in self.screen.display]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    @property
    def everything(self) -> list[str]:
        """What has scrolled away, and the window's lines."""
        with self._lock:
            top = self.screen.history.top
            gone = ["".join(row[x].data for x in range(self.screen.columns)) for row in top]
        return [line.rstrip() for line in gone] + self.lines

    def shows(self, *words: str) -> bool:
        """Whether some line of the window has all these words."""
        return any(all(word in line for word in words) for line in self.lines)

    def has_shown(self, words: str) -> bool:
        """Whether some line has these words, in the window or scrolled away."""
        return any(words in line for line in self.everything)

    def expect(self, *words: str) -> None:
        """Wait until some line of the window has all these words."""
        until(lambda: self.shows(*words) or self.process.poll() is not None, WITHIN)
        assert self.shows(*words), f"{words} not in:\n" + "\n".join(self.everything)

    def resize(self, columns: int, rows: int) -> None:
        """Make the window larger or smaller, as its user would."""
        with self._lock:
            self.screen.resize(rows, columns)
            set_size(self._master, columns, rows)

    def end(self) -> int:
        """Wait for the process's end and all that it has written; return its status."""
        status = self.process.wait(WITHIN)
        self._reader.join(WITHIN)
        return status


def set_size(fd: int, columns: int, rows: int) -> None:
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


@contextmanager
def terminal(
    folder: Path, select: str, *more: str, columns: int = 100, rows: int = 40, **given: str
) -> Iterator[Terminal]:
    """pytest in a terminal, killed at the end of the block."""
    master, slave = pty.openpty()
    set_size(slave, columns, rows)
    process = subprocess.Popen(
        pytest_words(select, *more),
        cwd=folder,
        env=environment(given),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    shown = Terminal(process, master, columns, rows)
    try:
        yield shown
    finally:
        if process.poll() is None:
            os.killpg(process.pid, 9)
        process.wait(WITHIN)
        shown._reader.join(WITHIN)
        os.close(master)
