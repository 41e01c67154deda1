"""`dms-harness diff`: what changed between two runs, or two nights of many."""

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
    "a": "what came before: `run` (the folder), `broken_lines`, `only` (generations of it alone),"
    " `infrastructure` (of each run `errors`, `tests_not_tried`, `machines_made_anew`: what was not"
    " the mail server's doing; null where not recorded)",
    "b": "what came after",
    "generations": "of both: `name` (empty where there is one), what it was made of in `a` and `b`"
    " with the scenario variants of that side `only`, those `compared`, `facts` that differ, and"
    " the median `seconds` of phases, for information",
    "nothing_in_common": "the names of generations of both without a scenario variant in common",
    "changes": "each with `group`, `scenario`, `kind`, `subject`, `vantage`, `before`, `after`,"
    " `why` (what shows it) and `generation`, the most serious group first",
    "only_in_b": "what B alone observed of a scenario variant of both, as changes",
    "left_out": "how many differences follow from others",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which runs, and what counts."""
    for name, when in (("a", "before"), ("b", "after")):
        run_folder = parser.add_argument(
            name,
            type=Path,
            metavar=f"RUN_{name.upper()}",
            help=f"the folder of the run {when}, or one that holds the runs of a night",
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
    how.add_argument("--markdown", action="store_true", help="print Markdown, as issues take it")


def run(args: argparse.Namespace) -> int:
    """Say what changed in meaning between two runs or nights, a newly open relay first."""
    from harness.claims import load_claims
    from harness.report.diff import compare_all
    from harness.report.diff_run import load_generations
    from harness.report.diff_show import as_markdown, as_object, print_difference

    # Scenarios of one's own need not come with claims.
    claims = load_claims(args.claims or CLAIMS) if args.claims or CLAIMS.is_file() else []
    found = compare_all(load_generations(args.a), load_generations(args.b), claims)
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
