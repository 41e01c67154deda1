"""A pytest plugin: deployments that need no machine, and whose phases end when they are told to.

A phase of a variant ends when there is a file of the name `VARIANT.PHASE` or `PHASE` in the folder
`FAKE_GATES`; all do at once without that variable. A phase with a file `VARIANT.PHASE.fails` fails.
In the phases that `FAKE_BREAKS` names, `VARIANT.PHASE` or `VARIANT.PHASE.once`, the machine breaks.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import podman  # noqa: F401 - while tests are run it would warn of what nobody needs

import harness.deployment
import harness.machines.choice
import harness.mailserver.choose
from harness.addresses import CLIENTS
from harness.errors import DeploymentError, MachineError
from harness.machines.choice import Choice
from harness.mailserver.image import Label
from harness.observations import Observations
from harness.pytest_run import Run
from harness.scenario import Scenario

FACTS = {
    "distribution": "debian 13",
    "podman": "podman version 5.4.2",
    "systemd": "systemd 257 (257.8)",
    "kernel": "6.18",
}
OWN = {f"{c.place}_v{family}": c.addresses[family] for c in CLIENTS for family in c.addresses}


BROKEN: set[str] = set()
"""What has broken already."""


class FakeKeeper:
    """A keeper that has nothing to keep."""

    def call(self, verb: str, *_: object, **__: object) -> dict[str, Any]:
        return {"swept": os.environ.get("FAKE_SWEPT", "").split()}

    def is_gone(self) -> bool:
        return False

    def close(self) -> str:
        return ""


class FakeMachine:
    """A machine that is nothing but a name."""

    begun = None
    is_destroyed = False

    def __init__(self, name: str) -> None:
        self.name = name

    def start(self) -> None:
        pass

    def ended(self) -> str:
        return ""

    def destroy(self) -> list[str]:
        self.is_destroyed = True
        return []


class FakeStock:
    """Such machines."""

    limit = None
    proof = ""
    facts = FACTS

    def prepare(self) -> None:
        pass

    def fork(self, name: str, _: object = None) -> FakeMachine:
        return FakeMachine(name)

    def close(self) -> list[str]:
        return []


class FakeDeployment:
    """A deployment whose observations are as its scenario expects them."""

    def __init__(
        self,
        scenario: Scenario,
        machine: FakeMachine,
        observations: Observations,
        folder: Path,
        say: Callable[[str], None],
    ) -> None:
        self.scenario = scenario
        self.machine = machine
        self.observations = observations
        self.folder = folder
        self.say = say
        self.failure: DeploymentError | None = None
        self.is_down = False
        self._observed = False

    def _phase(self, name: str) -> None:
        self.say(name)
        broken = f"{self.scenario.id}.{name}"
        breaks = os.environ.get("FAKE_BREAKS", "").split()
        if broken in breaks or (f"{broken}.once" in breaks and broken not in BROKEN):
            BROKEN.add(broken)
            raise MachineError(f"{self.machine.name} breaks in {name}\nas it was told to")
        if gates := os.environ.get("FAKE_GATES"):
            opened = [Path(gates) / name, Path(gates) / f"{self.scenario.id}.{name}"]
            failing = Path(gates) / f"{self.scenario.id}.{name}.fails"
            while not any(gate.exists() for gate in opened):
                if failing.exists():
                    raise DeploymentError(f"{self.scenario.id}: {name} fails\nas it was told to")
                if self.machine.is_destroyed:
                    raise MachineError("the machine is gone")
                time.sleep(0.01)
        self.observations.record("phase", name, "ended", seconds=0.1)

    def boot(self) -> None:
        self._phase("boot")
        for fact, value in FACTS.items():
            self.observations.record("machine", fact, value)
        checks, reachable = self.scenario.settings.checks, self.scenario.reachable
        self.observations.record(
            "scenario", "reachable", str(len(reachable)), vantages=reachable, checks=checks
        )

    def up(self) -> None:
        try:
            self._phase("start")
        except DeploymentError as error:
            self.failure = error
            self.save_evidence()
            self.observations.record("deployment", "start", "failed", why=str(error))

    def observe(self) -> Observations:
        if not self._observed:
            self._observed = True
            self._phase("probes")
            for vantage in self.scenario.reachable:
                for service, port in self.scenario.table.publish.items():
                    self.observations.record("port", str(port), "answers", vantage, service=service)
                seen, _ = self.scenario.client_address(vantage)
                self.observations.record("client_address", "smtp", seen, vantage)
                outcome = "relayed" if vantage in self.scenario.relays_from else "refused"
                self.observations.record("relay", "external-to-external", outcome, vantage)
            self.observations.record("delivery", "outside to mailbox", "unchanged", "x_v4")
            self.observations.record("outgoing", "submission", "unchanged", "x_v4")
        return self.observations

    def save_evidence(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "mail.log").write_text("a line of the log\n")
        (self.folder / "console.txt").write_text("a line of the console\n")

    def down(self) -> list[str]:
        self.is_down = True
        self.machine.destroy()
        return []


def _kept() -> Future[Any]:
    coming: Future[Any] = Future()
    coming.set_result(FakeKeeper())
    return coming


class FakeImage:
    label = Label("stand-in", "standin-1", "asked for")

    def __init__(self, *_: object, **__: object) -> None: ...


def _opener(_: object, __: object, say: Callable[[str], None]) -> Callable[[object], FakeStock]:
    def opened(_: object) -> FakeStock:
        if gates := os.environ.get("FAKE_GATES"):
            say("machine: installing packages")
            while not (Path(gates) / "machine").exists():
                time.sleep(0.01)
        return FakeStock()

    return opened


replaced: Any = Run
replaced.keeper = property(lambda _: _kept())
harness.deployment.Deployment = FakeDeployment  # type: ignore[assignment,misc]
harness.machines.choice.choose_machine = lambda options: Choice("nspawn", "made up", options)
harness.machines.choice.stock_opener = _opener  # type: ignore[assignment]
harness.mailserver.choose.choose = FakeImage  # type: ignore[assignment]
