"""Where keepers and those who talk to them meet."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

Reply = tuple[dict[str, Any], list[int]]
"""What a verb answers: JSON, and open files that go with it."""
Progress = Callable[[str], Awaitable[None]]
"""Tells whoever asked how far it is."""

RUNTIME: Final = Path("/run/dms-harness")
"""Each living keeper has a folder in it, with its name."""
SOCKET: Final = "keeper.sock"
MARKER: Final = "kept.json"
"""Says that a keeper has outlived its run, and what with; it goes with the folder."""
