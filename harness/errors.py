"""What can go wrong that is not the mail server's doing.

A `HarnessError` means that the harness or the computer that it runs on failed: pytest reports
it as an *error*. An expectation that the deployed mail server does not meet is an
`AssertionError`: pytest reports it as a *failure*. The two never mix.
"""

from __future__ import annotations

import errno
from typing import Final

EXHAUSTED: Final = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EIO,
    errno.ENOMEM,
    errno.EMFILE,
    errno.ENFILE,
)
"""What the kernel says where this computer has no more of something, or a disk fails."""


class HarnessError(Exception):
    """The harness or its host failed.

    Args:
        message: what happened, naming the place (a file, a command, a machine).
        hint: what the reader should do next, in one line.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  → {self.hint}" if self.hint else self.message


class ScenarioError(HarnessError):
    """A scenario folder is wrong: names the file, the key and the remedy."""


class ClaimsError(HarnessError):
    """The list of the guide's claims is wrong, or there is nothing to judge them by."""


class GuideError(HarnessError):
    """A page of the guide, or what is said of it in `guide.toml`, cannot be read: names where."""


class HostError(HarnessError):
    """This computer lacks something: a right, a device, a package, space, a network."""


class MachineError(HarnessError):
    """A machine did not do what a machine must: boot, answer, run a command."""


class CommandError(MachineError):
    """A command on a machine ended otherwise than it had to."""


class DeploymentError(HarnessError):
    """The operator's files did not lead to a mail server that answers."""


def infrastructure(error: BaseException) -> str:
    """What went wrong with a machine or with this computer, in a line.

    Returns:
        Nothing where an error may be anything else: a command that failed on a machine, a mail
        server that did not come up, a mistake in a scenario or in the harness.
    """
    if isinstance(error, BaseExceptionGroup):
        told = [infrastructure(each) for each in error.exceptions]
        return told[0] if all(told) else ""
    is_ours = isinstance(error, (HostError, MachineError)) and not isinstance(error, CommandError)
    is_exhausted = isinstance(error, OSError) and error.errno in EXHAUSTED
    # Not imported for this: most runs that come here have it anyhow, all others need it not.
    is_lost = type(error).__module__.partition(".")[0] == "asyncssh"
    if not (is_ours or is_exhausted or is_lost or isinstance(error, MemoryError)):
        return ""
    said = error.message if isinstance(error, HarnessError) else str(error)
    first = next((line for line in said.splitlines() if line.strip()), "no text")
    return f"{type(error).__name__}: {first}"
