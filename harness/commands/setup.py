"""`dms-harness setup`: build what machines are made of."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from harness.errors import HarnessError

if TYPE_CHECKING:
    from harness.keeper.client import Keeper
    from harness.machines.distros import Distro
    from harness.machines.golden import Golden
    from harness.mailserver.image import Image, Say

STARTED = time.monotonic()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which mail server, on which distributions."""
    parser.add_argument(
        "--mailserver",
        default="auto",
        metavar="SOURCE",
        help="the mail server's image, as pytest's --mailserver (default: %(default)s)",
    )
    parser.add_argument(
        "--distro",
        nargs="+",
        default=[""],
        metavar="NAME",
        help="the distributions, as pytest's --distro, all at once (default: debian-13)",
    )


def say(text: str) -> None:
    """Tell what is being done, with the seconds since the command began."""
    print(f"[{time.monotonic() - STARTED:6.1f} s] {text}", flush=True)


def run(args: argparse.Namespace) -> int:
    """Build the machine images now, where the cache has none."""
    from harness import cache
    from harness.keeper.client import Keeper
    from harness.machines import distros
    from harness.machines.choice import choose_machine
    from harness.machines.options import MachineOptions
    from harness.mailserver.choose import choose

    wanted = list({each.name: each for each in map(distros.find, args.distro)}.values())
    say(f"machine: {choose_machine(MachineOptions(distro=args.distro[0]))}")
    image = choose(args.mailserver)
    say(f"mail server: {image.label}")
    keeper = Keeper(cache.folder(), "setup")
    try:
        for thing in keeper.call("hello")["swept"]:
            say(f"removed what a dead run had left: {thing}")
        made = _make(keeper, image, wanted)
    finally:
        complaint = keeper.close()
    if complaint:
        raise HarnessError(complaint)
    for each in made:
        facts = each.facts
        parts = (facts["distribution"], facts["podman"], facts["systemd"])
        say(f"ready: {', '.join(parts)}; in {keeper.cache}")
    return 0


def _make(keeper: Keeper, image: Image, wanted: list[Distro]) -> list[Golden]:
    """The goldens of all distributions, built at the same time where they are not there.

    Raises:
        HarnessError: one of them cannot be made; the others are, unless that was an interrupt.
    """
    from concurrent.futures import ThreadPoolExecutor

    from harness.machines import golden

    if len(wanted) == 1:
        return [golden.ensure(keeper, image, say, wanted[0])]
    pool = ThreadPoolExecutor(len(wanted))
    try:
        coming = [pool.submit(golden.ensure, keeper, image, _say_of(each), each) for each in wanted]
        for each in coming:
            each.exception()
        return [each.result() for each in coming]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _say_of(distro: Distro) -> Say:
    """Tells what is being done, and for which of several distributions."""
    return lambda text: say(f"{distro}: {text}")
