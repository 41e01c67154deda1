"""One scenario variant on one machine, from the fork to the tear-down."""

from __future__ import annotations

import asyncio
import io
import re
import shlex
import tarfile
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from harness import authority, evidence, id_map, leaks
from harness.addresses import GATEWAY
from harness.errors import CommandError, DeploymentError, HarnessError
from harness.follow import Follower
from harness.launchers import launcher_for
from harness.loop import wait_for
from harness.machines.base import BaseMachine
from harness.machines.execution import Completed
from harness.observations import Observations
from harness.outside.world import DOMAIN, World
from harness.peers import Peers
from harness.probes.suite import SUITES
from harness.scenario import Scenario
from harness.scenario_table import Step
from harness.site import PORT_OF, Site
from harness.vantage import Family, Turns, Vantage

if TYPE_CHECKING:
    from podman import PodmanClient

READY_WITHIN = 90.0
"""Seconds from the launcher's word to the mail server's greeting. DMS itself needs 3 to 6."""
POLL = 0.05
"""Seconds between two looks at something that sends no event."""
GREETING_WITHIN = 1.0
"""Seconds that one attempt to be greeted may take before the next."""
EVENT = re.compile(r" (podman|conmon)\[\d+\]: ")
"""What podman notes in a unit's journal about a container; its errors go under the unit's name."""
LISTENER = re.compile(r'users:\(\("([^"]+)"')
"""The process that listens on a port, in the words of `ss`."""
LAST_WORDS = 24
"""Lines of the log in an error: more than a mail server writes that gives up at its start."""


