"""`dms-harness clean`: what dead runs left."""

from __future__ import annotations

import argparse

from harness.commands.options import add_json
from harness.errors import HarnessError

EXIT = {"0": "nothing is left", "1": "something could not be removed"}
JSON = {
    "removed": "what was removed, or undone on a host of yours",
    "still_there": "what could not be",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to clean, and where."""
    parser.add_argument(
        "--cache", action="store_true", help="remove everything that was built as well"
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
    from harness import cache, doctor
    from harness.keeper.client import Keeper
    from harness.machines.vagrant.box import forget_boxes

    if args.machine.startswith("ssh:"):
        done = _clean_host(args.machine.removeprefix("ssh:"))
        _show(args.json, done, [], done)
        return 0
    store = cache.folder() / "store"
    with_store = store.exists() or not doctor.problems()
    keeper = Keeper(cache.folder(), "clean", with_store)
    try:
        hello = keeper.call("hello")
        removed = list(hello["swept"])
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
    _show(args.json, removed, stuck, lines + [f"still there: {thing}" for thing in stuck])
    if complaint:
        raise HarnessError(complaint)
    return 1 if stuck else 0


def _show(as_json: bool, removed: list[str], stuck: list[str], lines: list[str]) -> None:
    """Say what was done, in lines or as an object."""
    if as_json:
        from harness.report.as_json import print_json

        print_json("clean", {"removed": removed, "still_there": stuck})
    else:
        print("\n".join(lines) or "nothing was left behind")


def _clean_host(where: str) -> list[str]:
    """Undo what a dead run left on somebody's own host; what was done, a line each."""
    from harness.machines.ssh.login import Login, parse
    from harness.machines.ssh.stock import clean_up

    login = Login(parse(where))
    try:
        return list(clean_up(login))
    finally:
        login.close()
