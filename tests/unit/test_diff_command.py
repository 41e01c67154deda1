"""What `dms-harness diff` says of two runs, and its exit status."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from diff_support import both, difference, record, refuse, relay

from harness.cli import main
from harness.errors import HarnessError
from harness.observations import Observations
from harness.report.diff_run import load


def test_head_says_what_else_is_different(tmp_path: Path) -> None:
    record(tmp_path / "a")
    record(tmp_path / "b").record("machine", "podman", "podman version 5.8.0")
    facts = difference(tmp_path).facts
    assert facts == {"podman": ("podman version 5.4.2", "podman version 5.8.0")}


CLAIMS = """
[C1]
quote = "clients keep their addresses"
section = "Network"
test = "read the log"
[[C1.case]]
when = "pasta"
scenario = "pasta-*"
kind = "client_address"
equals = "source"
"""


def test_verdicts_on_claims_are_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = {"source": "203.0.113.51"}
    both(tmp_path, "client_address", "smtp", "203.0.113.51", "10.89.0.2", a=source, b=source)
    (tmp_path / "claims.toml").write_text(CLAIMS, encoding="utf-8")
    words = [str(tmp_path / "a"), str(tmp_path / "b"), "--claims", str(tmp_path / "claims.toml")]
    assert main(["diff", *words, "--json"]) == 1
    (change,) = (
        each for each in json.loads(capsys.readouterr().out)["changes"] if each["kind"] == "claim"
    )
    assert (change["before"], change["after"]) == ("upheld", "contradicted")


def test_what_one_run_deployed_makes_no_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = {"source": "203.0.113.51"}
    both(tmp_path, "client_address", "smtp", "203.0.113.51", "203.0.113.51", a=source, b=source)
    other = record(tmp_path / "b", "pasta-host")
    other.record("client_address", "smtp", "10.89.0.2", "self_v4", **source)
    (tmp_path / "claims.toml").write_text(CLAIMS, encoding="utf-8")
    words = [str(tmp_path / "a"), str(tmp_path / "b"), "--claims", str(tmp_path / "claims.toml")]
    assert main(["diff", *words, "--json"]) == 0
    (generation,) = json.loads(capsys.readouterr().out)["generations"]
    assert generation["b"]["only"] == ["pasta-host"]


def runs(tmp_path: Path) -> list[str]:
    return [str(tmp_path / "a"), str(tmp_path / "b")]


def test_exit_status_and_what_it_is_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    both(tmp_path, "port", "25", "answers", "refused")
    a, b = runs(tmp_path)
    assert main(["diff", a, a]) == 0
    assert "nothing changed in meaning" in capsys.readouterr().out
    assert main(["diff", a, b]) == 1
    assert "ports opened or closed" in capsys.readouterr().out
    assert main(["diff", a, b, "--fail-on", "relay"]) == 0
    relay(Observations("pasta-unset", tmp_path / "b" / "observations.jsonl"), "outside_far_v4")
    assert main(["diff", a, b, "--fail-on", "relay"]) == 1


def test_markdown_has_a_table_for_each_group(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    both(tmp_path, "life", "a | b", "yes", "no")
    assert main(["diff", *runs(tmp_path), "--markdown"]) == 1
    shown = capsys.readouterr().out
    assert "## Life events" in shown
    assert r"| pasta-unset: life a \| b, from outside\_lan\_a\_v4 | yes | no |  |" in shown


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda folder: None, "is missing"),
        (lambda folder: folder.mkdir(), "holds no observations"),
        (lambda folder: folder.write_text("x"), "is no run's folder"),
        (lambda folder: _write(folder, ""), "is empty"),
        (lambda folder: _write(folder, "<html>\nno\n"), "none of its 2 lines is an observation"),
        (lambda folder: _write(folder, '{"kind": 1, "other": 2}\n'), "none of its 1 line"),
        (lambda folder: record(folder, "other-one"), "no scenario variant in common"),
    ],
)
def test_what_is_no_run_is_one_clear_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Any, says: str
) -> None:
    record(tmp_path / "a")
    make(tmp_path / "b")
    assert main(["diff", *runs(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert len(error.splitlines()) == 2


def _write(folder: Path, text: str) -> None:
    folder.mkdir()
    (folder / "observations.jsonl").write_text(text, encoding="utf-8")


def test_cut_off_lines_are_left_out_and_said(tmp_path: Path) -> None:
    for side in ("a", "b"):
        refuse(record(tmp_path / side), "outside_far_v4")
    file = tmp_path / "b" / "observations.jsonl"
    whole = file.read_bytes()
    file.write_bytes(b'{"kind": "relay", "sub\xc3' + whole + b'{"kind": "relay", "subj')
    found = difference(tmp_path)
    # The first line and the half before it are one line now, which no one can read.
    assert found.b.broken == 2
    assert [each.subject for each in found.changes] == []
    with pytest.raises(HarnessError, match="is missing"):
        load(tmp_path / "nowhere")
