"""`dms-harness clean`: what dead runs left."""

from __future__ import annotations

import argparse

from harness.errors import HarnessError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to clean, and where."""
    parser.add_argument("--cache", action="store_true", help="remove the machine images as well")
    parser.add_argument(
        "--machine",
        default="",
        metavar="ssh:[USER@]HOST[:PORT]",
        help="undo what a dead run left on a host of yours, and nothing here",
    )


def run(args: argparse.Namespace) -> int:
    """Remove what dead runs left behind, and with --cache everything that was built."""
    from harness import cache, doctor
    from harness.keeper.client import Keeper
    from harness.machines.vagrant.box import forget_boxes

    if args.machine.startswith("ssh:"):
        return _clean_host(args.machine.removeprefix("ssh:"))
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
    for thing in removed:
        print(f"removed {thing}")
    for thing in hello["stuck"]:
        print(f"still there: {thing}")
    if not removed and not hello["stuck"]:
        print("nothing was left behind")
    if complaint:
        raise HarnessError(complaint)
    return 1 if hello["stuck"] else 0


def _clean_host(where: str) -> int:
    """Undo what a dead run left on somebody's own host."""
    from harness.machines.ssh.login import Login, parse
    from harness.machines.ssh.stock import clean_up

    login = Login(parse(where))
    try:
        done = clean_up(login)
    finally:
        login.close()
    for line in done:
        print(line)
    if not done:
        print("nothing was left behind")
    return 0
