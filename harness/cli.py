"""`dms-harness`: what one does around a run. The runs themselves are pytest's."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import HarnessError

if TYPE_CHECKING:
    from harness.scenario import Scenario

STARTED = time.monotonic()


def say(text: str) -> None:
    """Tell what is being done, with the seconds since the command began."""
    print(f"[{time.monotonic() - STARTED:6.1f} s] {text}", flush=True)


def doctor(args: argparse.Namespace) -> int:
    """Look at what a kind of machine needs; the exit status is the number of problems."""
    from harness.doctor import examine
    from harness.machines.vagrant import requirements

    of_vagrant = args.machine == "vagrant"
    findings = requirements.examine("") if of_vagrant else examine(with_mirror=True)
    bad = 0
    for finding in findings:
        bad += not finding.good
        mark = "ok     " if finding.good else "PROBLEM"
        print(f"{mark}  {finding.what:18} {finding.seen}", flush=True)
        if not finding.good:
            print(f"         {'':18} → {finding.remedy}")
    what = "A virtual machine of Vagrant's" if of_vagrant else "The embedded machine"
    print(f"\n{what} can run here." if not bad else f"\n{bad} to mend.")
    if of_vagrant and not bad:
        kvm = requirements.accelerator()
        print(f"KVM: {kvm.seen}" + ("" if kvm.good else f" → {kvm.remedy}"))
    return bad


def setup(args: argparse.Namespace) -> int:
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


def list_(args: argparse.Namespace) -> int:
    """List the scenarios, their variants and what is expected of them."""
    from harness.scenario_file import load_all

    scenarios = load_all(args.scenarios)
    for scenario in scenarios:
        table, settings = scenario.table, scenario.settings
        if scenario.is_first:
            mode = "rootful" if table.user == "root" else "rootless"
            families = " and ".join(f"IPv{family}" for family in table.families)
            ports = ", ".join(str(port) for port in table.publish.values())
            print(f"\n{scenario.folder.name}: {table.title}")
            print(
                f"  {mode}, launcher {table.launcher}, network {table.network}, ports {ports},"
                f" {families}, interface {table.interface}"
            )
        print(f"  {scenario.variant:28} {settings.checks:10} {_expected(scenario)}")
    print(f"\n{len(scenarios)} variants; any word above selects: pytest -k 'rootless and compose'")
    return 0


def _expected(scenario: Scenario) -> str:
    """What is expected of a variant, in a few words."""
    expect = scenario.settings.expect
    if expect.fails is not None:
        return f"does not come up: {expect.fails}"
    match scenario.settings.checks:
        case "matrix":
            return f"relays for strangers from {', '.join(expect.relays_from) or 'nowhere'}"
        case "bans":
            return f"fail2ban keeps out {', '.join(expect.bans) or 'nobody'}"
        case "ports":
            return f"answers {', '.join(scenario.reachable) or 'nobody'}"
    return expect.why


def claims(args: argparse.Namespace) -> int:
    """Say which of the guide's claims some runs uphold, and which they contradict."""
    from rich.console import Console

    from harness.report.claims import as_json, chosen, ledger_of, print_claim, print_ledger

    ledger = ledger_of(args.runs, args.claims)
    console = Console()
    if args.id:
        for each in chosen(ledger, args.id):
            print_claim(console, each)
    elif args.json:
        print(as_json(ledger, args.runs), end="")
    else:
        print_ledger(console, ledger, args.runs)
    return 0


def findings(args: argparse.Namespace) -> int:
    """Write what a maintainer should change in the guide, or hold such a file against a run."""
    from harness.report.claims import ledger_of
    from harness.report.findings import as_markdown, differences

    ledger = ledger_of(args.runs, args.claims)
    if args.check:
        differing = differences(args.check, ledger, args.complete)
        for line in differing:
            print(line)
        if not differing:
            print(f"{args.check}: agrees with {', '.join(map(str, args.runs))}")
        return 1 if differing else 0
    if args.output:
        args.output.write_text(as_markdown(ledger), encoding="utf-8")
        print(f"{args.output}: {ledger.counts}")
    else:
        print(as_markdown(ledger), end="")
    return 0


def clean(args: argparse.Namespace) -> int:
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


def guide(args: argparse.Namespace) -> int:
    """Hold DMS's guide for Podman against the scenarios; 1 where they have parted."""
    from rich.console import Console

    from harness.claims import FILE, load_claims
    from harness.guide import table
    from harness.guide.compare import compare
    from harness.guide.page import read_page
    from harness.report.guide import as_json, print_result

    ours, quoted = args.scenarios / table.FILE, args.scenarios / FILE
    page = read_page(args.file)
    result = compare(page, table.load_table(ours), ours, load_claims(quoted), quoted)
    if args.json:
        print(as_json(result))
    else:
        print_result(Console(highlight=False), result)
    return 1 if result.drift else 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="dms-harness", description=__doc__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, action: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        description = (action.__doc__ or "").strip()
        made = commands.add_parser(name, help=description, description=description)
        made.set_defaults(action=action)
        return made

    add("doctor", doctor).add_argument(
        "--machine", choices=["nspawn", "vagrant"], default="nspawn", help="as pytest's --machine"
    )
    add("setup", setup).add_argument(
        "--mailserver", default="auto", metavar="SOURCE", help="as pytest's --mailserver"
    )
    add("list", list_).add_argument(
        "--scenarios", type=Path, default=Path("scenarios"), metavar="DIR"
    )
    ledger = add("claims", claims)
    ledger.add_argument("--id", action="append", metavar="C14", help="one claim, all its evidence")
    ledger.add_argument("--json", action="store_true", help="for other programs")
    report = add("findings", findings)
    either = report.add_mutually_exclusive_group()
    either.add_argument("--output", type=Path, metavar="FILE", help="write it there, not here")
    either.add_argument(
        "--check", type=Path, metavar="FILE", help="exit 1 where the file's verdicts differ"
    )
    report.add_argument(
        "--complete", action="store_true", help="with --check: compare what was not run as well"
    )
    for command in (ledger, report):
        command.add_argument(
            "runs",
            nargs="*",
            type=Path,
            default=[Path("runs") / "latest"],
            metavar="RUN",
            help="a run's folder; of several, the observations are put together (runs/latest)",
        )
        command.add_argument(
            "--claims", type=Path, default=Path("scenarios") / "claims.toml", metavar="FILE"
        )
    cleaning = add("clean", clean)
    cleaning.add_argument("--cache", action="store_true", help="remove the machine images as well")
    cleaning.add_argument(
        "--machine",
        default="",
        metavar="ssh:[USER@]HOST[:PORT]",
        help="undo what a dead run left on a host of yours, and nothing here",
    )
    guided = add("guide", guide)
    guided.add_argument("file", type=Path, metavar="FILE", help="the guide's page, in Markdown")
    guided.add_argument("--scenarios", type=Path, default=Path("scenarios"), metavar="DIR")
    guided.add_argument("--json", action="store_true", help="for programs")
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; a `HarnessError` is one clear message and exit status 2, Ctrl-C is 130."""
    args = parser().parse_args(argv)
    try:
        status: int = args.action(args)
    except HarnessError as error:
        print(f"dms-harness: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("dms-harness: interrupted; the keeper takes down what was made", file=sys.stderr)
        return 130
    return status


if __name__ == "__main__":
    sys.exit(main())
