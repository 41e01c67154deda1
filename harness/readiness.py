"""Waits until a mail server greets that was just started, or until it is clear that it will not."""

from __future__ import annotations

import asyncio
import re
import shlex
import time

from harness.addresses import GATEWAY
from harness.errors import DeploymentError
from harness.launchers.base import Launcher
from harness.loop import wait_for
from harness.patience import patient
from harness.site import PORT_OF
from harness.vantage import Family

READY_WITHIN = 90.0
"""Seconds from the launcher's word to the mail server's greeting. DMS itself needs 3 to 6."""
POLL = 0.05
"""Seconds between two looks at something that sends no event."""
GREETING_WITHIN = 1.0
"""Seconds that one attempt to be greeted may take before the next."""
EVENT = re.compile(r" (podman|conmon)\[\d+\]: ")
"""What podman notes in a unit's journal about a container; its errors go under the unit's name."""
FILTER = (
    "port=$(postconf -h content_filter | sed -n 's/.*:\\([0-9][0-9]*\\)$/\\1/p'); "
    '[ -z "$port" ] || until (: < "/dev/tcp/127.0.0.1/$port") 2>/dev/null; do sleep 0.1; done'
)
"""Waits in the container until what Postfix hands its mail to, if there is any, listens."""
LAST_WORDS = 24
"""Lines of the log in an error: more than a mail server writes that gives up at its start."""


def last_words(launcher: Launcher) -> str:
    """The end of the log: what the mail server, or podman, had to say."""
    log = launcher.log().splitlines()
    return "\n".join([line for line in log if not EVENT.search(line)][-LAST_WORDS:])


def wait_until_ready(launcher: Launcher, evidence: str) -> None:
    """Wait until the mail server greets on its SMTP port.

    An open port is no sign of it: port forwarders accept before there is anything behind.
    postscreen must not have met any of the probes' clients. So the client is the gateway, on
    the published port; where nobody outside is expected to get through, it is the container
    itself.

    Args:
        launcher: what started it.
        evidence: where the evidence will be, for the error.

    Raises:
        DeploymentError: it never will, or did not within `READY_WITHIN`, or within what the
            scenario says.
    """
    within = launcher.scenario.settings.expect.within or patient(READY_WITHIN)
    deadline = time.monotonic() + within
    next_look = time.monotonic() + 2.0
    family = launcher.scenario.outside_family
    port = launcher.scenario.table.publish["smtp"] if family else PORT_OF["smtp"]
    where = "port" if family else "the container's own port"
    while not wait_for(_greeted(launcher, family, port)):
        trouble = ""
        if time.monotonic() > next_look:
            trouble = launcher.trouble()
            next_look = time.monotonic() + 1.0
        if time.monotonic() > deadline:
            trouble = f"no greeting on {where} {port} within {within:.0f} s"
        if trouble:
            raise DeploymentError(
                f"{launcher.scenario.id}: the mail server does not come up: {trouble}\n"
                f"{last_words(launcher)}",
                evidence,
            )
        time.sleep(POLL)
    _wait_for_addresses(launcher, deadline, evidence)
    _wait_for_filter(launcher, deadline, evidence)


def _wait_for_addresses(launcher: Launcher, deadline: float, evidence: str) -> None:
    """Wait until the container's IPv6 addresses are usable.

    For 1 to 2 s after its start the kernel checks the link-local one for duplicates. pasta
    loses connections from the machine's own address that come in that time (seen with passt
    2025-05-03). docker-mailserver takes longer than that to start; the stand-in does not.
    """
    # The fifth field holds the flags; 0x40 is IFA_F_TENTATIVE.
    tentative = "^([^ ]+ ){4}[4-7c-f][0-9a-f] "
    look = f"while grep -qE {shlex.quote(tentative)} /proc/net/if_inet6; do sleep 0.05; done"
    within = max(1, int(deadline - time.monotonic()))
    done = wait_for(
        launcher.exec_async(f"timeout {within} sh -c {shlex.quote(look)}", within + 5.0)
    )
    if done.status != 0:
        shown = wait_for(launcher.exec_async("cat /proc/net/if_inet6")).stdout
        raise DeploymentError(
            f"{launcher.scenario.id}: the container's IPv6 addresses stay tentative:\n"
            f"{done.stderr}{shown}",
            evidence,
        )


def _wait_for_filter(launcher: Launcher, deadline: float, evidence: str) -> None:
    """Wait until what Postfix hands its mail to listens, where it hands it to a content filter.

    docker-mailserver has one, Amavis, unless `ENABLE_AMAVIS=0`. It listens some seconds after
    Postfix greets, and what Postfix could not hand to it is not tried again for minutes.
    """
    within = max(1, int(deadline - time.monotonic()))
    done = wait_for(
        launcher.exec_async(f"timeout {within} bash -c {shlex.quote(FILTER)}", within + 5.0)
    )
    if done.status != 0:
        raise DeploymentError(
            f"{launcher.scenario.id}: Postfix's content filter does not listen: {done.stderr}",
            evidence,
        )


async def _greeted(launcher: Launcher, family: Family | None, port: int) -> bool:
    """Whether the mail server greets the gateway, or without a family the container itself."""
    if family is None:
        ask = f"exec 3<>/dev/tcp/127.0.0.1/{port} && head -c 3 <&3"
        within = f"{patient(GREETING_WITHIN):g}"
        done = await launcher.exec_async(f"timeout {within} bash -c {shlex.quote(ask)}")
        return done.stdout == "220"
    try:
        async with asyncio.timeout(patient(GREETING_WITHIN)):
            sock = await launcher.machine.outside.connect(
                launcher.machine.address[family], port, GATEWAY[family]
            )
            with sock:
                return (await asyncio.get_running_loop().sock_recv(sock, 3)) == b"220"
    except (OSError, TimeoutError):
        return False
