"""`dms-harness doctor`: whether machines of a kind can be made here."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which kind of machine."""
    parser.add_argument(
        "--machine", choices=["nspawn", "vagrant"], default="nspawn", help="as pytest's --machine"
    )


def run(args: argparse.Namespace) -> int:
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
