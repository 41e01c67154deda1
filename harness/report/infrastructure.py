"""What went wrong that is not the mail server's doing: counted apart from verdicts.

Pure, but for reading a run's folder. An error that keeps fifty tests from being tried is one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from harness.observations import Observation, read
from harness.report.html import verdicts
from harness.report.html.verdicts import Judged
from harness.report.runs import OBSERVATIONS

RETRY: Final = "retry"
"""The kind of observation that says that a machine had to be made anew."""
NO_VERDICT: Final = "they say nothing about the mail server"


@dataclass(frozen=True, slots=True)
class Infrastructure:
    """What went wrong with machines and this computer in a run.

    Attributes:
        errors: what happened, each with how many tests it kept from being tried; None where the
            run has no record of its tests, so that it is not known.
        made_anew: what happened to machines that failed to boot, and were made anew.
    """

    errors: dict[str, int] | None
    made_anew: tuple[str, ...]

    @property
    def counts(self) -> str:
        """How many there were of each, in words; nothing where there were none."""
        said = []
        if self.errors:
            kept = sum(self.errors.values())
            said.append(
                f"{_many(len(self.errors), 'infrastructure error')}"
                f" ({_many(kept, 'test')} not tried: {NO_VERDICT})"
            )
        if self.made_anew:
            said.append(f"{_many(len(self.made_anew), 'machine')} made anew")
        return ", ".join(said)

    @property
    def lines(self) -> list[str]:
        """The same, and what each was."""
        if not self.counts:
            return []
        lines = [self.counts]
        lines += [f"  {why}: {_many(n, 'test')}" for why, n in (self.errors or {}).items()]
        lines += [f"  made anew: {why}" for why in self.made_anew]
        return lines

    def as_object(self) -> dict[str, Any]:
        """The same for other programs; `errors` and `tests_not_tried` are null where unknown."""
        known = self.errors is not None
        return {
            "errors": len(self.errors or ()) if known else None,
            "tests_not_tried": sum((self.errors or {}).values()) if known else None,
            "machines_made_anew": len(self.made_anew),
        }


def of(tests: Iterable[Judged] | None, retries: Iterable[Observation]) -> Infrastructure:
    """What went wrong, from what the tests said and what was observed.

    Args:
        tests: all of a run; None where there is no record of them.
        retries: the observations of the kind `RETRY`; others are left out.
    """
    errors: dict[str, int] | None = None
    if tests is not None:
        errors = {}
        for test in tests:
            if why := test.infrastructure:
                # A machine is one deployment's; this computer is everybody's.
                own = f"{test.deployment}: "
                what = why.replace(own, "", 1)
                key = what if why.startswith("HostError") or not test.deployment else own + what
                errors[key] = errors.get(key, 0) + 1
    made_anew = tuple(
        f"{seen.deployment}: {seen.evidence.get('why') or 'no reason is recorded'}"
        for seen in retries
        if seen.kind == RETRY
    )
    return Infrastructure(errors, made_anew)


def of_run(run: Path, tests: Iterable[Judged] | None = None) -> Infrastructure:
    """What went wrong in a run.

    Args:
        run: its folder.
        tests: what its tests said; by default as the folder has it.
    """
    if tests is None:
        tests = next(iter(verdicts.read([run]).values()), None)
    return of(tests, read(run / OBSERVATIONS, {RETRY}, broken=[]))


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")