class Deployment:
    """A scenario variant that is being deployed, or is.

    Args:
        scenario: what to deploy.
        machine: where; not yet started.
        observations: where facts go.
        folder: where evidence goes.
        say: tells the user what is being done.

    Attributes:
        failure: why the mail server did not come up, or None.
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
        self._log: Follower | None = None
        self._observed = False
        self._evidence_saved = False
        self._is_down = False

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Measure a phase; its seconds are an observation."""
        self.say(name)
        started = time.monotonic()
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
                self.prepare()
            if self.scenario.settings.checks == "id_map":
                self._stored = wait_for(id_map.storage_bytes(self.launcher))
            with self.phase("start"):
                self._start()
            with self.phase("ready"):
                self.wait_until_ready()
            if self.scenario.settings.checks == "matrix":
                self._peer_vantages = self.peers.start()
        except (CommandError, DeploymentError) as error:
            self.failure = error
            self.observations.record("deployment", "start", "failed", why=str(error))
            self.save_evidence()
            return
        if self.scenario.table.disturb:
            try:
                with self.phase("disturb"):
                    self._take(self.scenario.table.disturb)
            except HarnessError:
                self.save_evidence()
                raise

    def boot(self) -> None:
        """Fork the machine, boot it, and open the outside world.

        Raises:
            HarnessError: the machine failed; its console has been saved.
        """
        try:
            with self.phase("boot"):
                self.machine.start()
                self.world.open()
                self.machine.wait_until_up()
            for fact, value in self.machine.facts.items():
                self.observations.record("machine", fact, value)
            reachable = self.scenario.reachable
            checks = self.scenario.settings.checks
            self.observations.record(
                "scenario", "reachable", str(len(reachable)), vantages=reachable, checks=checks
            )
            if self.scenario.is_first:
                with self.phase("look before"):
                    self._before = wait_for(leaks.look(self.machine))
        except HarnessError:
            self.save_evidence()
            raise

    def prepare(self) -> None:
        """Put the operator's files in their places and take the operator's steps.

        Raises:
            CommandError: a step failed.
        """
        self.machine.succeed(
            "tar --extract --absolute-names --no-same-owner --file=-",
            self.launcher.user,
            stdin=self._files(),
        )
        self._take(self.scenario.prepare)

    def _take(self, steps: Sequence[Step]) -> None:
        for step in steps:
            self._by_hand(step, step.run)

    def _take_back(self, steps: Sequence[Step]) -> None:
        for step in reversed(steps):
            if step.undo:
                self._by_hand(step, step.undo)

    def _by_hand(self, step: Step, command: str) -> None:
        user = "root" if step.user == "root" else self.machine.user
        self.machine.succeed(f"bash -c {shlex.quote(command)}", user)

    def _files(self) -> bytes:
        """The operator's files as a tar archive, relative to the operator's home."""
        table = self.scenario.table
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:

            def add(path: str, data: bytes, mode: int = 0o644) -> None:
                member = tarfile.TarInfo(path.removeprefix("~/"))
                member.size = len(data)
                member.mode = mode
                member.mtime = int(time.time())
                archive.addfile(member, io.BytesIO(data))

            for name, place in self.scenario.place.items():
                if name == table.env_file:
                    add(place, self.scenario.environment().encode())
                    continue
                for path, file in self.scenario.files(name).items():
                    add(f"{place}/{path}".rstrip("/"), file.read_bytes())
            for hostname, place in table.certificates.items():
                chain, key = authority.certificate(hostname)
                add(f"{place}/fullchain.pem", chain)
                add(f"{place}/privkey.pem", key, 0o600)
        return buffer.getvalue()

    def _start(self) -> None:
        try:
            self.launcher.start()
        except CommandError as error:
            raise DeploymentError(
                f"{self.scenario.id}: the launcher does not start the mail server: {error}\n"
                f"{self._last_words()}",
                f"evidence: {self.folder}",
            ) from None

    def _last_words(self) -> str:
        """The end of the log: what the mail server, or podman, had to say."""
        log = self.launcher.log().splitlines()
        return "\n".join([line for line in log if not EVENT.search(line)][-LAST_WORDS:])

    def wait_until_ready(self) -> None:
        """Wait until the mail server greets on its SMTP port.

        An open port is no sign of it: port forwarders accept before there is anything behind.
        postscreen must not have met any of the probes' clients. So the client is the gateway, on
        the published port; where nobody outside is expected to get through, it is the container
        itself.

        Raises:
            DeploymentError: it never will, or did not within `READY_WITHIN`, or within what the
                scenario says.
        """
        within = self.scenario.settings.expect.within or READY_WITHIN
        deadline = time.monotonic() + within
        next_look = time.monotonic() + 2.0
        family = self.scenario.outside_family
        port = self.scenario.table.publish["smtp"] if family else PORT_OF["smtp"]
        where = "port" if family else "the container's own port"
        while not wait_for(self._greeted(family, port)):
            trouble = ""
            if time.monotonic() > next_look:
                trouble = self.launcher.trouble()
                next_look = time.monotonic() + 1.0
            if time.monotonic() > deadline:
                trouble = f"no greeting on {where} {port} within {within:.0f} s"
            if trouble:
                raise DeploymentError(
                    f"{self.scenario.id}: the mail server does not come up: {trouble}\n"
                    f"{self._last_words()}",
                    f"evidence: {self.folder}",
                )
            time.sleep(POLL)
        self._wait_for_addresses(deadline)

    def _wait_for_addresses(self, deadline: float) -> None:
        """Wait until the container's IPv6 addresses are usable.

        For 1 to 2 s after its start the kernel checks the link-local one for duplicates. pasta
        loses connections from the machine's own address that come in that time (seen with passt
        2025-05-03). docker-mailserver takes longer than that to start; the stand-in does not.
        """
        # The fifth field holds the flags; 0x40 is IFA_F_TENTATIVE.
        tentative = "^([^ ]+ ){4}[4-7c-f][0-9a-f] "
        look = f"while grep -qE {shlex.quote(tentative)} /proc/net/if_inet6; do sleep 0.05; done"
        within = max(1, int(deadline - time.monotonic()))
        done = self.exec(f"timeout {within} sh -c {shlex.quote(look)}")
        if done.status != 0:
            shown = self.exec("cat /proc/net/if_inet6").stdout
            raise DeploymentError(
                f"{self.scenario.id}: the container's IPv6 addresses stay tentative:\n"
                f"{done.stderr}{shown}",
                f"evidence: {self.folder}",
            )

    async def _greeted(self, family: Family | None, port: int) -> bool:
        """Whether the mail server greets the gateway, or without a family the container itself."""
        if family is None:
            ask = f"exec 3<>/dev/tcp/127.0.0.1/{port} && head -c 3 <&3"
            done = await self.launcher.exec_async(
                f"timeout {GREETING_WITHIN} bash -c {shlex.quote(ask)}"
            )
            return done.stdout == "220"
        try:
            async with asyncio.timeout(GREETING_WITHIN):
                sock = await self.machine.outside.connect(
                    self.machine.address[family], port, GATEWAY[family]
                )
                with sock:
                    return (await asyncio.get_running_loop().sock_recv(sock, 3)) == b"220"
        except (OSError, TimeoutError):
            return False

    def _look_at_forwarder(self) -> None:
        """Note what listens for clients on the machine, and whether they must take turns there."""
        port = self.scenario.table.publish["smtp"]
        shown = self.machine.run(f"ss -Hltnp sport = :{port}").stdout
        listening = LISTENER.search(shown)
        forwarder = listening.group(1) if listening else "nothing"
        self.observations.record("forwarder", str(port), forwarder, line=shown.strip())
        if forwarder == "slirp4netns":
            self._turns = defaultdict(asyncio.Lock)

    def site(self) -> Site:
        """The deployed mail server as the probes see it."""
        table = self.scenario.table
        self._log = Follower(
            lambda: self.machine.shell.session(self.launcher.user),
            f"podman exec {shlex.quote(table.container)} tail -n +1 -F /var/log/mail/mail.log",
        )
        return Site(
            hostname=table.hostname,
            domain=self.scenario.domain,
            address=self.machine.address[min(table.families)],
            accounts=self.scenario.accounts,
            alias=table.alias,
            published={port: service for service, port in table.publish.items()},
            unpublished=self.scenario.closed_ports + self.scenario.forwarded_ports,
            vantages=self.world.vantages(table.families, self._turns) + self._peer_vantages,
            outside_domain=DOMAIN,
            sink=self.world.sink,
            smart_host=self.world.smart_host,
            tls=authority.trusting(),
            mail_log=self._log.text,
            execute=self.launcher.exec_async,
            observations=self.observations,
        )

    def observe(self) -> Observations:
        """Run all probes, once; later calls return what was seen then."""
        if not self._observed:
            self._observed = True
            self._look_at_forwarder()
            with self.phase("probes"):
                wait_for(self._observe())
            for query in self.world.dns.queries:
                self.observations.record(
                    "dns", f"{query.type} {query.name}", "asked", client=query.client
                )
        return self.observations

    async def _observe(self) -> None:
        site = self.site()
        try:
            await SUITES[self.scenario.settings.checks](site)
            if self.scenario.settings.checks == "id_map":
                await id_map.observe(self.launcher, self._stored, self.observations)
        finally:
            if self._log is not None:
                self._log.close()

    def exec(self, command: str) -> Completed:
        """Run a command inside the container."""
        return wait_for(self.launcher.exec_async(command))

    @contextmanager
    def podman(self) -> Iterator[PodmanClient]:
        """A client of the machine's podman API, that of the deployment's user."""
        from podman import PodmanClient

        user = self.launcher.user
        uid = self.machine.succeed("id -u", user).strip()
        runtime = "/run" if user == "root" else f"/run/user/{uid}"
        with tempfile.TemporaryDirectory(prefix="dms-podman-") as folder:
            local = Path(folder) / "podman.sock"
            self.machine.forward(f"{runtime}/podman/podman.sock", local, user)
            with PodmanClient(base_url=f"unix://{local}") as client:
                yield client

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
        with self.phase("stop"):
            self._take_back(self.scenario.table.disturb)
            self.launcher.stop()
            self._take_back(self.scenario.prepare)
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
        if self._is_down:
            return []
        self._is_down = True
        with self.phase("down"):
            self.peers.forget()
            left = self.machine.destroy()
            self.world.close()
        self.observations.record("left on computer", "after down", str(len(left)), things=left)
        return left
