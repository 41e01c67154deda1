"""`dms-harness claims`: what runs say about the guide."""

from __future__ import annotations

import argparse
from dataclasses import replace

from harness.commands.completers import claims, completes
from harness.commands.options import add_json, add_runs

JSON = {
    "runs": "the folders",
    "machine": "fact: what it was on the machines",
    "images": "the mail servers' images",
    "variants": "how many scenario variants were deployed",
    "infrastructure": "for each run: `run`, `errors`, `tests_not_tried` (null where not recorded),"
    " and `machines_made_anew`: they are in no verdict",
    "counts": "verdict: how many of the claims below have it",
    "claims": "all, or those of `--id`: `id`, `verdict`, `quote`, `section`, `test`, `depends`,"
    " `needs` (what no machine had), `on_stand_in`, `cases_run`, `cases`, `correction`",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which claims of which runs."""
    action = parser.add_argument(
        "--id",
        action="append",
        metavar="CLAIM",
        help="show all evidence of one claim, such as C14; may be repeated",
    )
    completes(action, claims)
    add_json(parser)
    add_runs(parser)


def run(args: argparse.Namespace) -> int:
    """Say which of the guide's claims some runs uphold, and which they contradict."""
    from rich.console import Console

    from harness.report.claims import as_json, chosen, ledger_of, print_claim, print_ledger

    ledger = ledger_of(args.runs, args.claims)
    of = chosen(ledger, args.id) if args.id else ledger.verdicts
    console = Console()
    if args.json:
        from harness.report.infrastructure import of_run
        from harness.report.runs import find

        # Of a folder that holds many runs, each of them.
        runs = find(args.runs).runs
        wrong = [{"run": str(each), **of_run(each).as_object()} for each in runs]
        print(as_json(replace(ledger, verdicts=of), args.runs, wrong), end="")
    elif args.id:
        for each in of:
            print_claim(console, each)
    else:
        print_ledger(console, ledger, args.runs)
    return 0
