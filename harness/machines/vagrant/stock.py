"""Where Vagrant's machines come from: one virtual machine for each process of a run.

    up, provision, load the image ──► snapshot ──► restore, give it its network ──► deployment
                                          ▲                                             │
                                          └─────────────────────────────────────────────┘

The snapshot has the machine's memory in it, so that what is restored runs already. Where a provider
has no snapshots, everything that a deployment changed is changed back, and the machine compared.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from harness import cache
from harness.errors import HarnessError, HostError, MachineError
from harness.facts import of_kernel
from harness.keeper.client import Keeper
from harness.machines import golden
from harness.machines.base import BaseMachine
from harness.machines.options import MachineOptions
from harness.machines.shell import Login
from harness.machines.stock import USUAL, Network, made_of
from harness.machines.vagrant import network as guest_network
from harness.machines.vagrant.accelerator import kvm_boots
from harness.machines.vagrant.box import find_box
from harness.machines.vagrant.command import DO_WITHIN, NAME, Vagrant
from harness.machines.vagrant.furnish import furnish, log_everybody_out
from harness.machines.vagrant.machine import Management, VagrantMachine
from harness.machines.vagrant.requirements import choose_provider
from harness.machines.vagrant.tear_down import TearDown
from harness.mailserver.image import NAME as NAME_OF_IMAGE
from harness.mailserver.image import Image, Say
from harness.memory import budget_of
from harness.patience import stretch
from harness.room import Place, Room

SNAPSHOT: Final = "ready"
NO_SNAPSHOTS: Final = "support snapshots"
"""What Vagrant says, with a "doesn't", where a provider has none."""
SLOWNESS: Final = 8.0
"""How many times as long everything may take without an accelerator."""
UP_WITHIN: Final = 900.0
"""Seconds for `vagrant up`, the download of a box not included; 45 to 100 without KVM."""
DOWNLOAD_WITHIN: Final = 3600.0
OVERHEAD: Final = 200
"""MB that QEMU takes beside the memory of its machine."""


class VagrantStock:
    """The virtual machine of one process.

    Args:
        keeper: owns it.
        image: what is loaded into it.
        options: what the user asked for.
        say: tells the user what is being done.

    Raises:
        HarnessError: there is no such box, or the image cannot be had.
    """

    limit = 1
    proof = ""

    seconds: dict[str, float]
    """What making it took: `up`, `provision`, `image`, `snapshot`."""

    def __init__(self, keeper: Keeper, image: Image, options: MachineOptions, say: Say) -> None:
        self._keeper = keeper
        self._image = image
        self._options = options
        self._say = say
        self._login = cache.login(keeper.cache)
        self._facts: dict[str, str] = {}
        self.seconds = {}
        self._free = threading.Semaphore(1)
        self._room = Room(keeper.cache, budget_of(options.memory_budget))
        self._room.check(options.memory + OVERHEAD)
        self._place: Place | None = None
        self._is_fresh = False
        self._tear_down: TearDown | None = None
        self._network: Network | None = None
        self._vagrant: Vagrant | None = None
        self._management: Management | None = None
        self._provider = choose_provider(options.provider)
        self.accelerator = self._choose_accelerator()
        stretch(SLOWNESS if self.accelerator == "tcg" else 1.0)
        self._box = find_box(options.box, keeper, image, say)

    def _choose_accelerator(self) -> str:
        if self._options.accelerator in ("kvm", "tcg"):
            return self._options.accelerator
        if self._options.accelerator != "auto":
            raise HostError(
                f"--vagrant-accelerator {self._options.accelerator}: no such accelerator",
                "it takes auto, kvm or tcg",
            )
        boots, seen = kvm_boots()
        if not boots:
            self._say(f"machine: no KVM ({seen}): it works, about ten times as slowly")
        return "kvm" if boots else "tcg"

    @property
    def facts(self) -> Mapping[str, str]:
        """What the virtual machine is made of; empty before `prepare`."""
        return self._facts

    # -- up ------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Bring the virtual machine up, provision it, load the image, and take the snapshot.

        Raises:
            HarnessError: it cannot be done; nothing is left then.
        """
        if self._facts:
            return
        options = self._options
        settings = {
            "BOX": self._box.name,
            "BOX_URL": self._box.url,
            "CPUS": str(options.cpus),
            "MEMORY": str(options.memory),
            "ACCELERATOR": self.accelerator,
        }
        # It has its memory until it is closed, whichever deployment uses it.
        place = self._place = self._room.ask()
        place.wait(
            options.memory + OVERHEAD,
            lambda why: self._say(f"machine: {why}"),
            self._keeper.is_gone,
        )
        vagrant = self._vagrant = Vagrant(self._keeper, settings, self._say)
        try:
            self._facts = self._bring_up(vagrant)
            place.settle()
        except BaseException:
            self.close()
            raise

    def _bring_up(self, vagrant: Vagrant) -> dict[str, str]:
        self._say(f"machine: vagrant up, box {self._box.name}, {self.accelerator}")
        within = UP_WITHIN + (0 if self._box.is_here else DOWNLOAD_WITHIN)
        waiting = "another process brings a virtual machine up; waiting for it"
        # Vagrant and libvirt add a box without looking whether somebody else is adding it.
        alone = cache.exclusive(self._keeper.cache, "vagrant-up", lambda: self._say(waiting))
        with alone, self._clock("up"):
            self._up(vagrant, within)
        self._say(f"machine: up after {self.seconds['up']:.0f} s; provisioning")
        with self._clock("provision"):
            machine = self._management = furnish(vagrant, self._login, self._say)
        with self._clock("image"):
            self._load_image(machine)
        facts = {**made_of(machine), **of_kernel(machine)}
        self._login = Login(self._login.private_key, facts["host_key"])
        log_everybody_out(machine)
        with self._clock("snapshot"):
            self._make_resettable(vagrant, machine)
        self._is_fresh = True
        self._network = None
        self._say(f"machine: ready after {sum(self.seconds.values()):.0f} s")
        return facts

    def _make_resettable(self, vagrant: Vagrant, machine: Management) -> None:
        """Take a snapshot; where the provider has none, remember how things are."""
        self._say("machine: taking the snapshot")
        try:
            vagrant.run("snapshot", "save", SNAPSHOT)
        except MachineError as error:
            if NO_SNAPSHOTS not in error.message:
                raise
            self._say("machine: this provider has no snapshots: each deployment is taken back")
            self._tear_down = TearDown(machine)

    def _load_image(self, machine: Management) -> None:
        """Load the image, unless the box has it already."""
        users = ("root", machine.user)
        if all(machine.run(f"podman image exists {NAME_OF_IMAGE}", u).status == 0 for u in users):
            return
        keeper, say = self._keeper, self._say
        golden.prepare_image(keeper, self._image, say)
        self._image.load(machine, say)

    def _up(self, vagrant: Vagrant, within: float) -> None:
        up = ("up", f"--provider={self._provider}", "--no-provision")
        try:
            vagrant.run(*up, within=within)
        except MachineError as error:
            # A sector of ours may boot where libvirt, or a whole kernel, does not.
            tried = self.accelerator == "kvm" and self._options.accelerator == "auto"
            if not tried or "KVM" not in error.message:
                raise
            self._say("machine: KVM does not work with libvirt; once more without, slowly")
            vagrant.run("destroy", "--force")
            self.accelerator = vagrant.settings["ACCELERATOR"] = "tcg"
            stretch(SLOWNESS)
            vagrant.run(*up, within=within)

    @contextmanager
    def _clock(self, what: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.seconds[what] = time.monotonic() - started

    # -- machines ------------------------------------------------------------------------------

    def fork(self, name: str, network: Network = USUAL) -> VagrantMachine:
        """The virtual machine as it was when the snapshot was taken, once nobody else has it."""
        return self._seen_as(name, network, self._take, self._give_back)

    def _seen_as(
        self,
        name: str,
        network: Network,
        take: Callable[[Network], None],
        give_back: Callable[[VagrantMachine], None],
    ) -> VagrantMachine:
        assert self._facts, "not prepared"
        return VagrantMachine(
            self._keeper,
            name,
            NAME,
            self._login,
            self._facts,
            golden.USER,
            network,
            take,
            give_back,
            is_known=self._provider == "libvirt",
        )

    def _take(self, network: Network) -> None:
        self._free.acquire()
        try:
            machine, vagrant = self._reset()
            machine.wait_until_answering(DO_WITHIN)
            # Its clock stood still meanwhile.
            machine.succeed(f"date --set=@{time.time():.3f} >/dev/null")
            machine.write_file(guest_network.SCRIPT, guest_network.script(network, vagrant.mac))
            # It takes the very network away that this command comes over.
            machine.succeed(f"systemctl restart --no-block {guest_network.UNIT}")
            machine.shell.forget()
            self._network = network
        except BaseException:
            self._free.release()
            raise

    def _reset(self) -> tuple[BaseMachine, Vagrant]:
        """The machine as it was at first, and over whichever network it is reached now."""
        vagrant, management = self._vagrant, self._management
        assert vagrant is not None
        assert management is not None
        was_fresh, self._is_fresh = self._is_fresh, False
        if self._tear_down is None:
            if not was_fresh:
                vagrant.run("snapshot", "restore", SNAPSHOT, "--no-provision")
            management.shell.forget()
            return management, vagrant
        if self._network is None:
            return management, vagrant
        return self._seen_as("vm", self._network, _nothing, _nothing), vagrant

    def _give_back(self, machine: VagrantMachine) -> None:
        try:
            if self._tear_down is not None and self._vagrant is not None:
                self._take_back(self._tear_down, self._vagrant, machine)
        finally:
            self._free.release()

    def _take_back(self, tear_down: TearDown, vagrant: Vagrant, machine: VagrantMachine) -> None:
        try:
            tear_down.put_back(machine, self._say)
        except HarnessError as error:
            # Whatever the deployment has done to it: no other one may find it so.
            self._say(f"machine: {error.message}; making it anew")
            vagrant.run("destroy", "--force")
            self._tear_down = None
            self._facts = self._bring_up(vagrant)

    def close(self) -> list[str]:
        """Destroy the virtual machine, and what Vagrant knows of it; what is left, in words."""
        vagrant, self._vagrant = self._vagrant, None
        try:
            if vagrant is None:
                return []
            if self._management is not None:
                self._management.destroy()
            return vagrant.destroy()
        finally:
            if self._place is not None:
                self._place.leave()


def _nothing(_: object) -> None:
    """For a machine that is only looked at."""
