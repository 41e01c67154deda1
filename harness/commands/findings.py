"""`dms-harness findings`: what a maintainer should change in the guide."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.commands.options import add_json, add_runs

EXIT = {"0": "done, or the file agrees", "1": "with --check: the file does not agree"}
JSON = {
    "runs": "the folders",
    "machine": "fact: what it was on the machines",
    "images": "the mail servers' images",
    "variants": "how many scenario variants were deployed",
    "findings": "the claims that are contradicted, or depend on something, as `claims` has them",
    "file": "with `--check`, in place of all the above: the file",
    "differences": "with `--check`: where it does not agree, a line each",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """From which runs, and where to."""
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--output", type=Path, metavar="FILE", help="write the Markdown to a file")
    either.add_argument(
        "--check", type=Path, metavar="FILE", help="exit with 1 where a file's verdicts differ"
    )
    parser.add_argument(
        "--complete", action="store_true", help="with --check: compare what was not run as well"
    )
    add_json(parser)
    add_runs(parser)


def run(args: argparse.Namespace) -> int:
    """Write what a maintainer should change in the guide, or hold such a file against a run."""
    from harness.report.as_json import print_json
    from harness.report.claims import ledger_of
    from harness.report.findings import as_markdown, as_object, differences

    ledger = ledger_of(args.runs, args.claims)
    if args.check:
        differing = differences(args.check, ledger, args.complete)
        if args.json:
            print_json("findings", {"file": str(args.check), "differences": differing})
            return 1 if differing else 0
        for line in differing:
            print(line)
        if not differing:
            print(f"{args.check}: agrees with {', '.join(map(str, args.runs))}")
        return 1 if differing else 0
    if args.output:
        args.output.write_text(as_markdown(ledger), encoding="utf-8")
    if args.json:
        print_json("findings", {"runs": [str(run) for run in args.runs], **as_object(ledger)})
    elif args.output:
        print(f"{args.output}: {ledger.counts}")
    else:
        print(as_markdown(ledger), end="")
    return 0
