"""One scenario variant on one machine, from the fork to the tear-down."""

from __future__ import annotations

import asyncio
import re
import shlex
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import authority, by_hand, evidence, facts, id_map, leaks
from harness.errors import CommandError, DeploymentError, HarnessError
from harness.follow import Follower
from harness.launchers import launcher_for
from harness.life import engine as life
from harness.loop import background, begin, wait_for
from harness.machines.base import BaseMachine
from harness.machines.execution import Completed
from harness.observations import Observations
from harness.outside.world import DOMAIN, World, vantages
from harness.peers import Peers
from harness.probes.suite import SUITES
from harness.readiness import last_words, wait_until_ready
from harness.scenario import Scenario
from harness.site import Site
from harness.throughput import engine as throughput
from harness.vantage import Turns, Vantage


class Deployment:
    """A scenario variant that is being deployed, or is.

    Args:
        scenario: what to deploy.
        machine: where; not yet started.
        observations: where facts go.
        folder: where evidence goes.
        say: is told what is being done: each phase as it begins.

    Attributes:
        failure: why the mail server did not come up, or None.
        is_stopped: whether the operator's own tear-down was done.
        is_down: whether it has been taken down, or is being, or was left to the user.
    """

    def __init__(
        self,
        scenario: Scenario,
        machine: BaseMachine,
        observations: Observations,
        folder: Path,
        say: Callable[[str], None],
    ) -> None:
        self.scenario = scenario
        self.machine = machine
        self.observations = observations
        self.folder = folder
        self.say = say
        self.launcher = launcher_for(scenario, machine)
        self.world = World(
            machine, scenario.table.hostname, scenario.domain, scenario.table.families
        )
        self.failure: HarnessError | None = None
        self.peers = Peers(self.launcher)
        self._peer_vantages: list[Vantage] = []
        self._turns: Turns | None = None
        self._stored = 0
        self._before: leaks.State | None = None
        self._observed = False
        self._evidence_saved = False
        self.is_stopped = False
        self.is_down = False

    @contextmanager
    def phase(self, name: str, since: float | None = None) -> Iterator[None]:
        """Measure a phase, since now or a moment before; its seconds are an observation."""
        self.say(name)
        started = time.monotonic() if since is None else since
        try:
            yield
        finally:
            seconds = round(time.monotonic() - started, 3)
            self.observations.record("phase", name, "ended", seconds=seconds)

    def up(self) -> None:
        """Prepare, place the files, start, and wait for the mail server's greeting.

        The machine is booted. What the operator's files and steps lead to is not the harness's
        failure: it is noted in `failure`, with the evidence saved. Then comes what the scenario
        breaks on purpose.

        Raises:
            HarnessError: the machine failed, or what is to be broken cannot be.
        """
        try:
            with self.phase("prepare"):
                by_hand.prepare(self.launcher)
            if self.scenario.settings.checks == "id_map":
                self._stored = wait_for(id_map.storage_bytes(self.launcher))
            with self.phase("start"):
                self._start()
            with self.phase("ready"):
                wait_until_ready(self.launcher, self._evidence)
            if self.scenario.settings.checks == "matrix":
                self._peer_vantages = self.peers.start()
        except (CommandError, DeploymentError) as error:
            self.failure = error
            self.observations.record("deployment", "start", "failed", why=str(error))
            self.save_evidence()
            return
        self.observations.record("deployment", "start", "came up")
        if self.scenario.table.disturb:
            try:
                with self.phase("disturb"):
                    by_hand.take(self.launcher, self.scenario.table.disturb)
            except HarnessError:
                self.save_evidence()
                raise

    def boot(self) -> None:
        """Fork the machine, boot it, and open the outside world.

        Raises:
            HarnessError: the machine failed; its console has been saved.
        """
        try:
            with self.phase("boot", self.machine.begun):
                self.machine.start()
                self.world.open()
                self.machine.wait_until_up()
            for fact, value in facts.of_machine(self.machine).items():
                self.observations.record("machine", fact, value)
            noted = self.scenario.noted
            self.observations.record(
                "scenario", "reachable", str(len(noted["vantages"])), None, **noted
            )
            if self.scenario.is_first:
                with self.phase("look before"):
                    self._before = wait_for(leaks.look(self.machine))
        except HarnessError:
            self.save_evidence()
            raise

    @property
    def _evidence(self) -> str:
        return f"evidence: {self.folder}"

    def _start(self) -> None:
        try:
            self.launcher.start()
        except CommandError as error:
            raise DeploymentError(
                f"{self.scenario.id}: the launcher does not start the mail server: {error}\n"
                f"{last_words(self.launcher)}",
                self._evidence,
            ) from None

    def look_at_forwarder(self) -> None:
        """Note what listens for clients on the machine, and whether they must take turns there.

        To be done before a `visit`, once the mail server is up.
        """
        publish = self.scenario.table.publish
        port = publish.get("smtp") or min(publish.values())
        forwarder, line = facts.of_listener(self.machine, port)
        self.observations.record("forwarder", str(port), forwarder, line=line)
        if forwarder == "slirp4netns":
            self._turns = defaultdict(asyncio.Lock)

    @contextmanager
    def visit(self) -> Iterator[Site]:
        """The deployed mail server as the probes see it, its log followed while the block lasts."""
        log = Follower(
            lambda: self.machine.shell.session(self.launcher.user),
            f"podman exec {shlex.quote(self.scenario.table.container)}"
            " tail -n +1 -F /var/log/mail/mail.log",
        )
        try:
            yield self._site(log)
        finally:
            background().call_soon_threadsafe(log.close)

    def _site(self, log: Follower) -> Site:
        table = self.scenario.table
        return Site(
            hostname=table.hostname,
            domain=self.scenario.domain,
            address=self.machine.address[min(table.families)],
            accounts=self.scenario.accounts,
            alias=table.alias,
            published={port: service for service, port in table.publish.items()},
            unpublished=self.scenario.closed_ports + self.scenario.forwarded_ports,
            vantages=vantages(self.machine, table.families, self._turns) + self._peer_vantages,
            outside_domain=DOMAIN,
            sink=self.world.sink,
            smart_host=self.world.smart_host,
            tls=authority.trusting(),
            mail_log=log.text,
            execute=self.launcher.exec_async,
            observations=self.observations,
        )

    def observe(self) -> Observations:
        """Run all probes, once; later calls return what was seen then."""
        if not self._observed:
            self._observed = True
            self.look_at_forwarder()
            # Beside the probes, which mostly wait.
            asked = begin(facts.observe_container(self.launcher, self.observations))
            if self.scenario.settings.checks == "life":
                asked.result()  # before anything happens to the container
            try:
                with self.phase("probes"):
                    self._observe()
            except HarnessError:
                self.save_evidence()  # no test that asks for it will be run
                raise
            asked.result()
            for query in self.world.dns.queries:
                self.observations.record(
                    "dns", f"{query.type} {query.name}", "asked", client=query.client
                )
        return self.observations

    def _observe(self) -> None:
        checks = self.scenario.settings.checks
        if checks == "life":
            life.observe(self)
        elif checks == "throughput":
            throughput.observe(self)
        elif checks == "id_map":
            wait_for(id_map.observe(self.launcher, self._stored, self.observations))
        else:
            with self.visit() as site:
                wait_for(SUITES[checks](site))

    def exec(self, command: str) -> Completed:
        """Run a command inside the container."""
        return wait_for(self.launcher.exec_async(command))

    def save_evidence(self) -> None:
        """Collect what shows how things stand, once, as far as the machine still answers."""
        if self._evidence_saved:
            return
        self._evidence_saved = True
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "console.txt").write_text(self.machine.console(), encoding="utf-8")
        try:
            wait_for(evidence.collect(self.launcher, self.folder), within=30)
        except (HarnessError, TimeoutError, OSError) as error:
            (self.folder / "incomplete.txt").write_text(f"{error}\n", encoding="utf-8")

    def stop(self) -> list[str]:
        """Stop as the operator would, take back the operator's steps, and look what is left.

        Returns:
            What the deployment left on the machine and the scenario does not know of, in words.
        """
        assert self._before is not None, "the machine was not looked at before"
        self.peers.remove()
        self.is_stopped = True
        with self.phase("stop"):
            by_hand.take_back(self.launcher, self.scenario.table.disturb)
            self.launcher.stop()
            by_hand.take_back(self.launcher, self.scenario.prepare)
        with self.phase("look after"):
            left = leaks.left_behind(self._before, wait_for(leaks.look(self.machine)))
            remains = [re.compile(each.what) for each in self.scenario.table.remains]
            left = [thing for thing in left if not any(r.fullmatch(thing) for r in remains)]
        self.observations.record("left on machine", "after stop", str(len(left)), things=left)
        return left

    def down(self) -> list[str]:
        """Take everything down, at once and in any state; a second call does nothing.

        Returns:
            What is left on this computer, in words.
        """
        if self.is_down:
            return []
        self.is_down = True
        with self.phase("down"):
            self.peers.forget()
            left = self.machine.destroy()
            self.world.close()
        self.observations.record("left on computer", "after down", str(len(left)), things=left)
        return left

    def leave(self) -> None:
        """Let go of the machine, which stays as it is."""
        self.is_down = True
        self.peers.forget()
        self.machine.shell.forget()
        self.world.close()
