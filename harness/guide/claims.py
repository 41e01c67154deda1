"""The claims' quotes, read from `claims.toml`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import GuideError

FILE = "claims.toml"
NAME = re.compile(r"C\d+")
"""What claims are called."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim of the guide: its id, the guide's words, and the heading that they stand under."""

    id: str
    quote: str
    section: str


def load_claims(path: Path) -> Sequence[Claim]:
    """The claims in a file, in its order; what else is in it is for others.

    Raises:
        GuideError: it is missing, is no TOML, has no claim, or one has no quote or section.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise GuideError(
            f"{path} is missing", "it has the guide's claims: a table each, with quote and section"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise GuideError(f"{path}: {error}", "correct the TOML there") from None
    claims = []
    for name, table in raw.items():
        if not NAME.fullmatch(name):
            continue
        given = table if isinstance(table, dict) else {}
        for key in ("quote", "section"):
            if not isinstance(given.get(key), str) or not given[key].strip():
                raise GuideError(f"{path}: {name}.{key}: is missing, or no words", "add it there")
        claims.append(Claim(name, given["quote"], given["section"]))
    if not claims:
        raise GuideError(f"{path} has no claim", "write a table [C1] with quote and section")
    return claims
