"""Containers beside the mail server's, on the same machine, that connect to it directly.

A peer is on the mail server's own podman network, a neighbour on another one. What they run does
not matter; their network namespaces do. An SSH server that is started inside one of these opens
the connections, and passes them on over the machine's own SSH connection.
"""

from __future__ import annotations

import json
import shlex
from functools import partial
from typing import TYPE_CHECKING

from harness.errors import DeploymentError
from harness.machines.shell import Shell
from harness.mailserver.image import NAME
from harness.site import PORT_OF
from harness.vantage import Vantage

if TYPE_CHECKING:
    from harness.launchers.base import Launcher

PREFIX = "harness-"
"""What the containers' names begin with."""


class Peers:
    """The peers of one deployment.

    Args:
        launcher: of the deployment; its user's podman runs the peers as well.
    """

    def __init__(self, launcher: Launcher) -> None:
        self.launcher = launcher
        self.machine = launcher.machine
        self._shells: list[Shell] = []
        self._made: list[str] = []
        self._networks: list[str] = []

    def start(self) -> list[Vantage]:
        """Start them, each on its network, which is made where there is none; their vantages.

        Raises:
            CommandError: podman cannot start one.
            DeploymentError: the mail server has no address of its own to connect to.
        """
        table = self.launcher.scenario.table
        user = self.launcher.user
        if not table.peers:
            return []
        seen = self.machine.succeed(f"podman inspect {shlex.quote(table.container)}", user)
        networks = json.loads(seen)[0]["NetworkSettings"]["Networks"]
        target = next(iter(networks.values()))["IPAddress"]
        if not target:
            raise DeploymentError(
                f"{self.launcher.scenario.id}: peers: {table.container} has no address of its own",
                "leave peers out of the scenario",
            )
        made = []
        for place, network in table.peers.items():
            name = PREFIX + place
            if self.machine.run(f"podman network exists {shlex.quote(network)}", user).status:
                self.machine.succeed(f"podman network create {shlex.quote(network)}", user)
                self._networks.append(network)
            self.machine.succeed(
                f"podman run -d --name {name} --network {shlex.quote(network)}"
                f" --entrypoint sleep {NAME} infinity",
                user,
            )
            self._made.append(name)
            process = self.machine.succeed(
                f"podman inspect --format '{{{{.State.Pid}}}}' {name}", user
            ).strip()
            shell = Shell(
                f"{self.machine.name} {place}",
                self.machine.shell.login,
                partial(
                    self.machine.shell.connect_to_command,
                    f"nsenter --target {process} --net {self.machine.sshd}",
                ),
            )
            self._shells.append(shell)
            ports = {port: PORT_OF[service] for service, port in table.publish.items()}
            made.append(Vantage(f"{place}_v4", place, 4, target, None, shell, ports))
        return made

    def remove(self) -> None:
        """Remove the containers, so that nothing is there but what the operator made."""
        self.forget()
        if self._made:
            user = self.launcher.user
            self.machine.succeed(f"podman rm --force --time 0 {' '.join(self._made)}", user)
            for network in self._networks:
                self.machine.succeed(f"podman network rm {shlex.quote(network)}", user)
            self._made.clear()
            self._networks.clear()

    def forget(self) -> None:
        """Drop the connections."""
        for shell in self._shells:
            shell.forget()
        self._shells.clear()
