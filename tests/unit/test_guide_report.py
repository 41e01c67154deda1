"""What `dms-harness guide` says, and its exit status."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from guide_support import CLAIMS, COMPOSE, GUIDE, TABLE, folder, line_of
from rich.console import Console

from harness.cli import main
from harness.guide.drift import Drift, Result, Row
from harness.report.guide import print_result


def run(base: Path, guide: str, *options: str) -> int:
    folder(base)
    (base / "kettle.md").write_text(guide)
    return main(["guide", str(base / "kettle.md"), f"--scenarios={base / 'scenarios'}", *options])


def test_agreement_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, GUIDE) == 0
    said = "kettle.md: 4 code blocks, 3 quotes: all agree with the scenarios\n"
    assert capsys.readouterr() == (said, "")


def test_drift_is_said_with_both_places(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    guide = GUIDE.replace("8080:80", "9090:80").replace("must not", "must never")
    assert run(tmp_path, guide) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "kettle.md: 4 code blocks, 3 quotes: 2 things have drifted"
    quote, port = line_of("must never", guide), line_of("9090:80", guide)
    assert out[2].startswith(f"kettle.md:{quote}:   changed  quote C1       ")
    assert out[3].endswith(f"ours: {tmp_path}/scenarios/claims.toml:{line_of('[C1]', CLAIMS)}")
    assert out[7].startswith(f"kettle.md:{port}:  changed  block compose  ")
    ours = line_of("8080", COMPOSE)
    assert out[8].endswith(f"ours: {tmp_path}/scenarios/rootless/compose.yaml:{ours}")
    assert out[9].split()[:2] == [str(ours), "-"]
    assert out[10].split()[:2] == [str(port), "+"]


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, GUIDE + "\n```\nlid\n```\n", "--json") == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["guide"], said["blocks"], said["quotes"]) == ("kettle.md", 5, 3)
    (each,) = said["drift"]
    assert (each["kind"], each["what"], each["rows"]) == ("new", "block", [])
    assert run(tmp_path, GUIDE, "--json") == 0
    assert json.loads(capsys.readouterr().out)["drift"] == []


@pytest.mark.parametrize("page", ["# Words\n", "```\nnever closed\n"])
def test_errors_are_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str], page: str) -> None:
    assert run(tmp_path, page) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("dms-harness: kettle.md")
    assert err.count("\n  → ") == 1


def test_a_missing_page_is_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["guide", str(tmp_path / "none.md")]) == 2
    assert "none.md: no such file or directory\n  → " in capsys.readouterr().err


def test_a_mistake_of_ours_is_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = folder(tmp_path, TABLE.replace("equal", "equals"))
    (tmp_path / "kettle.md").write_text(GUIDE)
    assert main(["guide", str(tmp_path / "kettle.md"), f"--scenarios={made}"]) == 2
    assert "guide.toml: unit.equals: there is no such key" in capsys.readouterr().err


@pytest.mark.parametrize(("terminal", "coloured"), [(True, True), (False, False)])
def test_lines_stay_whole_and_are_coloured_at_terminals(terminal: bool, coloured: bool) -> None:
    out = io.StringIO()
    long = "word " * 40
    rows = [Row(" ", 1, 2, "[b]same[/b]"), Row("-", 2, None, "old"), Row("+", None, 3, "new")]
    drift = [
        Drift("changed", "block", "unit", 3, long.strip(), "a.conf:2", rows),
        Drift("gone", "quote", "C1", None, "nothing like it", "claims.toml"),
    ]
    console = Console(
        file=out, width=40, force_terminal=terminal, color_system="standard" if terminal else None
    )
    print_result(console, Result("kettle.md", 1, 1, drift))
    said = out.getvalue()
    assert ("\x1b[" in said) is coloured
    assert long.strip() in said
    assert "[b]same[/b]" in said
    if not coloured:
        first, second = [line for line in said.splitlines() if line.startswith("kettle.md")][1:]
        assert first.index("changed") == second.index("gone") == len("kettle.md:3:") + 2
