"""One measurement: the command line for it, and what its output says."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass

from harness.errors import CommandError

SECONDS = 1
"""How long iperf3 sends. It knows whole seconds only, even where it is given a number of bytes."""
MESSAGE_BYTES = 4096
STOPPED = 124
"""What `timeout` returns for what it has stopped."""

# Bash: the machine's processor time is read before and after, in the same moment as the clock.
_TIMED = """
used() {{ while read -r key value; do [ "$key" = usage_usec ] && echo "$value"; done < {stat}; }}
before=$(used); began=$EPOCHREALTIME
{command}
status=$?; ended=$EPOCHREALTIME
echo; echo "$status $began $ended $before $(used)"
"""
_STAT = "/sys/fs/cgroup/cpu.stat"


@dataclass(frozen=True, slots=True)
class Timed:
    """A command that was timed.

    Attributes:
        status: how it ended.
        output: what it wrote.
        seconds: how long it took.
        work: the processor seconds that the whole machine spent meanwhile.
    """

    status: int
    output: str
    seconds: float
    work: float


def timed(command: str) -> str:
    """A command line for bash that times another one; see `as_timed`."""
    return f"bash -c {shlex.quote(_TIMED.format(command=command, stat=_STAT))}"


def as_timed(output: str) -> Timed:
    """What a command line of `timed` has said.

    Raises:
        CommandError: it did not get as far as to say it.
    """
    said, _, last = output.rstrip("\n").rpartition("\n")
    try:
        status, began, ended, before, after = last.split()
        return Timed(
            int(status),
            said.strip(),
            float(ended) - float(began),
            (int(after) - int(before)) / 1e6,
        )
    except ValueError:
        raise CommandError(
            f"this is no time and no processor time of the machine: {last or 'nothing'}",
            f"look whether {_STAT} is there",
        ) from None


def iperf3(address: str, port: int, out: bool = False) -> str:
    """Send as much as gets through in `SECONDS`, into the container or out of it."""
    direction = " --reverse" if out else ""
    return f"iperf3 --client {address} --port {port} --time {SECONDS}{direction} --json"


@dataclass(frozen=True, slots=True)
class Transfer:
    """What iperf3 has measured.

    Attributes:
        mbits: that arrived.
        rate: Mbit/s of them.
        sent_again: segments that TCP had to send once more.
    """

    mbits: float
    rate: float
    sent_again: int


def transfer(output: str) -> Transfer:
    """What iperf3's JSON says.

    Raises:
        CommandError: it says that there was no measurement, or is no JSON.
    """
    try:
        said = json.loads(output)
    except ValueError:
        raise CommandError(f"iperf3 gave no JSON: {output or 'nothing'}") from None
    if "error" in said:
        raise CommandError(f"iperf3: {said['error']}")
    sent, received = said["end"]["sum_sent"], said["end"]["sum_received"]
    return Transfer(
        received["bytes"] * 8 / 1e6, received["bits_per_second"] / 1e6, sent["retransmits"]
    )


def smtp_source(address: str, port: int, messages: int, within: int, sessions: int = 0) -> str:
    """Send messages; it ends with status 0 where every one was accepted.

    Args:
        address: of the server.
        port: of the server.
        messages: how many.
        within: whole seconds after which it is stopped.
        sessions: how many messages are under way at once, each over a connection of its own;
            with none, all go over one connection.
    """
    how = f"-s {sessions}" if sessions else "-s 1 -d"
    return (
        f"timeout {within} /usr/sbin/smtp-source {how} -m {messages} -l {MESSAGE_BYTES}"
        f" -f probe@outside.example -t sink@example.com {address}:{port} 2>&1"
    )


# Without that, on busy cores the first are served while the last begin, and there is no crowd.
_CROWD = """
serving="{server} $(ss -Hltnp sport = :{port} | grep -o "pid=[0-9]*" | cut -d= -f2 | sort -u)"
kill -STOP $serving
{command} &
while kill -0 $! 2>/dev/null && [ "$({look} | wc -l)" -lt {many} ]; do sleep 0.01; done
before=$(used); began=$EPOCHREALTIME
kill -CONT $serving
wait $!
"""


def crowd(port: int, server: int, many: int, command: str, look: str) -> str:
    """Clients that all come before the first one is served: who serves them is stopped until then.

    To be timed, which begins when they are served.

    Args:
        port: the machine's, that they come to; who listens there is stopped.
        server: the process behind that, which is stopped as well.
        many: of the clients.
        command: what they do, each over a connection of its own.
        look: lists their connections, a line for each.
    """
    return _CROWD.format(port=port, server=server, many=many, command=command, look=look)


def connections_to(port: int) -> str:
    """List the connections to a port, those included that nobody has answered yet."""
    return f"ss -Hnt dport = :{port}"


def rate(messages: int, seen: Timed) -> float:
    """Messages a second; 0 where they did not get through in time.

    Raises:
        CommandError: smtp-source says that they were not accepted.
    """
    if seen.status == STOPPED:
        return 0.0
    if seen.status != 0:
        raise CommandError(f"smtp-source ended with status {seen.status}: {seen.output}")
    return messages / seen.seconds
