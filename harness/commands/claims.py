"""`dms-harness claims`: what runs say about the guide."""

from __future__ import annotations

import argparse

from harness.commands.options import add_runs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which claims of which runs."""
    parser.add_argument("--id", action="append", metavar="C14", help="one claim, all its evidence")
    parser.add_argument("--json", action="store_true", help="for other programs")
    add_runs(parser)


def run(args: argparse.Namespace) -> int:
    """Say which of the guide's claims some runs uphold, and which they contradict."""
    from rich.console import Console

    from harness.report.claims import as_json, chosen, ledger_of, print_claim, print_ledger

    ledger = ledger_of(args.runs, args.claims)
    console = Console()
    if args.id:
        for each in chosen(ledger, args.id):
            print_claim(console, each)
    elif args.json:
        print(as_json(ledger, args.runs), end="")
    else:
        print_ledger(console, ledger, args.runs)
    return 0
