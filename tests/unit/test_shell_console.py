"""The shell's lines: how they are read, what they call, and with which status they end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from types import SimpleNamespace
from typing import Any, cast

import pytest
from mail_server_support import ALICE, BOB, DOMAIN, OUTSIDE
from probes_support import vantage

from harness.errors import HarnessError
from harness.machines.execution import Completed
from harness.observations import Observation
from harness.shell.console import Console
from harness.shell.mail import Mailbox, Sent
from harness.shell.visit import Visit

NAMES = ["outside_lan_a_v4", "outside_far_v4", "outside_far_v6", "localhost_v4"]


class FakeVisit:
    """Notes what it is asked, and answers what it is told to."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.seen: list[Observation] = []
        self.done = Completed("", "said\n", "", 0, 0.0)
        self.sent = Sent("s@x", "r@x", outcome="arrived", arrived=True)
        self.box = Mailbox("imaps")
        self.raises: BaseException | None = None
        self.site = SimpleNamespace(
            vantages=[vantage(name) for name in NAMES],
            accounts=[ALICE, BOB],
            recipient=ALICE,
            domain=DOMAIN,
            outside_domain=OUTSIDE,
            published={25: "smtp", 465: "submissions", 993: "imaps"},
        )
        self.main = self.site.vantages[0]

    def vantages(self, words: Sequence[str]) -> list[Any]:
        found = [v for v in self.site.vantages if not words or v.name.startswith(tuple(words))]
        if not found:
            raise HarnessError(f"{words[0]!r} is no vantage", "outside_far is")
        return found

    def _note(self, *call: Any) -> None:
        self.calls.append(call)
        if self.raises is not None:
            raise self.raises

    def ports(self, vantages: Sequence[Any]) -> list[Observation]:
        self._note("ports", *(v.name for v in vantages))
        return self.seen

    def who(self, vantages: Sequence[Any]) -> list[Observation]:
        self._note("who", *(v.name for v in vantages))
        return self.seen

    def relay(self, vantages: Sequence[Any], every_form: bool) -> list[Observation]:
        self._note("relay", every_form, *(v.name for v in vantages))
        return self.seen

    def send(self, place: Any, recipient: str, service: str) -> Sent:
        self._note("send", place.name, recipient, service)
        return self.sent

    def fetch(self, account: Any) -> Mailbox:
        self._note("fetch", account.address)
        return self.box

    def log(self, lines: int) -> Completed:
        self._note("log", lines)
        return self.done

    def execute(self, command: str) -> Completed:
        self._note("exec", command)
        return self.done

    def on_machine(self, command: str, operator: bool = False) -> Completed:
        self._note("operator" if operator else "machine", command)
        return self.done


@pytest.fixture
def visit() -> FakeVisit:
    return FakeVisit()


@pytest.fixture
def console(visit: FakeVisit) -> Console:
    return Console(cast("Visit", visit), ["what is where"])


@pytest.mark.parametrize(
    ("line", "call"),
    [
        ("ports", ("ports", *NAMES)),
        ("ports localhost outside_far_v6", ("ports", "outside_far_v6", "localhost_v4")),
        ("who outside_far", ("who", "outside_far_v4", "outside_far_v6")),
        ("relay", ("relay", False, "outside_lan_a_v4")),
        ("relay outside_far", ("relay", False, "outside_far_v4", "outside_far_v6")),
        ("relay all", ("relay", True, "outside_lan_a_v4")),
        ("relay localhost_v4 all", ("relay", True, "localhost_v4")),
        ("send", ("send", "outside_lan_a_v4", ALICE.address, "submissions")),
        ("send smtp localhost_v4", ("send", "localhost_v4", ALICE.address, "smtp")),
        (f"send {BOB.address}", ("send", "outside_lan_a_v4", BOB.address, "submissions")),
        (f"send x@{OUTSIDE} smtp", ("send", "outside_lan_a_v4", f"x@{OUTSIDE}", "smtp")),
        ("fetch", ("fetch", ALICE.address)),
        ("fetch bob", ("fetch", BOB.address)),
        (f"fetch {BOB.address}", ("fetch", BOB.address)),
        ("log", ("log", 30)),
        ("log 5", ("log", 5)),
        ("exec postconf -n | head -1", ("exec", "postconf -n | head -1")),
        ("machine echo 'a  b'", ("machine", "echo 'a  b'")),
        ("operator podman ps", ("operator", "podman ps")),
    ],
)
def test_a_line_is_taken_as_it_is_meant(
    console: Console, visit: FakeVisit, line: str, call: tuple[Any, ...]
) -> None:
    assert console.onecmd(line) is False
    assert visit.calls == [call]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("relay outside_fra", "outside_far is"),
        ("send submission", "by smtp, submissions"),
        ("send imaps", "by smtp, submissions"),
        ("send outside_far", "more than one vantage"),
        ("send x@elsewhere.test", "nobody would receive mail for elsewhere.test here"),
        ("fetch carol", f"there are {ALICE.address}, {BOB.address}"),
        ("log many", "'many' is no number of lines"),
        ("log 0", "'0' is no number of lines"),
        ("exec", "which command?"),
        ("rely", "did you mean relay?"),
        ("help rely", "did you mean relay?"),
    ],
)
def test_a_line_that_cannot_be_meant_is_told_and_calls_nothing(
    console: Console,
    visit: FakeVisit,
    capsys: pytest.CaptureFixture[str],
    line: str,
    said: str,
) -> None:
    assert console.follow([line]) == 2
    assert said in capsys.readouterr().out
    assert visit.calls == []


