"""One virtual machine serves one deployment after another, and goes whatever happens."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from keeper_support import until

from harness import cache, patience
from harness.errors import HostError, MachineError
from harness.machines.options import MachineOptions
from harness.machines.stock import Network
from harness.machines.vagrant import stock as stock_module
from harness.machines.vagrant.machine import VagrantMachine
from harness.machines.vagrant.stock import SLOWNESS, VagrantStock
from harness.memory_locks import held
from harness.room import Room


class FakeKeeper:
    """Remembers Vagrant's commands; `refused` maps one of them to what it fails with."""

    def __init__(self, folder: Path) -> None:
        self.cache = folder
        self.socket = folder / "keeper.sock"
        self.commands: list[str] = []
        self.accelerators: list[str] = []
        self.refused: dict[str, list[str]] = {}
        self.is_open = False

    def call(self, verb: str, **given: Any) -> dict[str, Any]:
        if verb == "open_outside":
            self.is_open = True
            return {"bridge": "dmsbridge", "domain": "machine-x-vm", "console": "/console"}
        if verb == "close_outside":
            self.is_open = False
            return {"left": []}
        if verb == "vagrant":
            assert self.is_open, "the machine is written down before Vagrant is asked for it"
            words = [word for word in given["command"][1:] if not word.startswith("--")]
            self.commands.append(" ".join(words))
            self.accelerators.append(given["environment"]["DMS_VAGRANT_ACCELERATOR"])
            if self.refused.get(words[0]):
                raise OSError(self.refused[words[0]].pop())
            return {"last": []}
        return {"text": "the console's last words", "state": "running"}

    def is_gone(self) -> bool:
        return False


class FakeManagement:
    """The machine over Vagrant's network."""

    user = "mailop"

    def __init__(self) -> None:
        self.written: list[str] = []
        self.happened: list[str] = []
        self.shell = SimpleNamespace(forget=lambda: None, log_out=self._log_out)

    async def _log_out(self, user: str) -> None:
        self.happened.append(f"{user} logs out")

    def wait_until_answering(self, _: float) -> None: ...

    def succeed(self, command: str) -> None:
        self.happened.append(command)

    def write_file(self, _: str, text: str) -> None:
        self.written.append(text)

    def run(self, _: str, __: str = "root") -> Any:
        return SimpleNamespace(status=0)

    def destroy(self) -> None: ...


@pytest.fixture
def keeper(tmp_path: Path) -> FakeKeeper:
    return FakeKeeper(tmp_path)


@pytest.fixture
def management() -> FakeManagement:
    return FakeManagement()


@pytest.fixture
def stock(
    keeper: FakeKeeper, management: FakeManagement, monkeypatch: pytest.MonkeyPatch
) -> VagrantStock:
    monkeypatch.setattr(patience, "_factor", 1.0)
    monkeypatch.setattr(stock_module, "kvm_boots", lambda: (True, "KVM boots"))
    monkeypatch.setattr(stock_module, "furnish", lambda *_: management)
    monkeypatch.setattr(stock_module, "made_of", lambda _: {"host_key": "ssh-ed25519 AAAA"})
    monkeypatch.setattr(stock_module, "of_kernel", lambda _: {"selinux": "absent"})
    anything: Any = keeper
    return VagrantStock(anything, anything, MachineOptions(machine="vagrant"), lambda _: None)


def test_it_is_put_back_to_the_snapshot_before_each_but_the_first(
    stock: VagrantStock, keeper: FakeKeeper, management: FakeManagement
) -> None:
    stock.prepare()
    stock.prepare()  # once is enough
    assert keeper.commands == ["up", "snapshot save ready"]
    for name, network in (("m1", Network()), ("m2", Network("eth9", (4,)))):
        machine = stock.fork(name, network)
        machine.start()
        assert machine.destroy() == []
    assert keeper.commands[2:] == ["snapshot restore ready"]
    assert ["enp1s0" in text for text in management.written] == [True, False]


def test_its_memory_is_set_aside_as_long_as_it_is_there(
    stock: VagrantStock, keeper: FakeKeeper
) -> None:
    assert held(keeper.cache) == []
    stock.prepare()
    assert [(each.megabytes, each.is_starting) for each in held(keeper.cache)] == [(2248, False)]
    stock.close()
    assert held(keeper.cache) == []


def test_its_memory_is_given_back_where_it_does_not_come_up(
    stock: VagrantStock, keeper: FakeKeeper
) -> None:
    keeper.refused = {"up": ["no"]}
    with pytest.raises(MachineError):
        stock.prepare()
    assert held(keeper.cache) == []


def test_it_waits_until_there_is_memory_for_it(stock: VagrantStock, keeper: FakeKeeper) -> None:
    stock._room.budget = 2500
    other = Room(keeper.cache).ask()
    assert other.now(600)
    waiting = threading.Thread(target=stock.prepare)
    waiting.start()
    waiting.join(0.5)
    assert keeper.commands == []
    other.leave()
    waiting.join(10)
    assert keeper.commands[0] == "up"


