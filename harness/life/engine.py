"""Does to a mail server what a variant's `events` say, and looks at it after each."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.by_hand import in_bash, who
from harness.errors import CommandError, DeploymentError
from harness.life.mail import Mail
from harness.life.rest import is_there, settle
from harness.life.watch import watching
from harness.loop import wait_for
from harness.outside.world import vantages
from harness.patience import patient
from harness.scenario_parts import Step
from harness.scenario_words import LAST_LOOK, spoken

if TYPE_CHECKING:
    from harness.deployment import Deployment
    from harness.observations import Json
    from harness.scenario_expected import Seen
    from harness.scenario_words import BuiltIn
    from harness.site import Site
    from harness.vantage import Vantage

EVENT_WITHIN = 180.0
"""Seconds for a command that is an event: a mail server takes 25 s to stop, some start it twice."""
GONE_WITHIN = 60.0
"""Seconds from a user's last logout to the end of that user's systemd; systemd waits 10 s by
itself, and the mail server takes its time to stop."""
POLL = 0.1
"""Seconds between two looks at something that sends no event."""
SHOWN = 2000
"""Characters of an answer that are kept."""


@dataclass(frozen=True, slots=True)
class Container:
    """What tells a container from another one, and from itself after a restart."""

    id: str
    started: str
    running: bool


def observe(deployment: Deployment) -> None:
    """Record kind `life`: what is seen at the beginning, and after every event.

    Subjects: a question's name, or `LOOK after EVENT`, or `EVENT` itself (outcome `done`).
    Outcomes of the looks:

    `mail server`: `answers`, with the seconds that it was away; `does not answer`, with the state
    that things are in. `container`: `same` (it went on running), `restarted`, `another`, `stopped`,
    `gone`, `not asked` (its user is logged out). The others are looked at where it answers:
    `delivered mail` (`there once`, `there N times`, `lost`, `not readable`), `queued mail`
    (`queued`, `lost`, `already sent`), `mynetworks` (`same`, `changed`), `relay` (see
    `Mail.strangers`). After the last event, where it answers, `LAST_LOOK`: see `Mail.sent_at_last`.

    Raises:
        CommandError: an event's command failed.
        DeploymentError: the mail server does not take the mail that it is to keep.
        MachineError: the machine does not answer any more.
    """
    _Life(deployment).live()


class _Life:
    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.launcher = deployment.launcher
        self.machine = deployment.machine
        self.settings = deployment.scenario.settings
        self.mail = Mail()
        self.mynetworks = ""

    def live(self) -> None:
        if not self.settings.events:
            self._ask(None)
            return
        self._at_site(self.mail.send)
        self.mynetworks = self._mynetworks()
        self._ask(None)
        answers = True
        for name, event in self.settings.events.items():
            answers = self._undergo(name, event)
            self._ask(name)
        if answers:
            self._record(LAST_LOOK, *self._at_site(self.mail.sent_at_last))

    def _undergo(self, name: str, event: Step | BuiltIn) -> bool:
        """Have an event happen, and look around; whether the mail server answers then."""
        before = self._container()
        vantage, port = self._watched()
        self.deployment.say(spoken(name))
        with watching(vantage, port) as watch:
            began = time.monotonic()
            output = self._happen(event)
            took = round(time.monotonic() - began, 1)
            state = settle(self.launcher, watch, watch.now)
        self._record(spoken(name), "done", {"seconds": took, "output": output[-SHOWN:]})
        details: dict[str, Json] = {"away": watch.away, "banner": watch.last_answer}
        if state:
            details |= {"state": state, "error": watch.last_error}
        self._look(name, "mail server", "does not answer" if state else "answers", details)
        self._look(name, "container", *self._compared(before, self._container()))
        if state:
            return False
        now = self._mynetworks()
        self._look(
            name,
            "mynetworks",
            "same" if now == self.mynetworks else "changed",
            {"before": self.mynetworks, "now": now},
        )
        for of, seen in self._at_site(self.mail.look).items():
            self._look(name, of, *seen)
        return True

    def _watched(self) -> tuple[Vantage, int]:
        """From where, and on which port, the mail server is asked for its first line."""
        table = self.deployment.scenario.table
        # Not port 25: each contact there costs postscreen's attention, and the log its clarity.
        port = table.publish.get("submission") or table.publish["smtp"]
        wanted = self.deployment.scenario.main_vantage
        every = vantages(self.deployment.machine, table.families, None)
        return next(one for one in every if one.name == wanted), port

    # -- events --------------------------------------------------------------------------------

    def _happen(self, event: Step | BuiltIn) -> str:
        """Have it happen; what it wrote."""
        if isinstance(event, Step):
            user = who(self.launcher, event.user)
            command = in_bash(self.launcher, event.run)
            done = self.machine.run(command, user, EVENT_WITHIN)
            if done.status != 0:
                raise CommandError(
                    f"{self.deployment.scenario.id}: as {user}: {event.run}\n"
                    f"failed with status {done.status}: {(done.stdout + done.stderr).strip()}",
                    "an event that may fail ends with `|| true`",
                )
            return done.stdout + done.stderr
        if event == "reboot":
            self.machine.reboot()
            # The users' connections ended with the machine that they were made to.
            self.machine.shell.forget()
            # What failed may be the operator's: a health check that came before the greeting.
            return self.machine.wait_until_booted()
        if event == "logout":
            self._log_out()
        else:
            self.machine.succeed("true", self.launcher.user)
        return ""

    def _log_out(self) -> None:
        """End the operator's only session; wait until that has had its consequences."""
        user = self.launcher.user
        wait_for(self.machine.shell.log_out(user))
        deadline = time.monotonic() + patient(GONE_WITHIN)
        while True:
            shown = self.machine.run(f"loginctl show-user --value -p State {shlex.quote(user)}")
            # A user who lingers has that state at once; another one is `closing`, and then unknown.
            if shown.stdout.strip() == "lingering":
                return
            if shown.status != 0 and not is_there(self.launcher):
                return
            if time.monotonic() > deadline:
                raise DeploymentError(
                    f"{user} is still {shown.stdout.strip() or 'there'} {GONE_WITHIN:.0f} s after "
                    "the last logout"
                )
            time.sleep(POLL)

    # -- looks ---------------------------------------------------------------------------------

    def _container(self) -> Container | str | None:
        """The container as it is, None where there is none, or why nobody can be asked."""
        if not is_there(self.launcher):
            return f"{self.launcher.user} is logged out"
        name = shlex.quote(self.deployment.scenario.table.container)
        shown = self.machine.run(f"podman container inspect {name}", self.launcher.user)
        if shown.status != 0:
            return None
        (seen,) = json.loads(shown.stdout)
        state = seen["State"]
        return Container(seen["Id"], state["StartedAt"], bool(state["Running"]))

    def _compared(
        self, before: Container | str | None, now: Container | str | None
    ) -> tuple[str, dict[str, Json]]:
        details: dict[str, Json] = {"before": str(before), "now": str(now)}
        if isinstance(now, str):
            return "not asked", details
        if now is None:
            return "gone", details
        if not now.running:
            return "stopped", details
        if not isinstance(before, Container) or now.id != before.id:
            return "another", details
        return "same" if now.started == before.started else "restarted", details

    def _mynetworks(self) -> str:
        done = self.deployment.exec("postconf -h mynetworks")
        if done.status != 0:
            raise CommandError(f"postconf does not say what mynetworks is: {done.stderr.strip()}")
        return done.stdout.strip()

    def _at_site(self, look: Callable[[Site], Coroutine[Any, Any, Any]]) -> Any:
        with self.deployment.visit() as site:
            return wait_for(look(site))

    def _ask(self, after: str | None) -> None:
        for seen in self.settings.seen:
            if seen.run is not None and seen.after == after:
                self._record(seen.subject, *self._answer(seen, seen.run))

    def _answer(self, seen: Seen, question: str) -> tuple[str, dict[str, Json]]:
        user = who(self.launcher, seen.user)
        done = self.machine.run(in_bash(self.launcher, question), user, EVENT_WITHIN)
        output = (done.stdout + done.stderr).strip()
        last = output.splitlines()[-1].strip() if output else ""
        details: dict[str, Json] = {
            "question": question,
            "asked by": user,
            "status": done.status,
            "output": output[-SHOWN:],
        }
        return last or f"status {done.status}", details

    def _look(self, event: str, of: str, outcome: str, details: dict[str, Json]) -> None:
        self._record(f"{of} after {spoken(event)}", outcome, details)

    def _record(self, subject: str, outcome: str, details: dict[str, Json]) -> None:
        self.deployment.observations.record("life", subject, outcome, None, **details)