def test_the_status_is_that_of_the_first_line_that_did_not_end_well(
    console: Console, visit: FakeVisit
) -> None:
    def statuses() -> Iterator[str]:
        yield "exec true"
        visit.done = Completed("", "", "no\n", 7, 0.0)
        yield "machine false"
        visit.done = Completed("", "", "", 9, 0.0)
        yield "machine false"

    assert console.follow(statuses()) == 7
    assert len(visit.calls) == 3


def test_no_lines_are_no_failure(console: Console) -> None:
    assert console.follow([]) == 0
    assert console.follow(["", "   ", "info", "help"]) == 0


def test_nothing_is_done_after_exit(console: Console, visit: FakeVisit) -> None:
    assert console.follow(["exec one", "exit", "exec two"]) == 0
    assert visit.calls == [("exec", "one")]


def test_an_empty_line_does_not_repeat_the_last(console: Console, visit: FakeVisit) -> None:
    console.follow(["exec once", "", ""])
    assert visit.calls == [("exec", "once")]


@pytest.mark.parametrize(
    ("raised", "status", "said"),
    [
        (KeyboardInterrupt(), 130, "exec: interrupted"),
        (HarnessError("the keeper is gone", "clean"), 2, "exec: the keeper is gone"),
        (TimeoutError(), 2, "exec: TimeoutError()"),
        (CancelledError(), 2, "exec: it was given up"),
    ],
)
def test_what_breaks_a_command_off_does_not_end_the_shell(
    console: Console,
    visit: FakeVisit,
    capsys: pytest.CaptureFixture[str],
    raised: BaseException,
    status: int,
    said: str,
) -> None:
    visit.raises = raised
    assert console.follow(["exec something", "info"]) == status
    out = capsys.readouterr().out
    assert said in out
    assert "what is where" in out


def test_what_ends_the_process_is_not_held_up(console: Console, visit: FakeVisit) -> None:
    visit.raises = SystemExit(129)
    with pytest.raises(SystemExit):
        console.follow(["exec something"])


def test_help_has_a_line_for_every_command(
    console: Console, capsys: pytest.CaptureFixture[str]
) -> None:
    console.onecmd("help")
    lines = capsys.readouterr().out.splitlines()
    commands = {name.removeprefix("do_") for name in dir(console) if name.startswith("do_")}
    assert {line.split()[0] for line in lines} == commands
    assert all(len(line.split()) > 3 for line in lines)


def test_completion_offers_vantages_mailboxes_and_services(console: Console) -> None:
    assert console.completedefault("outside_f") == ["outside_far_v4 ", "outside_far_v6 "]
    assert console.completedefault("bo") == [f"{BOB.address} "]
    assert console.completedefault("subm") == ["submissions "]
    assert console.completenames("re") == ["relay "]


def test_ctrl_c_at_the_prompt_ends_neither(
    console: Console, visit: FakeVisit, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = iter([KeyboardInterrupt, "exec one", KeyboardInterrupt, "exec two", EOFError])

    def line(_: str) -> str:
        word = next(typed)
        if isinstance(word, str):
            return word
        raise word

    monkeypatch.setattr("builtins.input", line)
    console.talk()
    assert visit.calls == [("exec", "one"), ("exec", "two")]
