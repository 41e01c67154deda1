from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from harness.observations import Observations, read


def test_recorded_in_memory_and_in_the_file(tmp_path: Path) -> None:
    seen = Observations("scenario-a", tmp_path / "seen.jsonl")
    seen.record("port", "25", "answers", "outside_v4", greeting=["220 mail ESMTP ü"])
    (line,) = (tmp_path / "seen.jsonl").read_text().splitlines()
    assert json.loads(line)["evidence"] == {"greeting": ["220 mail ESMTP ü"]}
    assert json.loads(line)["scenario"] == "scenario-a"
    assert "port 25 from outside_v4: answers" in str(next(iter(seen)))


def test_finding() -> None:
    seen = Observations("s")
    seen.record("port", "25", "refused", "a")
    seen.record("port", "25", "answers", "a")
    seen.record("port", "25", "answers", "b")
    assert len(seen.find("port", "25")) == 3
    assert len(seen.find("port", outcome="answers", vantage="a")) == 1
    assert seen.one("port", "25", "a").outcome == "answers"
    with pytest.raises(AssertionError, match="not observed: port 26 from a"):
        seen.one("port", "26", "a")


def test_many_threads_lose_nothing(tmp_path: Path) -> None:
    seen = Observations("s", tmp_path / "seen.jsonl")
    threads = [
        threading.Thread(target=lambda: [seen.record("k", str(n), "o") for n in range(50)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(seen)) == 400
    assert len((tmp_path / "seen.jsonl").read_text().splitlines()) == 400


def test_a_run_is_read_as_it_was_recorded(tmp_path: Path) -> None:
    path = tmp_path / "seen.jsonl"
    assert read(path) == []
    seen = Observations("s", path)
    seen.record("port", "25", "answers", "a", greeting=["220 ü"])
    seen.record("relay", "nmap-01", "refused", "a")
    with path.open("a") as file:
        file.write('{"kind": "port", "subject": {"whole": 0}')
    assert read(path) == [*seen]
    assert [each.kind for each in read(path, {"relay"})] == ["relay"]


def test_reply_that_is_no_text_is_recorded_without_what_no_file_can_have(tmp_path: Path) -> None:
    path = tmp_path / "seen.jsonl"
    seen = Observations("s", path)
    reply = b"250 \xff\xfe \xc3\xbc".decode("utf-8", "surrogateescape")
    recorded = seen.record("relay", "nmap-01", "250", "a", text=reply, lines=[reply])
    assert recorded.evidence == {"text": "250 \ufffd\ufffd ü", "lines": ["250 \ufffd\ufffd ü"]}
    assert read(path) == [*seen] == [recorded]
