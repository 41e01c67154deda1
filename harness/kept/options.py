"""What `--keep` takes, and where it can be had."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from harness.errors import HostError

if TYPE_CHECKING:
    from harness.machines.choice import Choice

OPTION: Final = "--keep"
END: Final = "`dms-harness clean --kept`"


class Keep(StrEnum):
    """Which deployments stay after the run."""

    NEVER = "never"
    FAILING = "failing"
    ALWAYS = "always"


def insist(keep: Keep, machine: Choice) -> None:
    """See that machines of that kind can be kept.

    Raises:
        HostError: they cannot, with what can be done instead.
    """
    if keep is Keep.NEVER or machine.kind == "nspawn":
        return
    why = {
        "vagrant": "there is one virtual machine, which each scenario gets in turn",
        "ssh": "the host is yours, and is given back as it was after each scenario",
    }[machine.kind]
    raise HostError(
        f"{OPTION} {keep} with --machine {machine.options.machine}: {why}",
        "`dms-harness shell SCENARIO` with the same options leaves you in one",
    )
