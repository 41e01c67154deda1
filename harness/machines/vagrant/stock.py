"""Where Vagrant's machines come from: one virtual machine for each process of a run.

    up, provision, load the image ──► snapshot ──► restore, give it its network ──► deployment
                                          ▲                                             │
                                          └─────────────────────────────────────────────┘

The snapshot has the machine's memory in it, so that what is restored runs already.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, get_args

from harness import addresses, cache
from harness.errors import HarnessError, HostError, MachineError
from harness.keeper.client import Keeper
from harness.machines import golden
from harness.machines.nspawn import HOSTNAME
from harness.machines.options import ENVIRONMENT, MachineOptions
from harness.machines.shell import Login
from harness.machines.stock import USUAL, Network, made_of
from harness.machines.vagrant import network as guest_network
from harness.machines.vagrant.accelerator import kvm_boots
from harness.machines.vagrant.box import find_box
from harness.machines.vagrant.machine import Management, VagrantMachine
from harness.machines.vagrant.requirements import choose_provider
from harness.machines.vagrant.trouble import explain
from harness.mailserver.image import NAME as NAME_OF_IMAGE
from harness.mailserver.image import Image, Say
from harness.patience import stretch
from harness.vantage import Family

FOLDER: Final = Path(__file__).parents[3] / "vagrant"
"""Where the Vagrantfile lies."""
SNAPSHOT: Final = "ready"
NAME: Final = "vm"
"""The virtual machine's name within the keeper."""
SLOWNESS: Final = 8.0
"""How many times as long everything may take without an accelerator."""
UP_WITHIN: Final = 900.0
"""Seconds for `vagrant up`, the download of a box not included; 45 to 100 without KVM."""
DOWNLOAD_WITHIN: Final = 3600.0
DO_WITHIN: Final = 300.0
"""Seconds for any other of Vagrant's commands."""


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
        self._is_fresh = False
        self._outside: dict[str, str] | None = None
        self._management: Management | None = None
        self._provider = choose_provider(options.provider)
        self._accelerator = self._choose_accelerator()
        stretch(SLOWNESS if self._accelerator == "tcg" else 1.0)
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

    # -- Vagrant -------------------------------------------------------------------------------

    def _environment(self) -> dict[str, str]:
        """Everything that Vagrant is told."""
        outside = self._outside
        assert outside is not None
        own = {
            "NAME": outside["domain"],
            "BRIDGE": outside["bridge"],
            "MAC": self._mac,
            "CONSOLE": outside["console"],
            "BOX": self._box.name,
            "BOX_URL": self._box.url,
            "CPUS": str(self._options.cpus),
            "MEMORY": str(self._options.memory),
            "ACCELERATOR": self._accelerator,
        }
        kept = {
            name: value
            for name, value in os.environ.items()
            if name in ("HOME", "PATH", "USER", "LOGNAME", "LANG", "VAGRANT_HOME", "TMPDIR")
            or name.lower().endswith("_proxy")
        }
        return {
            **kept,
            **{f"{ENVIRONMENT}{name}": value for name, value in own.items()},
            "VAGRANT_CWD": str(FOLDER),
            "VAGRANT_DOTFILE_PATH": str(self._dotfiles),
            "VAGRANT_NO_COLOR": "1",
            "VAGRANT_CHECKPOINT_DISABLE": "1",
            "VAGRANT_BOX_UPDATE_CHECK_DISABLE": "1",
        }

    @property
    def _mac(self) -> str:
        """The address of the interface that leads to the outside, as QEMU's own begin."""
        assert self._outside is not None
        digest = hashlib.sha256(self._outside["domain"].encode()).hexdigest()
        return f"52:54:00:{digest[:2]}:{digest[2:4]}:{digest[4:6]}"

    @property
    def _dotfiles(self) -> Path:
        return self._keeper.socket.parent / "vagrant"

    @property
    def log(self) -> Path:
        """Everything that Vagrant has said."""
        return self._dotfiles / "vagrant.log"

    def _vagrant(self, *words: str, within: float = DO_WITHIN) -> list[str]:
        """Run one of Vagrant's commands; return the last lines that it wrote.

        Raises:
            MachineError: it failed, with the remedy where that is known.
        """
        try:
            last: list[str] = self._keeper.call(
                "vagrant",
                progress=self._tell,
                name=NAME,
                command=["vagrant", *words, "--no-tty"],
                environment=self._environment(),
                log=str(self.log),
                within=within,
            )["last"]
        except OSError as error:
            meaning, remedy = explain(str(error)) or ("", "")
            console = "\n".join(self._console().splitlines()[-15:])
            raise MachineError(
                f"vagrant {words[0]} failed{': ' + meaning if meaning else ''}\n{error}",
                remedy + (f"\nthe end of its console:\n{console}" if console else ""),
            ) from error
        return last

    def _tell(self, line: str) -> None:
        """Pass on what Vagrant says, but not its list of the machine's settings."""
        said = line.partition(": ")[2].strip()
        if said and not said.startswith("-- "):
            self._say(f"machine: {said}")

    def _console(self) -> str:
        text: str = self._keeper.call("read_console", name=NAME)["text"]
        return text

    # -- up ------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Bring the virtual machine up, provision it, load the image, and take the snapshot.

        Raises:
            HarnessError: it cannot be done; nothing is left then.
        """
        if self._facts:
            return
        every: tuple[Family, ...] = get_args(Family)
        clients = addresses.CLIENTS
        try:
            self._outside = self._keeper.call(
                "open_outside",
                name=NAME,
                lan=[f"{addresses.GATEWAY[f]}/{addresses.PREFIX[f]}" for f in every]
                + [
                    f"{client.addresses[f]}/{addresses.PREFIX[f]}"
                    for client in clients
                    if client.on_lan
                    for f in every
                ],
                far=[
                    each[f]
                    for each in (addresses.DNS, addresses.EXCHANGER, addresses.SMART_HOST)
                    for f in every
                ]
                + [client.addresses[f] for client in clients if not client.on_lan for f in every],
                second_lan=[
                    f"{addresses.SECOND_NEIGHBOUR[f]}/{addresses.SECOND_PREFIX[f]}" for f in every
                ],
            )
        except OSError as error:
            raise HostError(
                f"the virtual machine's network cannot be made: {error}",
                "see `dms-harness doctor --machine vagrant`",
            ) from error
        self._dotfiles.mkdir(exist_ok=True)
        try:
            self._facts = self._bring_up()
        except BaseException:
            self.close()
            raise

    def _bring_up(self) -> dict[str, str]:
        self._say(f"machine: vagrant up, box {self._box.name}, {self._accelerator}")
        within = UP_WITHIN + (0 if self._box.is_here else DOWNLOAD_WITHIN)
        with self._clock("up"):
            self._up(within)
        self._say(f"machine: up after {self.seconds['up']:.0f} s; provisioning")
        with self._clock("provision"):
            machine = self._management = self._provision()
        with self._clock("image"):
            self._load_image(machine)
        facts = made_of(machine)
        self._login = Login(self._login.private_key, facts["host_key"])
        machine.shell.forget()
        self._say("machine: taking the snapshot")
        with self._clock("snapshot"):
            self._vagrant("snapshot", "save", SNAPSHOT)
        self._is_fresh = True
        self._say(f"machine: ready after {sum(self.seconds.values()):.0f} s")
        return facts

    def _load_image(self, machine: Management) -> None:
        """Load the image, unless the box has it already."""
        users = ("root", machine.user)
        if all(machine.run(f"podman image exists {NAME_OF_IMAGE}", u).status == 0 for u in users):
            return
        keeper, say = self._keeper, self._say
        with cache.exclusive(keeper.cache, "golden", lambda: say("another run builds an image")):
            self._image.prepare(
                keeper, say, lambda: golden.ensure_rootfs(keeper, cache.login(keeper.cache), say)
            )
        self._image.load(machine, say)

    def _up(self, within: float) -> None:
        up = ("up", f"--provider={self._provider}", "--no-provision")
        try:
            self._vagrant(*up, within=within)
        except MachineError as error:
            # A sector of ours may boot where libvirt, or a whole kernel, does not.
            tried = self._accelerator == "kvm" and self._options.accelerator == "auto"
            if not tried or "KVM" not in error.message:
                raise
            self._say("machine: KVM does not work with libvirt; once more without, slowly")
            self._vagrant("destroy", "--force")
            self._accelerator = "tcg"
            stretch(SLOWNESS)
            self._vagrant(*up, within=within)

    @contextmanager
    def _clock(self, what: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.seconds[what] = time.monotonic() - started

    def _provision(self) -> Management:
        machine = self._log_in()
        machine.wait_until_up(within=DO_WITHIN)
        # First: nobody is to wait until the interface is up that nobody has told what it is for.
        for path, text in guest_network.FILES.items():
            machine.write_file(path, text)
        machine.succeed(
            f"systemctl daemon-reload && systemctl enable {guest_network.UNIT}"
            f" && hostnamectl set-hostname {HOSTNAME}"
        )
        self._free_first_uid(machine)
        golden.provision(machine, self._say)
        return machine

    def _free_first_uid(self, machine: Management) -> None:
        """Let the user who runs containers be the first of the host's, as the guide's reader is.

        Other boxes than ours give that place, 1000 and its sub-ids, to Vagrant's own account.
        """
        machine.succeed(
            "! id vagrant >/dev/null 2>&1 || [ $(id -u vagrant) -lt 1000 ] || {"
            " loginctl terminate-user vagrant || :;"
            " while pgrep -u vagrant >/dev/null; do pkill -KILL -u vagrant; done;"
            " groupmod --gid 900 vagrant && usermod --uid 900 --gid 900 vagrant"
            " && sed -i /^vagrant:/d /etc/subuid /etc/subgid; }"
        )

    def _log_in(self) -> Management:
        """Root's way in, by the one that Vagrant has."""
        settings = _ssh_settings(self._vagrant("ssh-config"))
        where = settings["HostName"], int(settings["Port"])
        key, *others = (Path(each.strip('"')) for each in settings["IdentityFile"].splitlines())
        login = Login(key, None, tuple(others))
        first = Management("vm", login, where, self._console, settings["User"])
        public = f"{self._login.public_key}\n".encode()
        first.succeed(
            "sudo install -d -m 700 /root/.ssh && sudo tee /root/.ssh/authorized_keys >/dev/null"
            " && sudo chmod 600 /root/.ssh/authorized_keys"
            " && if command -v restorecon >/dev/null; then sudo restorecon -R /root/.ssh; fi",
            settings["User"],
            stdin=public,
        )
        first.destroy()
        return Management("vm", self._login, where, self._console, golden.USER)

    # -- machines ------------------------------------------------------------------------------

    def fork(self, name: str, network: Network = USUAL) -> VagrantMachine:
        """The virtual machine as it was when the snapshot was taken, once nobody else has it."""
        assert self._facts, "not prepared"
        return VagrantMachine(
            self._keeper,
            name,
            NAME,
            self._login,
            self._facts,
            golden.USER,
            network,
            self._take,
            self._free.release,
            is_known=self._provider == "libvirt",
        )

    def _take(self, network: Network) -> None:
        self._free.acquire()
        try:
            if not self._is_fresh:
                self._vagrant("snapshot", "restore", SNAPSHOT, "--no-provision")
            self._is_fresh = False
            machine = self._management
            assert machine is not None
            machine.shell.forget()
            machine.wait_until_answering(DO_WITHIN)
            # Its clock stood still meanwhile.
            machine.succeed(f"date --set=@{time.time():.3f} >/dev/null")
            machine.write_file(guest_network.SCRIPT, guest_network.script(network, self._mac))
            # It takes the very network away that this command comes over.
            machine.succeed(f"systemctl start --no-block {guest_network.UNIT}")
            machine.shell.forget()
        except BaseException:
            self._free.release()
            raise

    def close(self) -> list[str]:
        """Destroy the virtual machine, and what Vagrant knows of it; what is left, in words."""
        if self._outside is None:
            return []
        left: list[str] = []
        if self._management is not None:
            self._management.destroy()
        try:
            self._vagrant("destroy", "--force")
        except HarnessError as error:
            self._say(f"machine: {error.message.splitlines()[0]}; removing it without Vagrant")
        try:
            left = self._keeper.call("close_outside", name=NAME)["left"]
        except OSError as error:
            left = [f"virtual machine {self._outside['domain']}: {error}"]
        self._outside = None
        return left


def _ssh_settings(lines: Sequence[str]) -> dict[str, str]:
    """One host's settings of what `vagrant ssh-config` prints; what comes twice has two lines."""
    settings: dict[str, str] = {}
    for line in lines:
        name, _, value = line.strip().partition(" ")
        settings[name] = f"{settings[name]}\n{value}" if name in settings else value
    return settings
