"""What a scenario variant needs of a machine, held against what the machine has said of itself."""

from __future__ import annotations

import re
from collections.abc import Mapping


def why_not(needs: Mapping[str, str], facts: Mapping[str, str]) -> str:
    """Why a variant cannot be judged on a machine, or nothing.

    Args:
        needs: the name of a fact → a regular expression for the whole of it.
        facts: what the machine is made of. One that it has not said is in nobody's way: it is
            not known before it boots.
    """
    lacking = [
        f"{fact} is {facts[fact] or 'not there'}, and it needs {wanted}"
        for fact, wanted in needs.items()
        if fact in facts and not re.fullmatch(wanted, facts[fact])
    ]
    return "; ".join(lacking)
