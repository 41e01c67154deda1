"""`dms-harness`: what one does around a run. The runs themselves are pytest's."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from harness.errors import HarnessError

COMMANDS = (
    "doctor",
    "setup",
    "list",
    "matrix",
    "claims",
    "findings",
    "report",
    "diff",
    "shell",
    "reproduce",
    "guide",
    "clean",
    "completion",
    "manual",
)
"""Modules of `harness.commands`, in the order in which the help shows them."""


COMPLETING = "_ARGCOMPLETE"
"""Set by the shell's function that `dms-harness completion` prints."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="dms-harness", description=__doc__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    for name in COMMANDS:
        module = import_module(f"harness.commands.{name}")
        description = (module.run.__doc__ or "").strip()
        made = commands.add_parser(name, help=description, description=description)
        module.add_arguments(made)
        made.set_defaults(action=module.run)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; a `HarnessError` is one clear message and exit status 2, Ctrl-C is 130."""
    commands = parser()
    if COMPLETING in os.environ:  # a shell asks; only then is it imported
        import argcomplete

        argcomplete.autocomplete(commands)
    args = commands.parse_args(argv)
    try:
        status: int = args.action(args)
        sys.stdout.flush()
    except HarnessError as error:
        print(f"dms-harness: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # Who read it has read enough, as `| head` does; Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        print("dms-harness: interrupted; the keeper takes down what was made", file=sys.stderr)
        return 130
    return status


if __name__ == "__main__":
    sys.exit(main())
