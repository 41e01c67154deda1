"""`dms-harness completion`: what a shell is told once, so that it completes the other commands."""

from __future__ import annotations

import argparse

SHELLS = ("bash", "zsh", "fish")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which shell."""
    parser.add_argument(
        "shell",
        choices=SHELLS,
        help='the shell; in its start-up file: eval "$(dms-harness completion bash)", or in fish:'
        " dms-harness completion fish | source",
    )


def run(args: argparse.Namespace) -> int:
    """Print what makes a shell complete commands, options, scenarios, runs and claims."""
    from argcomplete.shell_integration import shellcode

    print(shellcode(["dms-harness"], shell=args.shell))
    return 0
