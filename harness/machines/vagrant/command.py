"""Vagrant's commands for one virtual machine, run by the keeper; and its outside."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, get_args

from harness import addresses
from harness.errors import HarnessError, HostError, MachineError
from harness.keeper.client import Keeper
from harness.machines.options import ENVIRONMENT
from harness.machines.vagrant.trouble import explain
from harness.mailserver.image import Say
from harness.vantage import Family

FOLDER: Final = Path(__file__).parents[3] / "vagrant"
"""Where the Vagrantfile lies."""
NAME: Final = "vm"
"""The virtual machine's name within the keeper."""
DO_WITHIN: Final = 300.0
"""Seconds for any of Vagrant's commands but `up`."""
KEPT: Final = ("HOME", "PATH", "USER", "LOGNAME", "LANG", "VAGRANT_HOME", "TMPDIR")
"""Variables of the user's that Vagrant gets, beside those of proxies."""


class Vagrant:
    """One virtual machine, as Vagrant knows it.

    Args:
        keeper: writes it down, runs Vagrant, and removes what is left.
        settings: variables of the Vagrantfile's, without `DMS_VAGRANT_`; see vagrant/README.md.
        say: tells the user what is being done.

    Raises:
        HostError: its outside cannot be made.
    """

    def __init__(self, keeper: Keeper, settings: Mapping[str, str], say: Say) -> None:
        self._keeper = keeper
        self._say = say
        self._dotfiles = keeper.socket.parent / "vagrant"
        self._dotfiles.mkdir(exist_ok=True)
        outside = self._open_outside()
        self.domain = outside["domain"]
        digest = hashlib.sha256(self.domain.encode()).hexdigest()
        # As QEMU's own begin.
        self.mac = f"52:54:00:{digest[:2]}:{digest[2:4]}:{digest[4:6]}"
        self.settings = {
            **settings,
            "NAME": self.domain,
            "BRIDGE": outside["bridge"],
            "CONSOLE": outside["console"],
            "MAC": self.mac,
        }

    def _open_outside(self) -> dict[str, str]:
        """Have the keeper write the machine down, and make the network that it will be on."""
        outside = addresses.outside_of(get_args(Family))
        try:
            opened: dict[str, str] = self._keeper.call(
                "open_outside",
                name=NAME,
                lan=outside.lan,
                far=outside.far,
                second_lan=outside.second_lan,
            )
        except OSError as error:
            raise HostError(
                f"the virtual machine's network cannot be made: {error}",
                "see `dms-harness doctor --machine vagrant`",
            ) from error
        return opened

    def _environment(self) -> dict[str, str]:
        """Everything that Vagrant is told."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if name in KEPT or name.lower().endswith("_proxy")
        }
        return {
            **kept,
            **{f"{ENVIRONMENT}{name}": value for name, value in self.settings.items()},
            "VAGRANT_CWD": str(FOLDER),
            "VAGRANT_DOTFILE_PATH": str(self._dotfiles),
            "VAGRANT_NO_COLOR": "1",
            "VAGRANT_CHECKPOINT_DISABLE": "1",
            "VAGRANT_BOX_UPDATE_CHECK_DISABLE": "1",
        }

    def run(self, *words: str, within: float = DO_WITHIN) -> list[str]:
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
                log=str(self._dotfiles / "vagrant.log"),
                within=within,
            )["last"]
        except OSError as error:
            meaning, remedy = explain(str(error)) or ("", "")
            console = "\n".join(self.console().splitlines()[-15:])
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

    def console(self) -> str:
        """What the machine has written on its serial console."""
        text: str = self._keeper.call("read_console", name=NAME)["text"]
        return text

    def ssh_settings(self) -> dict[str, str]:
        """What `vagrant ssh-config` says."""
        return ssh_settings(self.run("ssh-config"))

    def destroy(self) -> list[str]:
        """Destroy the machine and its outside, without Vagrant where need be; what is left."""
        try:
            self.run("destroy", "--force")
        except HarnessError as error:
            self._say(f"machine: {error.message.splitlines()[0]}; removing it without Vagrant")
        try:
            left: list[str] = self._keeper.call("close_outside", name=NAME)["left"]
        except OSError as error:
            left = [f"virtual machine {self.domain}: {error}"]
        return left


def ssh_settings(lines: Sequence[str]) -> dict[str, str]:
    """One host's settings of what `vagrant ssh-config` prints; what comes twice has two lines."""
    settings: dict[str, str] = {}
    for line in lines:
        name, _, value = line.strip().partition(" ")
        settings[name] = f"{settings[name]}\n{value}" if name in settings else value
    return settings
