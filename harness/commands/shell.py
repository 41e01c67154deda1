"""`dms-harness shell`: one deployment with a person in it."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from harness.commands.completers import completes, scenarios
from harness.commands.options import add_scenarios
from harness.errors import HarnessError
from harness.machines.options import add_options, options_of

if TYPE_CHECKING:
    from types import FrameType

    from harness.machines.choice import Choice
    from harness.scenario import Scenario
    from harness.session import Session

STARTED = time.monotonic()
ENDED_BY = (signal.SIGTERM, signal.SIGHUP)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which scenario, on what, and what to do there."""
    action = parser.add_argument(
        "scenario",
        metavar="SCENARIO",
        help="a variant's id, a folder (its first variant), or words as of pytest's -k that"
        " select one variant",
    )
    completes(action, scenarios)
    parser.add_argument(
        "--command",
        action="append",
        metavar="LINE",
        help="carry out this line and leave; may be given several times. The exit status is that"
        " of the first line that did not end well",
    )
    add_scenarios(parser)
    parser.add_argument(
        "--runs", type=Path, default=Path("runs"), metavar="DIR", help="where the record goes"
    )
    parser.add_argument(
        "--mailserver", default="auto", metavar="SOURCE", help="as pytest's --mailserver"
    )
    add_options(parser.add_argument)


def run(args: argparse.Namespace) -> int:
    """Bring a scenario up, let the user look around in it, and take it down."""
    from harness.machines.choice import choose_machine
    from harness.on_machine import on_machine
    from harness.opening import facts_of, why_not
    from harness.scenario_file import load_all
    from harness.shell.selection import select

    scenario = select(args.scenario, load_all(args.scenarios))
    for number in ENDED_BY:
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup has it
            signal.signal(number, _end)
    machine = choose_machine(options_of(args))
    session = _session(args, machine)
    try:
        if scenario.written is not None:
            (scenario,) = on_machine([scenario], facts_of(session.stock))
        if reason := why_not(scenario, machine, lambda: session.stock):
            raise HarnessError(f"{scenario.id} cannot be shown on this machine: {reason}")
        return _visit(session, scenario, args.command)
    finally:
        # Once is enough: what ends this process now leaves the rest to the keeper.
        for number in ENDED_BY:
            signal.signal(number, signal.SIG_IGN)
        session.close()
        proof = f": {session.proof}" if session.proof else ""
        say(f"everything is taken down, and nothing is left{proof}")


def say(text: str) -> None:
    """Tell what is being done; the terminal may be gone."""
    with contextlib.suppress(OSError, ValueError):
        print(f"[{time.monotonic() - STARTED:6.1f} s] {text}", file=sys.stderr, flush=True)


def _end(number: int, _: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


def _session(args: argparse.Namespace, machine: Choice) -> Session:
    """A session for one deployment; its keeper is on the way."""
    from harness.mailserver.choose import choose
    from harness.opening import begin_keeper, new_run, open_session
    from harness.progress import Spoken

    image = choose(args.mailserver)
    say(f"machine: {machine}")
    say(f"mail server: {image.label}")
    keeper = begin_keeper(machine, "shell")
    # No latest run: others look there for what a whole run has seen.
    folder = new_run(args.runs.absolute(), is_latest=False)
    return open_session(machine, folder, image, keeper, say, progress=Spoken(say))


def _visit(session: Session, scenario: Scenario, lines: list[str] | None) -> int:
    deployment = session.deploy(scenario)

    from harness.shell.console import Console
    from harness.shell.visit import Visit
    from harness.shell.way_in import described

    visit = Visit(deployment, session.run / "observations.jsonl")
    console = Console(visit, described(deployment, session.run, str(session.image.label)))
    console.do_info("")
    if lines is not None:
        status = console.follow(lines)
    elif sys.stdin.isatty():
        print("help lists the commands; exit or Ctrl-D takes everything down")
        console.talk()
        return 0
    else:
        status = console.follow(sys.stdin)
    return status or int(deployment.failure is not None)
