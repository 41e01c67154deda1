"""`dms-harness diff`: what changed between two runs."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.commands.completers import completes, runs
from harness.commands.options import add_json

CLAIMS = Path("scenarios") / "claims.toml"

EXIT = {
    "0": "nothing changed in meaning, or nothing that --fail-on counts",
    "1": "something did",
    "2": "the runs cannot be compared",
}
JSON = {
    "a": "the run before: `run`, `broken_lines`, `only` (scenario variants of this run alone)",
    "b": "the run after",
    "compared": "the scenario variants of both",
    "facts": "fact about the machines or the mail server: `a`, `b`, where they differ",
    "changes": "each with `group`, `scenario`, `kind`, `subject`, `vantage`, `before`, `after` and"
    " `why` (what shows it), the most serious group first",
    "left_out": "how many differences follow from others, and how many things B alone observed",
    "seconds": "phase: the median in `a` and `b`; for information",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which runs, and what counts."""
    for name, when in (("a", "before"), ("b", "after")):
        run_folder = parser.add_argument(
            name, type=Path, metavar=f"RUN_{name.upper()}", help=f"the folder of the run {when}"
        )
        completes(run_folder, runs)
    parser.add_argument(
        "--fail-on",
        choices=["any", "relay"],
        default="any",
        help="exit with 1 for any change, or only where a stranger can relay who could not, or it"
        " is not known any more whether one can (default: any)",
    )
    parser.add_argument(
        "--claims",
        type=Path,
        metavar="FILE",
        help=f"the guide's claims, whose verdicts are compared as well (default: {CLAIMS})",
    )
    how = parser.add_mutually_exclusive_group()
    add_json(how)
    how.add_argument("--markdown", action="store_true", help="print Markdown")


def run(args: argparse.Namespace) -> int:
    """Say what changed in meaning between two runs, a newly open relay first."""
    from harness.claims import load_claims
    from harness.report.diff import compare
    from harness.report.diff_run import load
    from harness.report.diff_show import as_markdown, as_object, print_difference

    # Scenarios of one's own need not come with claims.
    claims = load_claims(args.claims or CLAIMS) if args.claims or CLAIMS.is_file() else []
    found = compare(load(args.a), load(args.b), claims)
    if args.json:
        from harness.report.as_json import print_json

        print_json("diff", as_object(found))
    elif args.markdown:
        print(as_markdown(found), end="")
    else:
        from rich.console import Console

        print_difference(Console(highlight=False), found)
    counted = found.changes
    if args.fail_on == "relay":
        counted = [each for each in counted if each.is_about_relaying]
    return 1 if counted else 0
