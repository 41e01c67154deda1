"""What one process of pytest's writes down and shows while it is under way."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.machines.options import options_of, words_of
from harness.progress import MACHINE, Progress

if TYPE_CHECKING:
    from harness.report.live import Live

STARTED = time.time()


class Telling:
    """The run's folder, and what is said of what goes on.

    Args:
        config: pytest's.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.worker: dict[str, Any] | None = getattr(config, "workerinput", None)
        """What a worker of xdist's has from its controller."""
        self._folder: Path | None = None
        self._live: Live | None = None

    @property
    def is_worker(self) -> bool:
        """Whether it is one of xdist's workers."""
        return self.worker is not None

    @property
    def has_folder(self) -> bool:
        """Whether there is anything to tell of."""
        return self._folder is not None

    @property
    def folder(self) -> Path:
        """The run's folder; made when the first deployment needs it."""
        if self._folder is None:
            from harness.opening import new_run

            given = (self.worker or {}).get("dms_run")
            runs = self.config.getoption("--runs") or self.config.rootpath / "runs"
            self._folder = Path(given) if given else new_run(runs).absolute()
        return self._folder

    @cached_property
    def progress(self) -> Progress:
        """Where this process writes down what it is doing."""
        return Progress(self.folder, (self.worker or {}).get("workerid", ""))

    def start_live(self) -> None:
        """Show what is going on from now on, where pytest shows anything."""
        reporter: Any = self.config.pluginmanager.getplugin("terminalreporter")
        if reporter is None or not hasattr(getattr(reporter, "_tw", None), "_file"):
            return
        from harness.report.live import Live, way_of

        way = way_of(self.config, reporter.isatty(), os.environ)
        self._live = Live(self.folder, reporter, way, STARTED)

    def stop_live(self) -> None:
        """Show nothing below pytest's lines any more."""
        live, self._live = self._live, None
        if live is not None:
            live.close()

    def say_of_machine(self, text: str) -> None:
        """Tell what is done before there is any machine, as the live lines have it as well."""
        self.progress.note(MACHINE, text.removeprefix("machine: "))
        self.say(text)

    def say(self, text: str) -> None:
        """Tell the user at the terminal what is being done, whatever pytest captures."""
        if self._live is not None or self.is_worker:  # the controller reads what workers say
            self.progress.say(text)
            if self._live is not None:
                self._live.catch_up()
            return
        if self.config.get_verbosity() < 0:
            return
        manager = self.config.pluginmanager.getplugin("capturemanager")
        quiet = manager.global_and_fixture_disabled() if manager else contextlib.nullcontext()
        with quiet:
            print(f"[{time.time() - STARTED:6.1f} s] {text}", file=sys.stderr, flush=True)

    @property
    def command(self) -> str:
        """The command that this run was, with the options that decide what is tested."""
        program = sys.argv[0]
        words = [sys.executable, "-m", "pytest"] if program.endswith("__main__.py") else [program]
        if self.config.getoption("--scenarios"):
            words.append(f"--scenarios={self.config.getoption('--scenarios')}")
        words += words_of(options_of(self.config.option))
        if self.config.getoption("--mailserver") != "auto":
            words.append(f"--mailserver={self.config.getoption('--mailserver')}")
        return shlex.join(words)
