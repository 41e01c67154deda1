"""What commands print for other programs begins with what it is, and has the keys it should."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from harness import doctor
from harness.cli import COMMANDS, main
from harness.commands import clean
from harness.observations import Observations

ROOT = Path(__file__).parents[2]
SCENARIOS = ["--scenarios", str(ROOT / "scenarios")]
CLAIMS = ["--claims", str(ROOT / "scenarios" / "claims.toml")]


def printed(
    capsys: pytest.CaptureFixture[str], *words: str, status: int = 0, only: tuple[str, ...] = ()
) -> dict[str, Any]:
    """A command's object; seen to have the keys that the manual says it has.

    Args:
        capsys: pytest's.
        words: the command line without `--json`.
        status: what it must end with.
        only: the keys that it has in this case, where that is not all.
    """
    assert main([*words, "--json"]) == status
    made: dict[str, Any] = json.loads(capsys.readouterr().out)
    documented = list(import_module(f"harness.commands.{words[0]}").JSON)
    assert list(made) == ["schema", *(only or documented)]
    assert set(only) <= set(documented)
    assert made["schema"] == f"dms-harness/{words[0]}/1"
    return made


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that contradicts something."""
    seen = Observations("rootless_pasta_quadlet-permit_unset", tmp_path / "observations.jsonl")
    seen.record("machine", "podman", "podman version 5.4.2")
    seen.record("deployment", "start", "came up")
    return tmp_path


def test_doctor(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    good = doctor.Finding("kernel", True, "6.18", "boot a later one")
    bad = doctor.Finding("tools", False, "missing: ip", "make setup")
    monkeypatch.setattr(doctor, "CHECKS", (lambda: good, lambda: bad))
    monkeypatch.setattr(doctor, "_mirror", lambda _: good)
    keys = ("machine", "distro", "problems", "findings")
    made = printed(capsys, "doctor", status=1, only=keys)
    assert made["problems"] == 1
    assert made["findings"][:2] == [
        {"what": "kernel", "good": True, "seen": "6.18", "remedy": ""},
        {"what": "tools", "good": False, "seen": "missing: ip", "remedy": "make setup"},
    ]


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    made = printed(capsys, "list", *SCENARIOS)
    (found,) = (
        each for each in made["scenarios"] if each["id"] == "rootless_compose-permit_container"
    )
    assert found["expected"]["relays_from"] == ["outside", "inside"]
    assert found["ports"]["smtp"] == 10025


def test_claims_and_findings(capsys: pytest.CaptureFixture[str], run: Path) -> None:
    assert len(printed(capsys, "claims", *CLAIMS, str(run))["claims"]) == 58
    of = printed(capsys, "claims", *CLAIMS, "--id", "c44", str(run))
    assert [each["id"] for each in of["claims"]] == ["C44"]
    assert sum(of["counts"].values()) == 1
    of_run = ("runs", "machine", "images", "variants", "findings")
    printed(capsys, "findings", *CLAIMS, str(run), only=of_run)
    written = run / "findings.md"
    assert main(["findings", *CLAIMS, "--output", str(written), str(run)]) == 0
    capsys.readouterr()
    checked = ("file", "differences")
    made = printed(capsys, "findings", *CLAIMS, "--check", str(written), str(run), only=checked)
    assert made["differences"] == []
    written.write_text(
        written.read_text(encoding="utf-8") + "\n| C99 | upheld | x | y |\n", "utf-8"
    )
    words = ("findings", *CLAIMS, "--check", str(written), str(run))
    assert len(printed(capsys, *words, status=1, only=checked)["differences"]) == 1


def test_diff(capsys: pytest.CaptureFixture[str], run: Path) -> None:
    assert printed(capsys, "diff", *CLAIMS, str(run), str(run))["changes"] == []


def test_guide(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    page = tmp_path / "podman.md"
    page.write_text("# Podman\n\n```bash\npodman ps\n```\n", encoding="utf-8")
    made = printed(capsys, "guide", *SCENARIOS, str(page), status=1)
    assert made["blocks"] == 1
    assert made["drift"]


def test_clean(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clean, "_clean_host", lambda where: [f"undone at {where}"])
    made = printed(capsys, "clean", "--machine", "ssh:you@host")
    assert made["removed"] == ["undone at you@host"]


def test_reproduce(capsys: pytest.CaptureFixture[str]) -> None:
    report = Path(__file__).parent / "samples" / "compose_open_relay"
    made = printed(capsys, "reproduce", str(report), "--dry-run", *SCENARIOS)
    assert made["answer"] == "not comparable"
    assert made["infrastructure"] == []


def test_every_object_is_looked_at_here() -> None:
    text = Path(__file__).read_text(encoding="utf-8") + (
        Path(__file__).with_name("test_matrix.py").read_text(encoding="utf-8")
    )
    for name in COMMANDS:
        if hasattr(import_module(f"harness.commands.{name}"), "JSON"):
            assert f'printed(capsys, "{name}"' in text, name


def test_who_reads_no_further_is_no_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import subprocess
    import sys

    reading = "import sys; from harness.cli import main; sys.exit(main(['list', '--json']))"
    done = subprocess.run(
        ["bash", "-c", f'{sys.executable} -c "{reading}" | head -c 20; echo ${{PIPESTATUS[0]}}'],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.endswith("141\n")
    assert done.stderr == ""
