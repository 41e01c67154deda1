"""Whatever the keeper is asked, it answers, or the asker is told why not."""

from __future__ import annotations

import json
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from keeper_support import ENDLESS, ROOT_ONLY, end_without_a_trace, swept_by_next

from harness.errors import HostError
from harness.keeper.client import Keeper

pytestmark = ROOT_ONLY


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    keeper = Keeper(tmp_path / "cache", "t")
    yield keeper
    end_without_a_trace(keeper)


def raw(keeper: Keeper, data: bytes) -> bytes:
    """What a keeper answers to some bytes."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(30)
        line.connect(str(keeper.socket))
        line.sendall(data)
        line.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := line.recv(65536):
            answer += chunk
        return answer


def test_asking_a_dead_keeper_is_an_error_with_a_hint(keeper: Keeper) -> None:
    keeper._process.kill()
    with pytest.raises(HostError, match="keeper") as raised:
        keeper.call("hello")
    assert "dms-harness clean" in raised.value.hint
    keeper._process.wait(30)
    with pytest.raises(HostError, match="the keeper is gone"):
        keeper.call("hello")
    assert "status -9" in keeper.close()
    swept_by_next(keeper.cache)


def test_asking_after_a_runtime_folder_was_removed_is_an_error_with_a_hint(keeper: Keeper) -> None:
    shutil.rmtree(f"/run/dms-harness/{keeper.owner}")
    with pytest.raises(HostError, match="the keeper is gone"):
        keeper.call("hello")


def test_a_keeper_that_dies_while_it_is_asked_is_named_with_the_question(keeper: Keeper) -> None:
    with pytest.raises(HostError, match="ended while it was asked for 'bootstrap'") as raised:
        keeper.call(
            "bootstrap",
            lambda _: keeper._process.kill(),
            name="b",
            final="f",
            notes={},
            command=ENDLESS,
        )
    assert "dms-harness clean" in raised.value.hint
    keeper._process.wait(30)
    swept_by_next(keeper.cache)


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (b"rubbish\n", "JSONDecodeError"),
        (b"\xff\xfe\n", "UnicodeDecodeError"),
        (b"[]\n", "TypeError"),
        (b"{}\n", "KeyError"),
        (b'{"verb": "nonsense"}\n', "do_nonsense"),
        (b'{"verb": "stamp"}\n', "missing 1 required"),
        (b'{"verb": "stamp", "name": 1, "more": 2}\n', "unexpected keyword"),
        (b'{"verb": "stamp", "name": []}\n', "stamp"),
        (b'{"verb": "machine", "name": "none"}\n', "KeyError: 'none'"),
        (b'{"verb": "socket", "name": "none", "family": 2, "kind": 1}\n', "missing"),
    ],
)
def test_a_malformed_request_is_answered_and_does_not_hurt(
    keeper: Keeper, request_: bytes, said: str
) -> None:
    answer = json.loads(raw(keeper, request_))["result"]
    if "error" not in answer:
        assert answer == {"stamp": None}
    else:
        assert said in answer["error"]
    assert keeper.call("hello")["swept"] == []


def test_clients_that_hang_up_at_any_moment_do_not_hurt(keeper: Keeper) -> None:
    assert raw(keeper, b"") == b""
    assert raw(keeper, b'{"verb": "hel') == b""
    for _ in range(50):
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(keeper.socket))
            line.sendall(b'{"verb": "hello"}\n')
    assert keeper.call("hello")["stuck"] == []


def test_what_an_unknown_verb_is_told_reaches_the_caller(keeper: Keeper) -> None:
    with pytest.raises(OSError, match="do_nonsense"):
        keeper.call("nonsense")


def test_errors_keep_their_number(keeper: Keeper) -> None:
    with pytest.raises(FileNotFoundError):
        keeper.call("make_file", name="m", path="/nowhere/at/all", command=["true"])


def test_many_questions_at_once_are_all_answered(keeper: Keeper) -> None:
    answers: list[dict[str, Any]] = []
    threads = [
        threading.Thread(target=lambda: answers.append(keeper.call("stamp", name="none")))
        for _ in range(40)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert answers == [{"stamp": None}] * 40


def test_a_file_of_the_cache_appears_when_it_is_complete(keeper: Keeper) -> None:
    path = keeper.cache / "made"
    script = 'echo half > "$1"; echo "I: half"; read -t 0.2 nothing < /dev/zero; echo done >> "$1"'
    seen = []
    keeper.call(
        "make_file",
        lambda line: seen.append((line, path.exists())),
        name="m",
        path=str(path),
        command=["bash", "-c", script, "bash", "{target}"],
    )
    assert seen == [("half", False)]
    assert path.read_text() == "half\ndone\n"


def test_a_file_whose_command_fails_does_not_appear_and_can_be_tried_again(keeper: Keeper) -> None:
    path = keeper.cache / "made"
    failing = ["sh", "-c", 'echo half > "$1"; echo why >&2; exit 4', "sh", "{target}"]
    with pytest.raises(OSError, match=r"(?s)sh ended with status 4:.*why"):
        keeper.call("make_file", name="m", path=str(path), command=failing)
    assert [each for each in keeper.cache.iterdir() if "made" in each.name] == []
    keeper.call("make_file", name="m", path=str(path), command=["cp", "/etc/hostname", "{target}"])
    assert path.exists()


def test_braces_in_a_command_are_its_own(keeper: Keeper) -> None:
    command = ["sh", "-c", "echo \"${HOME:+x} $1\" | awk '{print $1}' > $1", "sh", "{target}"]
    keeper.call("make_file", name="m", path=str(keeper.cache / "made"), command=command)
