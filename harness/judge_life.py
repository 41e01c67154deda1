"""What a mail server outlives, and how ways to it compare, held against what is expected."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from harness.judge import fail

if TYPE_CHECKING:
    from harness.observations import Observations
    from harness.scenario_expected import Seen


def is_seen(observations: Observations, expected: Seen) -> None:
    """Hold that the whole outcome is the expected one."""
    kind = "throughput" if expected.compares else "life"
    seen = observations.one(kind, expected.subject)
    if not re.fullmatch(expected.is_, seen.outcome):
        fail(f"{expected.subject}: {expected.is_}", seen, f"it was expected because {expected.why}")
