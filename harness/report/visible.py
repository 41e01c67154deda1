"""Text of unknown origin as people can safely look at it."""

from __future__ import annotations

import re

_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069"
    "\ud800-\udfff\ufeff\ufffe\uffff]"
)
"""What no reader sees, what no file can hold, and what makes text look like other text."""
_MARKUP = re.compile(r"([\\`*_<>\[\]|~$&])")
_CALLS = re.compile(r"(?<!\w)(@|#|GH-)(?=\w)|(?<=[A-Za-z])(:)(?=//)|\b(www)(?=\.)")
"""What GitHub makes a mention, a reference or a link of."""


def visible(text: str) -> str:
    """Text with each character that cannot be seen, or deceives, as a sign for it."""
    return _UNSEEN.sub(_sign, text)


def _sign(found: re.Match[str]) -> str:
    code = ord(found.group())
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else f"⟨U+{code:04X}⟩"


def in_markdown(text: str, longest: int | None = None) -> str:
    """Text that Markdown leaves as it is, in a table's cell too; nobody is called by it.

    Args:
        text: anything.
        longest: the characters of it that are shown at most.
    """
    if longest is not None and len(text) > longest:
        text = text[: longest - 1] + "…"
    quiet = _CALLS.sub(lambda found: f"{found[0]}\u200b", visible(" ".join(text.split())))
    return _MARKUP.sub(r"\\\1", quiet)
