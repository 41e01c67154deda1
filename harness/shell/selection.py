"""Which scenario variant a user means by a few words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from harness.errors import HarnessError
from harness.keywords import may_match, near
from harness.scenario import Scenario

SHOWN: Final = 4
"""How many of those that some words select are named."""
LISTED: Final = "`dms-harness list` shows them all"


def select(words: str, scenarios: Sequence[Scenario]) -> Scenario:
    """The variant that is meant.

    Args:
        words: a variant's id; a folder's name, for its first variant; or words as of `pytest -k`
            that select exactly one.
        scenarios: all variants.

    Raises:
        HarnessError: they select none, with the nearest names, or several, with their names.
    """
    for each in scenarios:
        if each.id == words or (each.is_first and each.folder.name == words):
            return each
    # A word that is in no name is none of any test's here: it selects nothing.
    found = [each for each in scenarios if may_match(words, {each.id, *each.words}, ())]
    match found:
        case [one]:
            return one
        case []:
            names = {name for each in scenarios for name in (each.id, each.folder.name)}
            names |= {name for each in scenarios for name in (each.variant, *each.words)}
            raise HarnessError(f"no scenario variant is {words!r}", near(words, names) or LISTED)
    if len(found) == len(scenarios):
        raise HarnessError(f"{words!r} selects every scenario variant, or is no expression", LISTED)
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    raise HarnessError(
        f"{words!r} selects {len(found)} scenario variants:"
        f" {', '.join(each.id for each in found[:SHOWN])}{more}",
        f"name one of them, or add words: '{words} and …'",
    )
