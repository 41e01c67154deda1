"""What is asked of a machine: what a scenario needs, and which machines an expectation is for.

Both are held against what the machine has said of itself (`harness.machines.stock`).
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Mapping
from typing import Final

YES: Final = "yes"
"""What a machine says of something that it has, or can do."""
_COMPARED: Final = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
}
_COMPARISON: Final = re.compile(r"(>=|<=|>|<|=)\s*(\d+(?:\.\d+)*)")
_VERSION: Final = re.compile(r"\d+(?:\.\d+)*")


def checked(conditions: Mapping[str, str]) -> Mapping[str, str]:
    """Conditions as a scenario's file states them.

    Args:
        conditions: the name of a fact → a version with what it is compared by (`>= 5.0`), or a
            regular expression for the whole of what the machine says.

    Raises:
        ValueError: no machine is asked for such a fact, or the other half means nothing.
    """
    if not conditions:
        return conditions
    # It takes long, and few variants need anything.
    from harness.facts import NAMES
    from harness.machines.stock import FACTS, FEATURES

    known = sorted({*FACTS, *FEATURES, *NAMES})
    for fact, wanted in conditions.items():
        if fact not in known:
            near = difflib.get_close_matches(fact, known, 1)
            raise ValueError(
                f"no machine is asked for {fact!r}; "
                + (f"{near[0]!r} is one" if near else f"there are: {', '.join(known)}")
            )
        if _COMPARISON.fullmatch(wanted):
            continue
        if wanted[:1] in "<>=":
            raise ValueError(f"{fact}: {wanted!r} compares with no version; '>= 5.0' does")
        try:
            re.compile(wanted)
        except re.error as error:
            raise ValueError(f"{wanted!r} is no regular expression: {error}") from None
    return conditions


def fits(wanted: str, said: str) -> bool:
    """Whether what a machine says of itself is what is wanted.

    Args:
        wanted: as in `checked`.
        said: what the machine says; a version is the first number in it.
    """
    comparison = _COMPARISON.fullmatch(wanted)
    if comparison is None:
        return re.fullmatch(wanted, said) is not None
    version = _VERSION.search(said)
    if version is None:
        return False
    parts = [[int(part) for part in text.split(".")] for text in (version[0], comparison[2])]
    longest = max(map(len, parts))
    there, other = (part + [0] * (longest - len(part)) for part in parts)
    return bool(_COMPARED[comparison[1]](there, other))


def holds(conditions: Mapping[str, str], facts: Mapping[str, str]) -> bool:
    """Whether a machine is known to be as the conditions want it."""
    return all(fact in facts and fits(want, facts[fact]) for fact, want in conditions.items())


def why_not(needs: Mapping[str, str], facts: Mapping[str, str]) -> str:
    """Why a variant cannot be judged on a machine, or nothing.

    Args:
        needs: what the variant needs, as in `checked`.
        facts: what the machine is made of. One that it has not said is in nobody's way: it is
            not known before it boots.
    """
    lacking = []
    for fact, wanted in needs.items():
        if fact not in facts or fits(wanted, facts[fact]):
            continue
        if wanted == YES:
            said = facts[fact] if facts[fact] not in ("no", "") else facts.get("podman", "")
            lacking.append(f"no {fact}" + (f": {said}" if said else ""))
        else:
            lacking.append(f"{fact} is {facts[fact] or 'not there'}, and it needs {wanted}")
    return "; ".join(lacking)
