"""A checkout's own recipe, in words that podman's builder knows.

`COPY --chmod=+x`, which BuildKit has known since Dockerfile 1.14 and docker-mailserver uses, is an
error of podman's up to 6.0 at least: it takes octal modes alone
(https://github.com/podman-container-tools/buildah/issues/6938).
"""

from __future__ import annotations

import json
import re
import shlex
import stat
from pathlib import Path
from typing import Final

RECIPES: Final = ("Containerfile", "Dockerfile")
"""What podman looks for in a checkout, in its order."""
UMASK: Final = 0o022
"""Of whoever builds: a mode without `u`, `g`, `o` or `a` gives no more than this leaves."""
_COPIES: Final = re.compile(r"^[ \t]*(?:COPY|ADD)[ \t](?:.*\\\n)*.*$", re.IGNORECASE | re.MULTILINE)
_MODE: Final = re.compile(r"--chmod=([\"']?)([ugoa]*[-+=][rwxX,ugoa+=-]*)\1(?=\s)")
_CLAUSE: Final = re.compile(r"([ugoa]*)((?:[-+=][rwxX]*)+)")
_BITS: Final = {"r": 0o444, "w": 0o222, "x": 0o111}
_WHOSE: Final = {"u": 0o700, "g": 0o070, "o": 0o007, "a": 0o777, "": 0o777 & ~UMASK}


def recipe_of(checkout: Path) -> Path | None:
    """The file that podman would build a checkout by, or None."""
    return next((each for name in RECIPES if (each := checkout / name).is_file()), None)


def for_podman(checkout: Path) -> tuple[str, list[str]]:
    """A checkout's recipe with octal modes, as far as it can be told what they are.

    Only a mode that is the same for all that is copied, which must be files of the checkout, is
    written otherwise; podman says of any other what it thinks of it.

    Args:
        checkout: has a recipe.

    Returns:
        Its text, and what is written otherwise, each `+x → 0755`.

    Raises:
        OSError: it cannot be read.
        UnicodeDecodeError: it is no text.
    """
    recipe = recipe_of(checkout)
    assert recipe is not None, f"{checkout} has no recipe"
    changed: list[str] = []

    def written(found: re.Match[str]) -> str:
        line = found[0]
        mode = _MODE.search(line)
        if mode is None or (octal := _octal(line, mode[2], checkout)) is None:
            return line
        changed.append(f"{mode[2]} → {octal:04o}")
        return f"{line[: mode.start()]}--chmod={octal:04o}{line[mode.end() :]}"

    return _COPIES.sub(written, recipe.read_text(encoding="utf-8")), changed


def _octal(line: str, symbolic: str, checkout: Path) -> int | None:
    """The mode that all that a line copies has afterwards, or None where there is no such mode."""
    before, bracket, listed = line.replace("\\\n", " ").partition("[")
    try:
        _, *words = shlex.split(before)
        words += map(str, json.loads(bracket + listed) if bracket else [])
    except ValueError:
        return None
    options = [word for word in words if word.startswith("--")]
    *sources, _ = [word for word in words if not word.startswith("--")] or [""]
    if not sources or any(option.startswith("--from") for option in options):
        return None
    modes = set()
    for source in sources:
        path = checkout / source.lstrip("/")
        if path.is_symlink() or not path.is_file():
            return None
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & ~0o777:
            return None
        modes.add(applied(symbolic, mode))
    return modes.pop() if len(modes) == 1 else None


def applied(symbolic: str, mode: int) -> int | None:
    """What chmod makes of a file's mode, or None where the words mean nothing.

    Args:
        symbolic: such as `+x`, `u=rwX,go-w`.
        mode: the permissions that the file has, 0 to 0o777.
    """
    for clause in symbolic.split(","):
        parts = _CLAUSE.fullmatch(clause)
        if parts is None:
            return None
        whose = 0
        for each in parts[1] or [""]:
            whose |= _WHOSE[each]
        for sign, letters in re.findall(r"([-+=])([rwxX]*)", parts[2]):
            bits = 0
            for letter in letters:
                if letter != "X" or mode & 0o111:
                    bits |= _BITS[letter.lower()]
            if sign == "+":
                mode |= bits & whose
            elif sign == "-":
                mode &= ~(bits & whose)
            else:
                mode = mode & ~whose | bits & whose
    return mode
