"""How a process begins its part in a run: its keeper on the way, and its session."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from harness import cache
from harness.keeper.client import Keeper
from harness.kept.options import Keep
from harness.memory import budget_of
from harness.room import Room

if TYPE_CHECKING:
    from harness.machines.choice import Choice
    from harness.machines.stock import Stock
    from harness.mailserver.image import Image
    from harness.progress import Progress
    from harness.scenario import Scenario
    from harness.session import Say, Session


def begin_keeper(choice: Choice, label: str = "run") -> Future[Keeper]:
    """Start a keeper in the background.

    Args:
        choice: the kind of machine that it will be asked for.
        label: what it is for, as the names of its resources say it.
    """
    with_store = choice.with_store  # or it says why there can be no machine
    starting = ThreadPoolExecutor(1, thread_name_prefix="keeper")
    coming = starting.submit(Keeper, cache.folder(), label, with_store)
    starting.shutdown(wait=False)
    return coming


def facts_of(stock: Stock) -> Mapping[str, str]:
    """What machines are made of, which may have to be made for that."""
    stock.prepare()  # one of xdist's workers has not asked for it yet
    return stock.facts


def why_not(scenario: Scenario, choice: Choice, stock: Callable[[], Stock]) -> str:
    """Why a scenario variant cannot be shown on a kind of machine, or nothing.

    Args:
        scenario: the variant.
        choice: the kind.
        stock: gives what the machines come from; asked only where the answer depends on it.
    """
    if scenario.needs:
        from harness import needs

        if reason := needs.why_not(scenario.needs, facts_of(stock())):
            return reason
    if choice.kind != "ssh":
        return ""
    from harness.machines.ssh import applicable

    return applicable.why_not(scenario, stock().facts)


def open_session(
    choice: Choice,
    folder: Path,
    image: Image,
    keeper: Future[Keeper],
    say: Say,
    at_once: int = 1,
    ahead: int = 0,
    starting: int = 1,
    progress: Progress | None = None,
    keep: Keep = Keep.NEVER,
    say_of_machine: Say | None = None,
) -> Session:
    """A session whose machines are of the kind that was chosen.

    Args:
        choice: the kind.
        folder: as the others, see `Session`.
        image: what the machines have.
        keeper: owns them.
        say: tells the user what is being done.
        at_once: how many deployments may be on their way at a time.
        ahead: how many may exist, those included that wait for their tests.
        starting: how many of them may boot and start at a time.
        progress: is told of each phase of each deployment.
        keep: what the user asked to be kept.
        say_of_machine: tells the user how machines are made, where that is not `say`.
    """
    from harness.machines.choice import stock_opener
    from harness.machines.supply import MEMORY
    from harness.session import Session

    room = Room(cache.folder(), budget_of(choice.options.memory_budget), starting)
    if choice.kind == "nspawn":  # a virtual machine has its own, and a host is elsewhere
        room.check(MEMORY)
    return Session(
        folder,
        image,
        keeper,
        stock_opener(choice, image, say_of_machine or say),
        say,
        at_once,
        room=room,
        progress=progress,
        keep=keep,
        ahead=ahead,
    )


def new_run(folder: Path, is_latest: bool = True) -> Path:
    """A new folder for a run's record, named by its time, and `latest` pointing to it.

    Args:
        folder: of all runs.
        is_latest: False where the record is not one that others should find first.
    """
    run = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    run.mkdir(parents=True)
    if not is_latest:
        return run
    latest = folder / "latest"
    fresh = folder / f".latest-{os.getpid()}"
    fresh.symlink_to(run.name)
    fresh.replace(latest)
    return run
