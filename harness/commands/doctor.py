"""`dms-harness doctor`: whether machines of a kind can be made here."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from harness.commands.options import add_json

if TYPE_CHECKING:
    from harness.doctor import Finding

EXIT = {"0": "nothing is missing", "N": "so many things are"}
JSON = {
    "machine": "the kind of machine that was asked about",
    "distro": "which distribution it would be; empty of a virtual machine",
    "problems": "how many findings are not good",
    "findings": "what was looked at: `what`, `good`, `seen`, and `remedy`, empty where it is good",
    "kvm": "the same of KVM; only of a virtual machine, and where nothing else is missing",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which kind of machine."""
    parser.add_argument(
        "--machine",
        choices=["nspawn", "vagrant"],
        default="nspawn",
        help="the kind of machine, as pytest's --machine (default: %(default)s)",
    )
    parser.add_argument(
        "--distro",
        default="",
        metavar="NAME",
        help="which distribution an nspawn machine would be, as pytest's --distro (default:"
        " debian-13)",
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Look at what a kind of machine needs, with a remedy for what is missing."""
    from harness.doctor import examine
    from harness.machines.choice import insist_on_distro
    from harness.machines.distros import find
    from harness.machines.options import MachineOptions
    from harness.machines.vagrant import requirements
    from harness.report.as_json import print_json

    of_vagrant = args.machine == "vagrant"
    if args.distro:
        insist_on_distro(MachineOptions(machine=args.machine, distro=args.distro))
    distro = find(args.distro)
    findings = requirements.examine("") if of_vagrant else examine(True, distro)
    if args.json:
        seen = list(findings)
        problems = sum(not finding.good for finding in seen)
        content: dict[str, Any] = {
            "machine": args.machine,
            "distro": "" if of_vagrant else distro.name,
            "problems": problems,
            "findings": [_plain(finding) for finding in seen],
        }
        if of_vagrant and not problems:
            content["kvm"] = _plain(requirements.accelerator())
        print_json("doctor", content)
        return problems
    bad = 0
    for finding in findings:
        bad += not finding.good
        mark = "ok     " if finding.good else "PROBLEM"
        print(f"{mark}  {finding.what:18} {finding.seen}", flush=True)
        if not finding.good:
            print(f"         {'':18} → {finding.remedy}")
    what = "A virtual machine of Vagrant's" if of_vagrant else f"The embedded machine, {distro},"
    print(f"\n{what} can run here." if not bad else f"\n{bad} to mend.")
    if of_vagrant and not bad:
        kvm = requirements.accelerator()
        print(f"KVM: {kvm.seen}" + ("" if kvm.good else f" → {kvm.remedy}"))
    return bad


def _plain(finding: Finding) -> dict[str, Any]:
    """What was looked at, for other programs; a remedy only where it takes one."""
    return {
        "what": finding.what,
        "good": finding.good,
        "seen": finding.seen,
        "remedy": "" if finding.good else finding.remedy,
    }
