"""`dms-harness manual`: the manual, made from the code."""

from __future__ import annotations

import argparse
from pathlib import Path

EXIT = {"0": "done, or the file is up to date", "1": "with --check: the file is not up to date"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to."""
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--output", type=Path, metavar="FILE", help="write it to a file")
    either.add_argument(
        "--check", type=Path, metavar="FILE", help="exit with 1 where a file is out of date"
    )


def run(args: argparse.Namespace) -> int:
    """Print the manual: every command and option, as the code has them."""
    from harness.manual import manual

    text = manual()
    if args.check:
        written = args.check.read_text(encoding="utf-8") if args.check.is_file() else ""
        if written == text:
            return 0
        print(f"{args.check} is out of date: dms-harness manual --output {args.check}")
        return 1
    if args.output:
        args.output.parent.mkdir(parents=True, exist_ok=True)
        args.output.write_text(text, encoding="utf-8")
    else:
        print(text, end="")
    return 0
