"""Where keepers and those who talk to them meet."""

from __future__ import annotations

from pathlib import Path
from typing import Final

RUNTIME: Final = Path("/run/dms-harness")
"""Each living keeper has a folder in it, with its name."""
SOCKET: Final = "keeper.sock"
MARKER: Final = "kept.json"
"""Says that a keeper has outlived its run, and what with; it goes with the folder."""
