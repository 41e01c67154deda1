"""What commands print for other programs: an object that begins with what it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

VERSION = 1
"""Raised where a key is removed or comes to mean something else; new keys do not raise it."""


def schema(command: str) -> str:
    """What the first key of a command's object says."""
    return f"dms-harness/{command}/{VERSION}"


def labelled(command: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """The object of a command's, its schema first."""
    return {"schema": schema(command), **content}


def print_json(command: str, content: Mapping[str, Any]) -> None:
    """Print it."""
    print(json.dumps(labelled(command, content), ensure_ascii=False, indent=1))
