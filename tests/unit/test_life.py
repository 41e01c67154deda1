"""When a mail server counts as answering or not, and what is told of it, without a machine."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from probes_support import listening

from harness import judge_life, patience
from harness.life import rest
from harness.life.engine import Container, _Life
from harness.life.mail import Mail
from harness.life.watch import Watch, watching
from harness.loop import background, wait_for
from harness.observations import Observations
from harness.scenario_expected import Seen
from harness.vantage import Vantage

RUNNING = "container running since 1 ActiveState=active SubState=running"


class Here:
    """Connects to this computer's loopback."""

    async def connect(self, host: str, port: int, source: str | None) -> Any:
        import socket

        sock = socket.socket()
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (host, port))
        return sock


HERE = Vantage("here_v4", "here", 4, "127.0.0.1", None, Here())


class Server:
    """Says a banner on a port of its own for as long as it is up."""

    def __init__(self, line: bytes = b"220 there\r\n") -> None:
        self.line = line
        sock = listening("127.0.0.1")
        self.port = int(sock.getsockname()[1])
        sock.close()
        self._server: asyncio.Server | None = None

    async def _said(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self.line)
        writer.close()

    def up(self) -> None:
        async def serve() -> None:
            self._server = await asyncio.start_server(self._said, "127.0.0.1", self.port)

        wait_for(serve())

    def down(self) -> None:
        assert self._server is not None
        background().call_soon_threadsafe(self._server.close)


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_watch_counts_the_seconds_without_an_answer() -> None:
    server = Server()
    server.up()
    with watching(HERE, server.port) as watch:
        until(lambda: watch.answers_since is not None)
        assert watch.away == 0
        server.down()
        until(lambda: watch.answers_since is None)
        gone = time.monotonic()
        until(lambda: watch.away > 0.4)
        server.up()
        until(lambda: watch.answers_since is not None)
        # Up to one question earlier, when the last one that failed began.
        assert watch.away == pytest.approx(time.monotonic() - gone, abs=0.5)
        away = watch.away
        time.sleep(0.3)
        assert watch.away == away
        assert watch.last_answer == "220 there"
    server.down()


def test_a_server_that_says_something_else_does_not_answer() -> None:
    server = Server(b"421 not now\r\n")
    server.up()
    with watching(HERE, server.port) as watch:
        until(lambda: watch.last_error != "")
        assert (watch.answers_since, watch.last_error) == (None, "421 not now")
    server.down()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (
        ("STEADY", 0.3),
        ("AT_REST", 0.3),
        ("UNANSWERED", 0.8),
        ("SETTLED_WITHIN", 2.0),
        ("LOOK_EVERY", 0.02),
    ):
        monkeypatch.setattr(rest, name, seconds)


def settled(monkeypatch: pytest.MonkeyPatch, state: str, watch: Watch) -> tuple[str, float]:
    """How it ends, and after how many seconds."""
    monkeypatch.setattr(rest, "state_of", lambda _: state)
    launcher: Any = None
    began = time.monotonic()
    return rest.settle(launcher, watch, watch.now), time.monotonic() - began


@pytest.mark.usefixtures("hasty")
def test_answers_must_go_on_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch()
    watch.answers_since = 0.0
    assert settled(monkeypatch, RUNNING, watch)[1] >= 0.3


@pytest.mark.usefixtures("hasty")
def test_what_answers_only_while_it_dies_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch()
    watch.answers_since = 0.0
    threading.Timer(0.1, lambda: setattr(watch, "answers_since", None)).start()
    said, _ = settled(monkeypatch, "there is no container", watch)
    assert said == "there is no container"


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    ("state", "least", "most"),
    [
        ("there is no container", 0.3, 0.75),
        (RUNNING, 0.8, 1.9),
        ("ActiveState=activating SubState=auto-restart", 2.0, 3.0),
    ],
)
def test_it_is_waited_longer_for_what_may_still_come(
    monkeypatch: pytest.MonkeyPatch, state: str, least: float, most: float
) -> None:
    said, seconds = settled(monkeypatch, state, Watch())
    assert said == state
    assert least <= seconds <= most


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("state", ["there is no container", RUNNING])
def test_on_a_slow_machine_it_is_waited_so_much_longer(
    monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    """Seen on an emulated machine: the mail server took 30 s to its greeting after a boot."""
    monkeypatch.setattr(rest, "SETTLED_WITHIN", 60.0)
    _, usual = settled(monkeypatch, state, Watch())
    monkeypatch.setattr(patience, "_factor", 3.0)
    _, slow = settled(monkeypatch, state, Watch())
    assert slow > usual * 2


class Machine:
    """Answers commands by their beginnings."""

    def __init__(self, answers: dict[str, str]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, str]] = []

    def run(self, command: str, user: str = "root", within: float = 60.0) -> Any:
        self.asked.append((user, command))
        for beginning, stdout in self.answers.items():
            if command.startswith(beginning):
                return SimpleNamespace(stdout=stdout, stderr="", status=0)
        raise AssertionError(command)


