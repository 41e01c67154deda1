"""`dms-harness matrix`: the cells of a run on several computers."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.commands.completers import completes, scenarios
from harness.commands.options import add_json, add_scenarios
from harness.errors import HarnessError

JSON = {
    "cells": "`id`, `machine`, `distro` (empty where it is the machine's own), `mailserver`,"
    " `scenarios` (the variants' ids), `command` (a line of shell), and"
    " `runs` and `junitxml`, where that writes; with `--github` the same below `include`, without"
    " a schema. More keys may come",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which scenarios, on what, in how many parts."""
    action = parser.add_argument(
        "-k",
        dest="words",
        default="",
        metavar="WORDS",
        help="which scenario variants, as pytest's -k (default: all)",
    )
    completes(action, scenarios)
    parser.add_argument(
        "--cells",
        type=int,
        metavar="N",
        help="for each machine, N cells with about as many variants each (default: one cell for"
        " each scenario folder)",
    )
    parser.add_argument(
        "--machine",
        nargs="+",
        default=["auto"],
        metavar="KIND",
        help="the kinds of machines, as pytest's --machine (default: auto)",
    )
    parser.add_argument(
        "--distro",
        nargs="+",
        default=[""],
        metavar="NAME",
        help="the distributions, as pytest's --distro (default: the machine's own)",
    )
    parser.add_argument(
        "--mailserver",
        nargs="+",
        default=["auto"],
        metavar="SOURCE",
        help="the mail servers' images, as pytest's --mailserver (default: auto)",
    )
    parser.add_argument(
        "--runs",
        type=Path,
        default=Path("runs"),
        metavar="DIR",
        help="where each cell's run gets a folder (default: %(default)s)",
    )
    add_scenarios(parser)
    how = parser.add_mutually_exclusive_group()
    add_json(how)
    how.add_argument(
        "--github", action="store_true", help="print a matrix for GitHub's strategy.matrix"
    )
    how.add_argument("--command", metavar="CELL", help="print one cell's command, by the cell's id")


def run(args: argparse.Namespace) -> int:
    """Print the cells of a run in parts: machines, distributions and mail servers by scenarios.

    Each has its pytest command.
    """
    import json

    from harness import matrix
    from harness.machines.choice import KINDS, insist_on_distro
    from harness.machines.options import MachineOptions
    from harness.scenario_file import load_all

    if args.cells is not None and args.cells < 1:
        raise HarnessError(f"--cells {args.cells}: there is no such number of cells", "1 or more")
    for machine in args.machine:
        if machine.partition(":")[0] not in (*KINDS, "auto") or machine == "ssh":
            kinds = "auto, nspawn, vagrant, ssh:[USER@]HOST[:PORT]"
            raise HarnessError(f"--machine {machine}: no such kind of machine", f"it takes {kinds}")
        for distro in filter(None, args.distro):
            insist_on_distro(MachineOptions(machine=machine, distro=distro))
    own = args.scenarios if args.scenarios != Path("scenarios") else None
    every = load_all(args.scenarios)
    cells = matrix.cells(
        every,
        args.machine,
        args.runs,
        args.words,
        args.cells,
        own,
        distros=args.distro,
        mailservers=args.mailserver,
    )
    if args.github:
        combinations = len(args.machine) * len(args.distro) * len(args.mailserver)
        if len(cells) > matrix.AT_MOST:
            raise HarnessError(
                f"{len(cells)} cells: GitHub takes {matrix.AT_MOST} of one matrix",
                f"--cells {max(1, matrix.AT_MOST // combinations)}",
            )
        print(json.dumps({"include": cells}, ensure_ascii=False))
    elif args.command:
        commands = {cell["id"]: cell["command"] for cell in cells}
        if args.command not in commands:
            raise HarnessError(
                f"--command {args.command}: there is no such cell",
                f"it takes {', '.join(commands)}",
            )
        print(commands[args.command])
    elif args.json:
        from harness.report.as_json import print_json

        print_json("matrix", {"cells": cells})
    else:
        _print(cells)
    return 0


def _print(cells: list[dict[str, object]]) -> None:
    """Print a table for people."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from harness.report.diff_rows import by_folder

    table = Table(box=None, pad_edge=False)
    table.add_column("cell", overflow="fold")
    table.add_column("variants", justify="right")
    table.add_column("scenarios", overflow="fold", style="dim")
    for cell in cells:
        ids = cell["scenarios"]
        assert isinstance(ids, list)
        table.add_row(Text(str(cell["id"])), str(len(ids)), Text(by_folder(ids)))
    console = Console(highlight=False)
    console.print(table)
    console.print(f"\n{len(cells)} cells; --json has each one's command", style="dim")
