"""`dms-harness reproduce`: deploys what a reporter of a bug has sent."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from harness.commands.options import add_json, add_scenarios
from harness.errors import HarnessError, infrastructure

if TYPE_CHECKING:
    from harness.reproduce.engine import Plan
    from harness.reproduce.summary import Result

EXIT = {
    "0": "reproduced",
    "1": "not reproduced",
    "2": "what was sent is refused, or the machine failed",
    "3": "not comparable",
}
JSON = {
    "answer": "reproduced, not reproduced, or not comparable",
    "why": "the reason",
    "scenario": "the nearest scenario",
    "machine": "what it was deployed on",
    "mail server": "the image",
    "notes": "what was made of the report, by sorts",
    "claims": "each with where it was read, whether it was seen, and what was seen",
    "infrastructure": "what went wrong with machines or this computer; with status 2, why there is"
    " no answer",
    "places": "the summary, the bundle and the run's folder",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What was sent, and what the report does not say."""
    parser.add_argument("path", type=Path, metavar="PATH", help="a folder, an archive, or one file")
    parser.add_argument(
        "--claim",
        action="append",
        default=[],
        metavar="WORDS",
        help="what was seen, such as 'relays from outside'; several make one report",
    )
    parser.add_argument(
        "--received", type=Path, metavar="FILE", help="what happened, logs included"
    )
    parser.add_argument("--expected", type=Path, metavar="FILE", help="what should have happened")
    parser.add_argument("--mode", choices=["rootful", "rootless"], default="", help="who runs it")
    parser.add_argument(
        "--launcher",
        default="",
        choices=["quadlet", "compose", "podman_compose", "run", "generated_unit"],
        help="how it was started, where the files do not say it",
    )
    parser.add_argument("--interface", default="", metavar="NAME", help="of the reporter's host")
    parser.add_argument(
        "--with-scripts",
        action="store_true",
        help="let programs of the config folder, such as user-patches.sh, go into the container",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be deployed")
    add_json(parser)
    parser.add_argument("--mailserver", default="auto", metavar="SOURCE", help="as pytest's")
    parser.add_argument(
        "--machine",
        default="auto",
        choices=["auto", "nspawn", "vagrant"],
        help="never a host of yours: what strangers send is not run there",
    )
    parser.add_argument(
        "--distro",
        default="",
        metavar="NAME",
        help="as pytest's: the generation of podman nearest to the reporter's (default: debian-13)",
    )
    parser.add_argument(
        "--runs", type=Path, default=Path("runs"), metavar="DIR", help="where the record goes"
    )
    add_scenarios(parser)


def run(args: argparse.Namespace) -> int:
    """Deploy what a bug's reporter has sent, and say whether what they saw is seen here."""
    from harness.reproduce.engine import Asked, plan
    from harness.reproduce.summary import Result, account
    from harness.reproduce.verdict import STATUS

    made = plan(
        args.path,
        Asked(
            args.scenarios,
            args.claim,
            args.mode,
            args.launcher,
            args.interface,
            args.with_scripts,
            args.expected,
            args.received,
        ),
    )
    if obstacles := made.notes.obstacles:
        result = Result("not comparable", str(obstacles[0]), made.notes)
    elif args.dry_run:
        result = Result("not comparable", "nothing was deployed", made.notes)
    else:
        print(account(made.notes, made.scrub), file=sys.stderr, flush=True)
        return _deployed(args, made)
    result.scenario = made.nearest
    _show(args, made, result)
    return 0 if args.dry_run and made.table else STATUS[result.answer]


def _show(args: argparse.Namespace, made: Plan, result: Result) -> None:
    from harness.reproduce.summary import account, as_json

    if args.json:
        print(as_json(result, made.scrub))
        return
    print(account(made.notes, made.scrub))
    print("claims: " + ("; ".join(made.scrub.text(str(c)) for c in made.claims) or "none"))
    for name, text in made.files.items():
        if "/" not in name and name != "mailserver.env":
            print(f"\n{name}:\n{text.rstrip()}")
    if not made.table:
        print(f"\n{result.answer}: {made.scrub.text(result.why)}")


def _deployed(args: argparse.Namespace, made: Plan) -> int:
    from harness.machines.choice import choose_machine
    from harness.machines.options import MachineOptions
    from harness.mailserver.choose import choose
    from harness.opening import new_run
    from harness.report.infrastructure import RETRY
    from harness.report.infrastructure import of as infrastructure_of
    from harness.reproduce import write
    from harness.reproduce.bundle import TOLD, checked, texts_in, write_bundle
    from harness.reproduce.deploy import deploy
    from harness.reproduce.engine import knows
    from harness.reproduce.summary import Result, as_json, as_markdown
    from harness.reproduce.verdict import STATUS, answer, hold
    from harness.scenario_file import load

    machine = choose_machine(MachineOptions(machine=args.machine, distro=args.distro))
    image = choose(args.mailserver)
    # No latest run: others look there for what a whole run has seen.
    where = new_run(args.runs, is_latest=False)
    (scenario,) = load(made.write(where / "scenarios"))
    facts: dict[str, str] = {}

    def say(text: str) -> None:
        print(f"  {text}", file=sys.stderr, flush=True)

    try:
        outcome = deploy(scenario, where, machine, image, say, facts.update)
    except HarnessError as error:
        if args.json and (what := infrastructure(error)):
            # No answer, and no mistake in the report: a program may try once more.
            lost = Result("not comparable", what, made.notes, scenario=made.nearest)
            lost.infrastructure = (what,)
            print(as_json(lost, made.scrub), flush=True)
        raise
    knows(made)(facts)
    held = [hold(claim, outcome) for claim in made.claims]
    said, why = answer(held, len(made.notes.of("refused")))
    kind = f"{machine.kind}: {facts.get('distribution', '?')}, {facts.get('podman', '?')}"
    result = Result(said, why, made.notes, held, outcome, made.nearest, kind, str(image.label))
    result.files = {
        name: text for name, text in made.files.items() if "/" not in name and name != write.ENV
    }
    summary, bundle = where / "reproduction.md", where / "reproduction.tar.zst"
    anew = infrastructure_of((), (seen for seen in outcome.observations if seen.kind == RETRY))
    result.infrastructure = tuple(f"made anew: {why}" for why in anew.made_anew)
    result.places = {"summary": str(summary), "bundle": str(bundle), "run": str(where)}
    markdown = as_markdown(result, made.scrub)
    summary.write_text(markdown, encoding="utf-8")
    (where / "account.json").write_text(as_json(result, made.scrub), encoding="utf-8")
    members = {f"report/{name}": text for name, text in made.sent().items()}
    members |= texts_in(where / "scenarios" / write.FOLDER, "scenario")
    members |= texts_in(where / scenario.id, "evidence")
    for name in ("observations.jsonl",):
        members[name] = (where / name).read_text(encoding="utf-8")
    members |= {"reproduction.md": markdown}
    clean, dirty = checked(members, made.scrub)
    if dirty:
        clean[TOLD] = "".join(f"{name}: {reason}\n" for name, reason in dirty.items())
    write_bundle(bundle, clean)
    for name, reason in dirty.items():
        say(f"left out of the bundle: {name}: {reason}")
    print(as_json(result, made.scrub) if args.json else markdown, flush=True)
    say(f"summary: {summary}")
    say(f"bundle: {bundle}")
    say(f"{said}: {made.scrub.text(why)}")
    return STATUS[said]
