"""What a user says about the machines of a run, at a command line or in the environment."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from harness.memory import ENVIRONMENT as BUDGET

CONSENT: Final = "--i-know-this-changes-the-host"
ENVIRONMENT: Final = "DMS_VAGRANT_"
"""What the variables begin with that give the defaults of the options `--vagrant-…`."""


@dataclass(frozen=True, slots=True)
class MachineOptions:
    """What was asked for.

    Attributes:
        machine: `auto`, `nspawn`, `vagrant`, or `ssh:[USER@]HOST[:PORT]`.
        distro: which distribution the embedded kind is, see `harness.machines.distros`; empty for
            the default one.
        box: a box by the name of its distribution (`fedora-44`), or by Vagrant's own.
        provider: `libvirt`, `virtualbox`, `qemu`, or empty for the first that is there.
        accelerator: `auto`, `kvm` or `tcg`.
        cpus: of a virtual machine.
        memory: of a virtual machine, MB.
        memory_budget: MB that all machines of all runs may take together; 0 for what is available.
        consent: whether the user knows that a host of theirs is changed.
    """

    machine: str = "auto"
    distro: str = ""
    box: str = "fedora-44"
    provider: str = ""
    accelerator: str = "auto"
    cpus: int = 2
    memory: int = 2048
    memory_budget: int = 0
    consent: bool = False


def add_options(add: Callable[..., object]) -> None:
    """Add the options that say what to deploy on.

    Args:
        add: adds one, as `argparse` and pytest's option groups do.
    """
    default = MachineOptions()
    add(
        "--machine",
        default=default.machine,
        metavar="KIND",
        help="what to deploy on: nspawn, a systemd-nspawn machine on this computer; vagrant, a"
        " virtual machine; ssh:[USER@]HOST[:PORT], a host that you have; auto takes what can run"
        " here (default)",
    )
    add(
        "--distro",
        default=default.distro,
        metavar="NAME",
        help="which distribution an nspawn machine is: debian-12, debian-13 (default),"
        " debian-forky, or rootfs:PATH, your own root file system as a tar file or a folder",
    )
    for name, metavar, text in (
        ("box", "BOX", f"distribution or box, default {default.box}"),
        ("provider", "NAME", "libvirt, virtualbox or qemu; default: the first that is there"),
        ("accelerator", "NAME", "kvm, tcg (without any, slow), or auto, which tries (default)"),
        ("cpus", "N", f"processors of a virtual machine, default {default.cpus}"),
        ("memory", "MB", f"memory of a virtual machine, default {default.memory}"),
    ):
        value = os.environ.get(f"{ENVIRONMENT}{name.upper()}", getattr(default, name))
        add(
            f"--vagrant-{name}",
            default=value,
            type=type(getattr(default, name)),
            metavar=metavar,
            help=f"{text}; or ${ENVIRONMENT}{name.upper()}",
        )
    add(
        "--memory-budget",
        default=default.memory_budget,
        type=int,
        metavar="MB",
        help="memory that all machines together may take, of other runs with the same cache too;"
        f" further ones wait (default: what is available; or ${BUDGET})",
    )
    add(
        CONSENT,
        action="store_true",
        dest="consent",
        help="needed with --machine ssh:…: containers, users, units and firewall rules of that"
        " host are changed, and changed back",
    )


def words_of(options: MachineOptions) -> list[str]:
    """The words of a command line that ask for this."""
    default = MachineOptions()
    words = [] if options.machine == default.machine else [f"--machine={options.machine}"]
    words += [f"--distro={options.distro}"] if options.distro else []
    if options.machine.startswith("ssh"):
        return [*words, CONSENT]
    words += [
        f"--vagrant-{name}={getattr(options, name)}"
        for name in ("box", "provider", "accelerator", "cpus", "memory")
        if getattr(options, name) != getattr(default, name)
    ]
    return words


def options_of(given: argparse.Namespace) -> MachineOptions:
    """What was asked for, as the command line was parsed."""
    words = ("box", "provider", "accelerator", "cpus", "memory")
    return MachineOptions(
        machine=given.machine,
        distro=given.distro,
        memory_budget=given.memory_budget,
        consent=given.consent,
        **{word: getattr(given, f"vagrant_{word}") for word in words},
    )
