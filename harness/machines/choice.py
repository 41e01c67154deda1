"""Which kind of machine a run uses, and why; and where its machines come from."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from harness import doctor
from harness.errors import HostError
from harness.machines import distros
from harness.machines.options import CONSENT, MachineOptions

if TYPE_CHECKING:
    from harness.keeper.client import Keeper
    from harness.machines.stock import Stock
    from harness.mailserver.image import Image, Say

KINDS: Final = ("nspawn", "vagrant", "ssh")
ASKED_FOR: Final = "asked for"


@dataclass(frozen=True, slots=True)
class Choice:
    """A kind of machine and the reason, for the header; and what was asked for."""

    kind: str
    why: str
    options: MachineOptions

    def __str__(self) -> str:
        return f"{self.kind} ({self.why})"

    @property
    def distro(self) -> distros.Distro:
        """Which distribution machines of the embedded kind are."""
        return distros.find(self.options.distro)

    @property
    def with_store(self) -> bool:
        """Whether the keeper has the store of the embedded kind, where that can run here.

        Other kinds use it, where it is there, to fetch images with.
        """
        return self.kind == "nspawn" or not doctor.problems()


def choose_machine(options: MachineOptions) -> Choice:
    """Decide for `--machine`.

    Raises:
        HostError: there is no such kind or distribution, or it cannot run here; every obstacle
            with its remedy, a line each.
    """
    kind, _, host = options.machine.partition(":")
    if options.distro:
        insist_on_distro(options)
    if kind == "ssh":
        if not host:
            raise HostError("--machine ssh: which host?", "--machine ssh:[USER@]HOST[:PORT]")
        if not options.consent:
            raise HostError(
                f"--machine {options.machine}: containers, users, units and firewall rules of that"
                " host are changed, and changed back",
                f"say {CONSENT} where you can afford that",
            )
        return Choice("ssh", host, options)
    match options.machine:
        case "nspawn":
            _insist(doctor.problems(), "the embedded machine")
            return Choice("nspawn", ASKED_FOR, options)
        case "vagrant":
            _insist(_vagrant_problems(options), "a virtual machine of Vagrant's")
            return Choice("vagrant", ASKED_FOR, options)
        case "auto":
            return _auto(options)
    near = difflib.get_close_matches(kind, KINDS, 1)
    raise HostError(
        f"--machine {options.machine}: no such kind of machine",
        f"did you mean {near[0]}?" if near else f"it takes auto, {', '.join(KINDS)}",
    )


def insist_on_distro(options: MachineOptions) -> None:
    """See that the distribution that was asked for exists, and the kind of machine can be it.

    Raises:
        HostError: it does not, or cannot; says what does.
    """
    kind = options.machine.partition(":")[0]
    asked = f"--distro {options.distro}"
    if kind == "vagrant":
        raise HostError(
            f"{asked}: which distribution a virtual machine is, its box decides",
            "leave --distro out, and choose the box by --vagrant-box",
        )
    if kind == "ssh":
        raise HostError(
            f"{asked}: {options.machine} is the distribution that it is",
            "leave --distro out; a virtual machine's is chosen by --vagrant-box",
        )
    distros.find(options.distro)


def _auto(options: MachineOptions) -> Choice:
    """The embedded kind where it can run; otherwise Vagrant where that is quick enough."""
    in_the_way = doctor.problems()
    if options.distro:  # no other kind has it
        _insist(in_the_way, "the embedded machine")
    if not in_the_way:
        root = next(finding for finding in doctor.examine() if finding.what == "root")
        return Choice("nspawn", root.seen, options)
    from harness.machines.vagrant import requirements

    if not _vagrant_problems(options) and requirements.accelerator().good:
        why = f"the embedded machine cannot run: {in_the_way[0].what}: {in_the_way[0].seen}"
        return Choice("vagrant", why, options)
    _insist(in_the_way, "the embedded machine")
    raise AssertionError


def _vagrant_problems(options: MachineOptions) -> list[doctor.Finding]:
    from harness.machines.vagrant import requirements

    return [finding for finding in requirements.examine(options.provider) if not finding.good]


def _insist(problems: Sequence[doctor.Finding], what: str) -> None:
    if problems:
        raise HostError(
            f"{what} cannot run on this computer:\n"
            + "\n".join(f"  {p.what}: {p.seen} → {p.remedy}" for p in problems),
            "`dms-harness doctor` shows everything that is looked at",
        )


def stock_opener(choice: Choice, image: Image, say: Say) -> Callable[[Keeper], Stock]:
    """What finds or makes the machines of the kind that was chosen.

    Args:
        choice: the kind.
        image: the mail server image that its machines have.
        say: tells the user what is being done.
    """
    match choice.kind:
        case "vagrant":
            from harness.machines.vagrant.stock import VagrantStock

            return lambda keeper: VagrantStock(keeper, image, choice.options, say)
        case "ssh":
            from harness.machines.ssh.stock import SshStock

            return lambda keeper: SshStock(keeper, image, choice.why, say)
    from harness.machines import golden

    return lambda keeper: golden.ensure(keeper, image, say, choice.distro)