def launcher(machine: Machine, user: str = "mailop", unit: str | None = "dms") -> Any:
    table = SimpleNamespace(container="dms", unit=unit)
    return SimpleNamespace(machine=machine, user=user, scenario=SimpleNamespace(table=table))


def test_nobody_is_asked_who_is_logged_out() -> None:
    machine = Machine({"systemctl show --value -p ActiveState": "inactive\n"})
    assert rest.state_of(launcher(machine)) == "mailop is not logged in and has no systemd"
    assert {user for user, _ in machine.asked} == {"root"}


def test_the_state_is_the_containers_and_the_units() -> None:
    machine = Machine(
        {
            "systemctl show --value": "active\n",
            "podman ps": "container exited since 5\nActiveState=failed\n",
        }
    )
    assert rest.state_of(launcher(machine)) == "container exited since 5 ActiveState=failed"
    (_, asked) = machine.asked[-1]
    assert "systemctl --user show" in asked
    machine = Machine({"podman ps": ""})
    assert rest.state_of(launcher(machine, "root", None)) == "there is no container"


ONE, AGAIN = Container("1", "10:00", True), Container("1", "10:05", True)


@pytest.mark.parametrize(
    ("before", "now", "outcome"),
    [
        (ONE, ONE, "same"),
        (ONE, AGAIN, "restarted"),
        (ONE, Container("2", "10:00", True), "another"),
        (ONE, Container("1", "10:00", False), "stopped"),
        (ONE, None, "gone"),
        (None, ONE, "another"),
        (ONE, "mailop is logged out", "not asked"),
        ("mailop is logged out", ONE, "another"),
    ],
)
def test_containers_are_told_apart(before: Any, now: Any, outcome: str) -> None:
    life: Any = object.__new__(_Life)
    assert life._compared(before, now)[0] == outcome


class Queue:
    """A mail server with a queue, whose message leaves for the sink some looks after a flush."""

    def __init__(self, arrives: int, leaves: bool = True) -> None:
        self.arrives = arrives
        self.looks = 2 if leaves else 10**9
        self.put_off = {"queued-1@outside.example"}
        self.sink = self

    def find(self, nonce: str) -> list[str]:
        assert nonce == "queued-1"
        return ["message"] * (0 if self.looks else self.arrives)

    async def execute(self, command: str) -> Any:
        if command == "postqueue -f":
            assert not self.put_off
            return SimpleNamespace(stdout="")
        self.looks = max(0, self.looks - 1)
        line = '{"recipients": [{"address": "queued-1@outside.example", "delay_reason": "x"}]}'
        return SimpleNamespace(stdout=f"{line}\n" if self.looks else "")


@pytest.mark.parametrize(
    ("queue", "outcome"),
    [
        (Queue(1), "arrived once"),
        (Queue(2), "arrived 2 times"),
        (Queue(0), "lost"),
        (Queue(1, leaves=False), "still queued"),
    ],
)
def test_the_queued_message_is_counted_when_it_has_left(
    monkeypatch: pytest.MonkeyPatch, queue: Any, outcome: str
) -> None:
    monkeypatch.setattr("harness.life.mail.SENT_WITHIN", 1.0)
    mail: Any = Mail()
    mail._queued, mail._recipient = "queued-1", "queued-1@outside.example"
    seen, details = asyncio.run(mail.sent_at_last(queue))
    assert seen == outcome
    assert bool(details["queue"]) is (outcome == "still queued")


def seen_row(**more: str) -> Seen:
    row = {"of": "container", "after": "kill_it", "is": "same|another", "why": "of that"} | more
    return Seen.model_validate(row)


def test_the_whole_outcome_must_be_the_expected_one() -> None:
    observations = Observations("demo")
    observations.record("life", "container after kill it", "another")
    judge_life.is_seen(observations, seen_row())
    observations.record("life", "container after kill it", "another one")
    with pytest.raises(AssertionError, match="seen: life container after kill it: another one"):
        judge_life.is_seen(observations, seen_row())


def test_what_was_not_looked_at_is_not_held() -> None:
    with pytest.raises(AssertionError, match="not observed"):
        judge_life.is_seen(Observations("demo"), seen_row())
