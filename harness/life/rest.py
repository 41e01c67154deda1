"""Whether a mail server that does not answer is still on its way, or nothing more comes."""

from __future__ import annotations

import shlex
import time
from typing import TYPE_CHECKING

from harness.patience import patient

if TYPE_CHECKING:
    from harness.launchers.base import Launcher
    from harness.life.watch import Watch

STEADY = 3.0
"""Seconds of answers after an event that count as an answer: what was killed may still be dying."""
AT_REST = 6.0
"""Seconds without a change after which nothing more is expected where no container runs."""
UNANSWERED = 20.0
"""The same where one runs: a mail server needs 3 to 6 s from its start to its greeting."""
SETTLED_WITHIN = 120.0
"""Seconds after an event in which one of the two must be clear."""
LOOK_EVERY = 0.5
"""Seconds between two looks at podman and systemd, which keep a core busy for a tenth of one."""
MOVING = ("activating", "deactivating", "reloading", "auto-restart", "stopping", "starting")
"""Words of systemd and podman for what is on its way."""


def settle(launcher: Launcher, watch: Watch, since: float) -> str:
    """Wait until the mail server answers steadily, or will not.

    Args:
        launcher: of the mail server.
        watch: asks for its first line.
        since: the watch's time when the event was over.

    Returns:
        Nothing where it answers; otherwise how things stand.
    """
    state, changed = "", watch.now
    # Not as much longer as all the rest: what restarts again and again never comes to rest.
    settled_within = max(SETTLED_WITHIN, 2 * patient(UNANSWERED))
    while True:
        answers = watch.answers_since
        if answers is not None and watch.now - max(answers, since) >= patient(STEADY):
            return ""
        if answers is None:
            seen = state_of(launcher)
            if seen != state:
                state, changed = seen, watch.now
            moving = any(word in state for word in MOVING)
            at_rest = patient(UNANSWERED if "running" in state else AT_REST)
            if not moving and watch.now - changed > at_rest:
                return state
        if watch.now - since > settled_within:
            return state or "it answers, and again it does not"
        time.sleep(LOOK_EVERY)


def is_there(launcher: Launcher) -> bool:
    """Whether the operator's systemd runs: rootless containers need one, a login starts one."""
    if launcher.user == "root":
        return True
    asked = f'systemctl show --value -p ActiveState "user@$(id -u {shlex.quote(launcher.user)})"'
    return launcher.machine.run(asked).stdout.strip() == "active"


def state_of(launcher: Launcher) -> str:
    """What podman and systemd say of the container and the unit, in one line.

    Nobody is asked who is not there: a login would start what it is asked about.
    """
    if not is_there(launcher):
        return f"{launcher.user} is not logged in and has no systemd"
    table = launcher.scenario.table
    name = shlex.quote(table.container)
    ask = (
        f"podman ps --all --noheading --filter name=^{name}$"
        " --format 'container {{.State}} since {{.StartedAt}}'"
    )
    if table.unit is not None:
        scope = "" if launcher.user == "root" else "--user "
        shown = "-p ActiveState,SubState,Result,NRestarts"
        ask += f"; systemctl {scope}show {shown} {shlex.quote(table.unit)}"
    seen = " ".join(launcher.machine.run(ask, launcher.user).stdout.split())
    return seen or "there is no container"
