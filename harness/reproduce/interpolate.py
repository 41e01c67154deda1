"""compose's `${NAME}`: filled from the report's own `.env`, never from this computer's environment.

Nothing else is filled in, least of all `$(command)`, which compose does not know either.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from harness.reproduce import limits
from harness.reproduce.notes import Notes
from harness.reproduce.safe_yaml import NotYamlError, Value

_NAME = r"[A-Za-z_][A-Za-z0-9_]{0,100}"
_FORM = re.compile(
    rf"\$(?:(?P<escaped>\$)|(?P<plain>{_NAME})"
    rf"|\{{(?P<name>{_NAME})(?:(?P<how>:?[-+?])(?P<other>[^{{}}]{{0,1000}}))?\}})"
)


def interpolated(
    value: Value,
    known: Mapping[str, str],
    where: str,
    notes: Notes,
    filled: list[int] | None = None,
) -> Value:
    """A value with everything filled in, keys excepted.

    Args:
        value: what the file has.
        known: the variables.
        where: the file's name.
        notes: takes what is not known.
        filled: how many characters were filled in so far, alone in the list.

    Raises:
        NotYamlError: it grows to more than a file may have.
    """
    filled = [0] if filled is None else filled
    if isinstance(value, dict):
        return {
            key: interpolated(each, known, f"{where}: {key}", notes, filled)
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [interpolated(each, known, where, notes, filled) for each in value]
    if not isinstance(value, str) or "$" not in value:
        return value

    def fill(match: re.Match[str]) -> str:
        if match["escaped"]:
            return "$"
        name = match["plain"] or match["name"]
        there, how = known.get(name), match["how"] or ""
        if how.startswith(":") and not there:
            there = None
        if how.endswith("+"):
            return match["other"] if there is not None else ""
        if there is not None:
            filled[0] += len(there)
            if filled[0] > limits.YAML:
                raise NotYamlError(
                    f"more than {limits.YAML >> 10} KB where variables are filled in"
                )
            return there
        if how.endswith("-"):
            return match["other"] or ""
        notes.add("assumed", f"{where}: ${{{name}}}", "nothing: the report's .env has no such name")
        return ""

    return _FORM.sub(fill, value)
