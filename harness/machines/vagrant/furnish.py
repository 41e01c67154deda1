"""A virtual machine that is up becomes a machine like all others."""

from __future__ import annotations

import shlex
from pathlib import Path

from harness.loop import wait_for
from harness.machines import golden
from harness.machines.nspawn import HOSTNAME
from harness.machines.shell import Login
from harness.machines.vagrant import network
from harness.machines.vagrant.command import DO_WITHIN, Vagrant
from harness.machines.vagrant.machine import Management
from harness.mailserver.image import Say


def furnish(vagrant: Vagrant, login: Login, say: Say) -> Management:
    """Let root in with the harness's own key, and provision the machine.

    Returns:
        The machine over Vagrant's network.

    Raises:
        HarnessError: it cannot be done.
    """
    machine = _log_in(vagrant, login)
    machine.wait_until_up(within=DO_WITHIN)
    # First: nobody is to wait until the interface is up that nobody has told what it is for.
    for path, text in network.FILES.items():
        machine.write_file(path, text)
    machine.succeed(
        f"systemctl daemon-reload && systemctl enable {network.UNIT}"
        f" && hostnamectl set-hostname {HOSTNAME}"
    )
    _free_first_uid(machine)
    golden.provision(machine, say)
    return machine


def log_everybody_out(machine: Management) -> None:
    """End all sessions but root's: in a snapshot they would last for ever.

    Whoever is logged in there when it is restored has nobody any more who could log out.

    Raises:
        MachineError: somebody's last process does not end.
    """
    user = shlex.quote(machine.user)
    wait_for(machine.shell.log_out(machine.user))
    machine.succeed(
        f"loginctl terminate-user {user} 2>/dev/null || :;"
        f" while loginctl show-user {user} >/dev/null 2>&1 || pgrep -u {user} >/dev/null;"
        " do sleep 0.1; done"
    )
    machine.shell.forget()


def _log_in(vagrant: Vagrant, login: Login) -> Management:
    """Root's way in, by the one that Vagrant has."""
    settings = vagrant.ssh_settings()
    where = settings["HostName"], int(settings["Port"])
    key, *others = (Path(each.strip('"')) for each in settings["IdentityFile"].splitlines())
    by_vagrant = Login(key, None, tuple(others))
    first = Management("vm", by_vagrant, where, vagrant.console, settings["User"])
    first.succeed(
        "sudo install -d -m 700 /root/.ssh && sudo tee /root/.ssh/authorized_keys >/dev/null"
        " && sudo chmod 600 /root/.ssh/authorized_keys"
        " && if command -v restorecon >/dev/null; then sudo restorecon -R /root/.ssh; fi",
        settings["User"],
        stdin=f"{login.public_key}\n".encode(),
    )
    first.destroy()
    return Management("vm", login, where, vagrant.console, golden.USER)


def _free_first_uid(machine: Management) -> None:
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
