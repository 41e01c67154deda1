"""A report's bytes as text."""

from __future__ import annotations

import codecs
import re

CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f\u202a-\u202e\u2066-\u2069]")
"""Characters that no such file has, and that make a terminal or a reader see something else."""
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def as_text(content: bytes) -> str | None:
    """The text, its lines ended as Unix ends them; None where it is none.

    UTF-8, or what a byte order mark says: Windows' Notepad writes such.
    """
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        return None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return None if CONTROL.search(text) else text
