"""`dms-harness guide`: whether the guide is still what the scenarios deploy."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.commands.options import add_json, add_scenarios

EXIT = {"0": "they agree", "1": "they have parted"}
JSON = {
    "guide": "the page",
    "blocks": "how many code blocks it has",
    "quotes": "how many quotes were looked for",
    "drift": "what does not agree, each with both sides' places",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The page, and what to hold it against."""
    parser.add_argument("file", type=Path, metavar="FILE", help="the guide's page, in Markdown")
    add_scenarios(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Hold DMS's guide for Podman against the scenarios' files and the claims' quotes."""
    from rich.console import Console

    from harness.claims import FILE, load_claims
    from harness.guide import table
    from harness.guide.compare import compare
    from harness.guide.page import read_page
    from harness.report.guide import as_json, print_result

    ours, quoted = args.scenarios / table.FILE, args.scenarios / FILE
    page = read_page(args.file)
    result = compare(page, table.load_table(ours), ours, load_claims(quoted), quoted)
    if args.json:
        print(as_json(result))
    else:
        print_result(Console(highlight=False), result)
    return 1 if result.drift else 0
