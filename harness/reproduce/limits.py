"""How much of a report is read. Real ones are far below each of these."""

from __future__ import annotations

from typing import Final

FILE: Final = 1 << 20
"""Bytes of one file."""
ALL: Final = 8 << 20
"""Bytes of all files, unpacked."""
PACKED: Final = 8 << 20
"""Bytes of an archive."""
FILES: Final = 200
"""Files that are read."""
ENTRIES: Final = 2000
"""Names in folders, or members of an archive, that are looked at."""
DEPTH: Final = 8
"""Folders within folders."""
NAME: Final = 200
"""Characters of a path within the report."""
YAML: Final = 128 << 10
"""Bytes of a YAML or JSON text."""
YAML_NODES: Final = 20_000
"""Values in it, those counted again that an alias stands for."""
YAML_DEPTH: Final = 24
"""Values within values."""
PROSE: Final = 256 << 10
"""Characters of what a reporter has written, of each file: what is searched for patterns."""
LINE: Final = 4096
"""Characters of a line of an environment file, a Quadlet or the mail server's settings."""
WORDS: Final = 500
"""Words of a command line, ports, volumes, settings: of each."""
