"""The containers on a machine that the ways lead into, and the client beside it."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.errors import CommandError
from harness.mailserver.image import NAME
from harness.peers import PREFIX
from harness.throughput.compare import (
    BRIDGE_ROOTLESSPORT,
    PASTA,
    ROOTFUL,
    SLIRP4NETNS,
    SLIRP4NETNS_ROOTLESSPORT,
)

if TYPE_CHECKING:
    from harness.machines.base import BaseMachine

NETWORKS: Mapping[str, str] = {
    PASTA: "pasta",
    SLIRP4NETNS: "slirp4netns:port_handler=slirp4netns",
    SLIRP4NETNS_ROOTLESSPORT: "slirp4netns",
    BRIDGE_ROOTLESSPORT: "bridge",
    ROOTFUL: "bridge",
}
"""The ways, each with its `--network`; in this order they take turns."""
FIRST_PORT = 7001
"""On the machine; each way has two ports."""
IPERF3, SMTP = 5201, 2525
"""The servers' ports in the containers."""
BACKLOG = 256
"""Connections that the SMTP server lets wait, so that it is not what is measured."""

# From the range for benchmarks, RFC 2544.
MACHINE, CLIENT, PREFIX_LENGTH = "198.18.0.1", "198.18.0.2", 30
CABLE = PREFIX + "cable"
"""The machine's end of the client's cable."""

LISTENING_WITHIN = 20.0
POLL = 0.1
"""Seconds between two looks whether a server listens."""

# For one measurement each: a server of several closes its socket after each and opens another one,
# and hangs up on a client that comes meanwhile (seen on busy cores, iperf 3.18). In the container's
# process namespace, too, so that it ends with the container.
_SERVE = """
inside="nsenter --target {process} --net"
listens() {{ [ -n "$($inside ss -Hltn sport = :{port})" ]; }}
while listens; do sleep {poll}; done
$inside --pid iperf3 --server --one-off --daemon --port {port} || exit
until listens; do sleep {poll}; done
"""


@dataclass(frozen=True, slots=True)
class Way:
    """A way, with the machine's ports that lead to its servers.

    Attributes:
        process: the container's first, as the machine numbers it.
    """

    name: str
    iperf3: int
    smtp: int
    process: int

    def serve_iperf3(self, machine: BaseMachine) -> None:
        """Have an iperf3 server listen in the container, for one client.

        Raises:
            CommandError: it does not.
        """
        serve = _SERVE.format(process=self.process, port=IPERF3, poll=POLL / 2)
        done = machine.run(f"timeout {LISTENING_WITHIN:.0f} bash -c {shlex.quote(serve)}")
        if done.status != 0:
            raise CommandError(
                f"{machine.name}: {self.name}: there is no iperf3 server in the container after "
                f"{LISTENING_WITHIN:.0f} s",
                f"it said: {(done.stdout + done.stderr).strip() or 'nothing'}",
            )


@dataclass(frozen=True, slots=True)
class Client:
    """The client's process, whose namespaces commands are run in."""

    process: int

    def does(self, command: str, image: bool = False) -> str:
        """A command line for root that runs something as the client.

        Args:
            command: what.
            image: whether it is one of the image's programs, not of the machine's.
        """
        return f"nsenter --target {self.process} --net {'--mount ' if image else ''}{command}"


@contextmanager
def ways(machine: BaseMachine) -> Iterator[tuple[Client, list[Way]]]:
    """The client and all ways, their SMTP servers listening, until the block ends.

    Raises:
        CommandError: podman or the machine refuses something, or a server does not listen.
    """
    with ExitStack() as stack:
        found = []
        for number, (name, network) in enumerate(NETWORKS.items()):
            port = FIRST_PORT + 2 * number
            process = stack.enter_context(
                _container(
                    machine,
                    name.replace(" ", "-"),
                    f"--network {network} -p {port}:{IPERF3} -p {port + 1}:{SMTP}"
                    " --entrypoint /usr/sbin/smtp-sink",
                    f"-u nobody 0.0.0.0:{SMTP} {BACKLOG}",
                    "root" if name == ROOTFUL else machine.user,
                )
            )
            _wait_for_server(machine, name, process)
            found.append(Way(name, port, port + 1, process))
        process = stack.enter_context(
            _container(
                machine, "client", "--network none --entrypoint sleep", "infinity", machine.user
            )
        )
        stack.enter_context(_cable(machine, process))
        yield Client(process), found


@contextmanager
def _container(
    machine: BaseMachine, name: str, options: str, arguments: str, user: str
) -> Iterator[int]:
    """A container of the mail server's image; its first process as the machine numbers it."""
    name = PREFIX + name
    try:
        machine.succeed(f"podman run -d --name {name} {options} {NAME} {arguments}", user)
        shown = machine.succeed(f"podman inspect --format '{{{{.State.Pid}}}}' {name}", user)
        yield int(shown)
    finally:
        machine.succeed(f"podman rm --force --ignore --time 0 {name}", user)


@contextmanager
def _cable(machine: BaseMachine, process: int) -> Iterator[None]:
    """A cable from the machine to a process's network namespace, which nothing filters."""
    inside = f"nsenter --target {process} --net ip"
    try:
        machine.succeed(
            f"ip link add {CABLE} type veth peer name eth0 netns {process}"
            f" && ip address add {MACHINE}/{PREFIX_LENGTH} dev {CABLE} && ip link set {CABLE} up"
            f" && {inside} address add {CLIENT}/{PREFIX_LENGTH} dev eth0"
            f" && {inside} link set eth0 up"
            f" && firewall-cmd -q --zone=trusted --add-interface={CABLE}"
        )
        yield
    finally:
        machine.succeed(
            f"firewall-cmd -q --zone=trusted --remove-interface={CABLE};"
            f" ! ip link show {CABLE} || ip link delete {CABLE}"
        )


def _wait_for_server(machine: BaseMachine, name: str, process: int) -> None:
    """Wait until the SMTP server of a container listens."""
    ask = f"nsenter --target {process} --net ss -Hltn sport = :{SMTP}"
    deadline = time.monotonic() + LISTENING_WITHIN
    while True:
        if machine.run(ask).stdout.strip():
            return
        if time.monotonic() > deadline:
            user = "root" if name == ROOTFUL else machine.user
            log = f"podman logs {shlex.quote(PREFIX + name.replace(' ', '-'))} 2>&1"
            raise CommandError(
                f"{machine.name}: {name}: nothing listens on {SMTP} in the container after "
                f"{LISTENING_WITHIN:.0f} s",
                f"it wrote: {machine.run(log, user).stdout.strip() or 'nothing'}",
            )
        time.sleep(POLL)