def test_it_comes_up_when_no_other_process_brings_one_up(
    stock: VagrantStock, keeper: FakeKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(stock, "_say", said.append)
    coming = threading.Thread(target=stock.prepare)
    with cache.exclusive(keeper.cache, "vagrant-up", lambda: None):
        coming.start()
        assert until(lambda: any("another process" in line for line in said), 10)
        assert keeper.commands == []
    coming.join(10)
    assert keeper.commands == ["up", "snapshot save ready"]
    with cache.exclusive(keeper.cache, "vagrant-up", lambda: pytest.fail("it is still held")):
        pass


def test_budget_that_is_too_small_for_it_is_an_error(keeper: FakeKeeper) -> None:
    anything: Any = keeper
    options = MachineOptions(machine="vagrant", memory_budget=2000)
    with pytest.raises(HostError, match="--memory-budget 2000: a machine takes 2248 MB"):
        VagrantStock(anything, anything, options, lambda _: None)


def test_nobody_is_logged_in_when_the_snapshot_is_taken(
    stock: VagrantStock, keeper: FakeKeeper, management: FakeManagement
) -> None:
    """A session in a snapshot never ends, and a user who has one is never logged out."""
    seen: list[list[str]] = []
    original = keeper.call

    def call(verb: str, **given: Any) -> dict[str, Any]:
        if given.get("command", [])[1:3] == ["snapshot", "save"]:
            seen.append(list(management.happened))
        return original(verb, **given)

    keeper.call = call  # type: ignore[method-assign]
    stock.prepare()
    [[logged_out, waited]] = seen
    assert logged_out == "mailop logs out"
    assert "while loginctl show-user mailop" in waited


def test_the_next_deployment_waits_for_the_one_before(
    stock: VagrantStock, keeper: FakeKeeper
) -> None:
    stock.prepare()
    first, second = stock.fork("m1"), stock.fork("m2")
    first.start()
    waiting = threading.Thread(target=second.start)
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()
    first.destroy()
    waiting.join(5)
    assert not waiting.is_alive()
    assert keeper.commands[-1] == "snapshot restore ready"
    second.destroy()


def test_a_reset_that_fails_does_not_keep_the_machine(
    stock: VagrantStock, keeper: FakeKeeper
) -> None:
    stock.prepare()
    stock.fork("m1").start()
    stock._free.release()
    keeper.refused = {"snapshot": ["no such snapshot"]}
    failing = stock.fork("m2")
    with pytest.raises(MachineError, match="vagrant snapshot failed"):
        failing.start()
    assert failing.destroy() == []
    assert stock._free.acquire(blocking=False)
    assert not stock._free.acquire(blocking=False)


def test_one_that_was_never_started_gives_nothing_back(stock: VagrantStock) -> None:
    stock.prepare()
    stock.fork("m1").destroy()
    assert stock._free.acquire(blocking=False)
    assert not stock._free.acquire(blocking=False)


def test_where_it_does_not_come_up_nothing_is_left_and_the_console_is_shown(
    stock: VagrantStock, keeper: FakeKeeper
) -> None:
    keeper.refused = {"up": ["vagrant up did not end within 900 s"]}
    with pytest.raises(MachineError) as error:
        stock.prepare()
    assert "never got an address" in error.value.message
    assert "the console's last words" in error.value.hint
    assert keeper.commands == ["up", "destroy"]
    assert not keeper.is_open


def test_where_kvm_does_not_work_after_all_it_goes_on_slowly(
    stock: VagrantStock, keeper: FakeKeeper
) -> None:
    assert patience.patient(1) == 1
    keeper.refused = {"up": ["qemu: failed to initialize kvm: No such device"]}
    stock.prepare()
    assert keeper.commands[:3] == ["up", "destroy", "up"]
    assert keeper.accelerators[:3] == ["kvm", "kvm", "tcg"]
    assert patience.patient(1) == SLOWNESS


def test_what_vagrant_cannot_destroy_is_removed_all_the_same(
    stock: VagrantStock, keeper: FakeKeeper
) -> None:
    stock.prepare()
    keeper.refused = {"destroy": ["Vagrant has lost its mind"]}
    assert stock.close() == []
    assert not keeper.is_open
    assert stock.close() == []


class FakeTearDown:
    """Takes back what a deployment did; `fails` says that it cannot."""

    fails = False

    def __init__(self, _: object) -> None:
        self.taken_back: list[str] = []

    def put_back(self, machine: VagrantMachine, _: object) -> None:
        if self.fails:
            raise MachineError(f"{machine.name} is not as it was")
        self.taken_back.append(machine.name)


@pytest.fixture
def without_snapshots(
    stock: VagrantStock, keeper: FakeKeeper, monkeypatch: pytest.MonkeyPatch
) -> VagrantStock:
    monkeypatch.setattr(stock_module, "TearDown", FakeTearDown)
    keeper.refused = {"snapshot": ["This provider doesn't support snapshots."]}
    stock.prepare()
    return stock


def test_without_snapshots_what_a_deployment_did_is_taken_back(
    without_snapshots: VagrantStock, keeper: FakeKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached: list[str] = []
    monkeypatch.setattr(VagrantMachine, "wait_until_answering", lambda *_: None)
    monkeypatch.setattr(VagrantMachine, "succeed", lambda *_: "")
    monkeypatch.setattr(
        VagrantMachine, "write_file", lambda machine, *_: reached.append(machine.network.interface)
    )
    for name, network in (("m1", Network("eth9")), ("m2", Network())):
        machine = without_snapshots.fork(name, network)
        machine.start()
        machine.destroy()
    made: Any = without_snapshots._tear_down
    assert made.taken_back == ["m1", "m2"]
    assert keeper.commands == ["up", "snapshot save ready"]
    # The second is told over the network that the first had: Vagrant's own is off.
    assert reached == ["eth9"]


def test_what_cannot_be_taken_back_is_made_anew(
    without_snapshots: VagrantStock, keeper: FakeKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeTearDown, "fails", True)
    machine = without_snapshots.fork("m1")
    machine.start()
    machine.destroy()
    assert keeper.commands == ["up", "snapshot save ready", "destroy", "up", "snapshot save ready"]
    assert without_snapshots._free.acquire(blocking=False)
