"""A deployment as the shell's commands see it: each looks at it anew, by the run's own probes."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.addresses import vantages_of
from harness.errors import HarnessError
from harness.loop import wait_for
from harness.observations import Observation, Observations
from harness.probes import suite
from harness.probes.client_address import observe_smtp_clients
from harness.probes.places import main_client
from harness.probes.ports import observe_ports
from harness.probes.relay import observe_relay
from harness.probes.relay_forms import BY_ID, FORMS, PLAIN
from harness.probes.run import Run, running
from harness.shell import mail

if TYPE_CHECKING:
    from harness.deployment import Deployment
    from harness.machines.execution import Completed
    from harness.site import Account, Service, Site
    from harness.vantage import Vantage

COMMAND_WITHIN = 3600.0
"""Seconds for a command of the user's, who can interrupt it before."""


class Visit:
    """A deployment that somebody looks around in.

    Args:
        deployment: booted, and up or not.
        record: the file that what is seen is added to.
    """

    def __init__(self, deployment: Deployment, record: Path) -> None:
        self.deployment = deployment
        self.record = record
        self._looked = False

    @contextmanager
    def _now(self) -> Iterator[Site]:
        """The mail server as the probes see it now.

        Each look is a visit of its own: what follows the log ends with the container, which the
        user may have started again.
        """
        if not self._looked:
            self.deployment.look_at_forwarder()
            self._looked = True
        with self.deployment.visit() as site:
            yield site

    @property
    def site(self) -> Site:
        """What does not change of it: vantages, accounts, ports."""
        with self._now() as site:
            return site

    # -- words ---------------------------------------------------------------------------------

    def vantages(self, words: Sequence[str]) -> list[Vantage]:
        """The vantages that some words stand for, all of them for no words.

        Raises:
            HarnessError: a word is none, or none that this machine has.
        """
        every = list(self.site.vantages)
        if not words:
            return every
        named = [name for word in words for name in _names(word)]
        found = [one for one in every if one.name in named]
        if not found:
            there = ", ".join(one.name for one in every)
            raise HarnessError(f"nobody is at {' '.join(words)} here", f"there are {there}")
        return found

    @property
    def main(self) -> Vantage:
        """The first outside client."""
        return main_client(self.site)

    # -- what is looked at ---------------------------------------------------------------------

    def ports(self, vantages: Sequence[Vantage]) -> list[Observation]:
        """What answers on each port, and on those that nothing should answer on."""
        return self._look(vantages, lambda run: observe_ports(run, lambda _: True), "port")

    def who(self, vantages: Sequence[Vantage]) -> list[Observation]:
        """The address that the mail server logs for clients on port 25."""
        return self._look(vantages, observe_smtp_clients, "client_address")

    def relay(self, vantages: Sequence[Vantage], every_form: bool) -> list[Observation]:
        """What becomes of a stranger's mail for the outside, sent plainly or in every form."""
        forms = FORMS if every_form else (BY_ID[PLAIN],)
        return self._look(vantages, lambda run: observe_relay(run, lambda _: True, forms), "relay")

    def send(self, vantage: Vantage, recipient: str, service: Service) -> mail.Sent:
        """Send one message and look where it arrives."""
        with self._now() as site:
            return wait_for(mail.send(site, vantage, recipient, service))

    def fetch(self, account: Account) -> mail.Mailbox:
        """Read a mailbox."""
        with self._now() as site:
            return wait_for(mail.fetch(site, main_client(site), account))

    def observe(self) -> list[Observation]:
        """Run all probes."""
        with self._recording() as (site, seen):
            seen.record(
                "scenario",
                "reachable",
                str(len(self.deployment.scenario.reachable)),
                vantages=list(self.deployment.scenario.reachable),
                checks="matrix",
            )
            began = time.monotonic()
            wait_for(suite.observe(site))
            seconds = round(time.monotonic() - began, 3)
            seen.record("phase", "probes", "ended", seconds=seconds)
        return list(seen)

    def log(self, lines: int) -> Completed:
        """The end of the mail server's log."""
        return self.execute(f"tail -n {lines} /var/log/mail/mail.log")

    def execute(self, command: str) -> Completed:
        """Run a command in the mail server's container."""
        return wait_for(self.deployment.launcher.exec_async(command, COMMAND_WITHIN))

    def on_machine(self, command: str, operator: bool = False) -> Completed:
        """Run a command on the machine, as root or as whoever launched the mail server."""
        user = self.deployment.launcher.user if operator else "root"
        return self.deployment.machine.run(command, user, COMMAND_WITHIN)

    # -- helpers -------------------------------------------------------------------------------

    def _look(
        self,
        vantages: Sequence[Vantage],
        probe: Callable[[Run], Coroutine[Any, Any, None]],
        kind: str,
    ) -> list[Observation]:
        async def look(site: Site) -> None:
            async with running(replace(site, vantages=vantages)) as run:
                await probe(run)

        with self._recording() as (site, seen):
            wait_for(look(site))
        return seen.find(kind)

    @contextmanager
    def _recording(self) -> Iterator[tuple[Site, Observations]]:
        """The site, with observations of its own: only what is seen now counts."""
        seen = Observations(self.deployment.scenario.id, self.record)
        with self._now() as site:
            yield replace(site, observations=seen), seen


def _names(word: str) -> tuple[str, ...]:
    try:
        return vantages_of(word)
    except ValueError as error:
        raise HarnessError(str(error)) from None
