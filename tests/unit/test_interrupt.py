"""Ctrl-C in an instruction that has no line number."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

INTERRUPTED = """
def instruction_of_no_line():
    raise KeyboardInterrupt

code = instruction_of_no_line.__code__
instruction_of_no_line.__code__ = code.replace(co_linetable=b"")

def test_it():
    instruction_of_no_line()
"""


def test_pytest_ends_as_interrupted(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(INTERRUPTED)
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "test_it.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == pytest.ExitCode.INTERRUPTED, ended.stdout + ended.stderr
    assert "test_it.py:9: KeyboardInterrupt" in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr
