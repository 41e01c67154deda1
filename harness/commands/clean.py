"""`dms-harness clean`: what dead runs left."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from harness import cache
from harness.commands.options import add_json
from harness.errors import HarnessError
from harness.kept.options import END

EXIT = {"0": "nothing is left", "1": "something could not be removed"}
JSON = {
    "removed": "what was removed, or undone on a host of yours",
    "still_there": "what could not be",
    "kept": "what `--keep` left, and stays: ended with `--kept` only",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to clean, and where."""
    parser.add_argument(
        "--cache", action="store_true", help="remove everything that was built as well"
    )
    parser.add_argument(
        "--kept",
        nargs="?",
        const="",
        metavar="RUN",
        help="end what pytest's --keep left running as well, of all runs or of this one: its"
        " folder, or the name of that",
    )
    parser.add_argument(
        "--machine",
        default="",
        metavar="ssh:[USER@]HOST[:PORT]",
        help="undo what a dead run left on a host of yours, and nothing here",
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Remove what dead runs left behind, and with --cache everything that was built."""
    from harness import doctor
    from harness.keeper.client import Keeper
    from harness.kept.marker import kept_in
    from harness.machines.vagrant.box import forget_boxes

    if args.machine.startswith("ssh:"):
        done = _clean_host(args.machine.removeprefix("ssh:"))
        _show(args.json, done, [], done)
        return 0
    ended = [] if args.kept is None else _end_kept(args.kept)
    store = cache.folder() / "store"
    with_store = store.exists() or not doctor.problems()
    keeper = Keeper(cache.folder(), "clean", with_store)
    try:
        hello = keeper.call("hello")
        removed = ended + list(hello["swept"])
        if args.cache:
            for name in keeper.call("finished")["finished"]:
                keeper.call("discard", name=name)
                removed.append(f"cached {name}")
    finally:
        complaint = keeper.close()
    if args.cache:
        for kind in ("images", "boxes"):
            for file in sorted((cache.folder() / kind).glob("*")):
                file.unlink()
                removed.append(f"cached {file.name}")
        removed += [f"box {name}" for name in forget_boxes()]
    stuck = list(hello["stuck"])
    lines = [f"removed {thing}" for thing in removed]
    lines += [f"still there: {thing}" for thing in stuck]
    _show(args.json, removed, stuck, lines, [str(each) for each in kept_in(cache.folder())])
    if complaint:
        raise HarnessError(complaint)
    return 1 if stuck else 0


def _show(
    as_json: bool,
    removed: list[str],
    stuck: list[str],
    lines: list[str],
    kept: Sequence[str] = (),
) -> None:
    """Say what was done, in lines or as an object."""
    if as_json:
        from harness.report.as_json import print_json

        print_json("clean", {"removed": removed, "still_there": stuck, "kept": list(kept)})
        return
    print("\n".join(lines) or "nothing was left behind")
    for each in kept:
        print(f"kept: {each}; {END} ends it")


def _end_kept(run: str) -> list[str]:
    """End what a run has kept, or what all have; what that was, a line each."""
    from harness.kept.marker import kept_in

    name = Path(run).resolve().name if run else ""  # `latest` is a link
    every = kept_in(cache.folder())
    chosen = [each for each in every if name in ("", each.run.name)]
    if run and not chosen:
        raise HarnessError(
            f"--kept {run}: no such run has kept anything",
            "those that have: " + (", ".join(each.run.name for each in every) or "none"),
        )
    ended = []
    for each in chosen:
        each.end()
        ended.append(f"kept {each}")
    return ended


def _clean_host(where: str) -> list[str]:
    """Undo what a dead run left on somebody's own host; what was done, a line each."""
    from harness.machines.ssh.login import Login, parse
    from harness.machines.ssh.stock import clean_up

    login = Login(parse(where))
    try:
        return list(clean_up(login))
    finally:
        login.close()
