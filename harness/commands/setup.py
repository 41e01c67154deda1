"""`dms-harness setup`: build what machines are made of."""

from __future__ import annotations

import argparse
import time

from harness.errors import HarnessError

STARTED = time.monotonic()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which mail server."""
    parser.add_argument(
        "--mailserver",
        default="auto",
        metavar="SOURCE",
        help="the mail server's image, as pytest's --mailserver (default: %(default)s)",
    )


def say(text: str) -> None:
    """Tell what is being done, with the seconds since the command began."""
    print(f"[{time.monotonic() - STARTED:6.1f} s] {text}", flush=True)


def run(args: argparse.Namespace) -> int:
    """Build the machine image now, where the cache has none."""
    from harness import cache
    from harness.keeper.client import Keeper
    from harness.machines import golden
    from harness.machines.choice import choose_machine
    from harness.machines.options import MachineOptions
    from harness.mailserver.choose import choose

    say(f"machine: {choose_machine(MachineOptions())}")
    image = choose(args.mailserver)
    say(f"mail server: {image.label}")
    keeper = Keeper(cache.folder(), "setup")
    try:
        for thing in keeper.call("hello")["swept"]:
            say(f"removed what a dead run had left: {thing}")
        made = golden.ensure(keeper, image, say)
    finally:
        complaint = keeper.close()
    if complaint:
        raise HarnessError(complaint)
    facts = made.facts
    say(f"ready: {facts['distribution']}, {facts['podman']}, {facts['systemd']}; in {keeper.cache}")
    return 0
