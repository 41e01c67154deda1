"""Files of ours, and places in them, as errors and drifts name them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from harness.errors import GuideError


def read(file: Path) -> str:
    """A file's text.

    Raises:
        GuideError: it cannot be read.
    """
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise GuideError(f"{file}: {error}", "mend the file, or name another") from None


def beside(file: Path, name: str) -> Path:
    """The file that another one names, relative to its own folder; without `..`, for people."""
    return Path(os.path.normpath(file.parent / name))


def place_of(file: Path, table: str) -> str:
    """Where a table of a TOML file begins: `FILE:LINE`, or the file alone."""
    header = re.compile(rf"\[+\s*\"?{re.escape(table)}\"?\s*[].]")
    for number, line in enumerate(read(file).splitlines(), 1):
        if header.match(line):
            return f"{file}:{number}"
    return str(file)
