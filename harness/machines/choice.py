"""Which kind of machine a run uses, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from harness import doctor
from harness.errors import HostError

KINDS: Final = ("nspawn",)


@dataclass(frozen=True, slots=True)
class Choice:
    """A kind of machine and the reason, for the header."""

    kind: str
    why: str

    def __str__(self) -> str:
        return f"{self.kind} ({self.why})"


def choose_machine(option: str) -> Choice:
    """Decide for `--machine`.

    Args:
        option: `auto` or a kind.

    Raises:
        HostError: it cannot run here; every obstacle with its remedy, a line each.
    """
    problems = doctor.problems()
    if problems:
        raise HostError(
            "the embedded machine cannot run on this computer:\n"
            + "\n".join(f"  {p.what}: {p.seen} → {p.remedy}" for p in problems),
            "`dms-harness doctor` shows everything that is looked at",
        )
    root = next(finding for finding in doctor.examine() if finding.what == "root")
    return Choice("nspawn", root.seen if option == "auto" else "asked for")
