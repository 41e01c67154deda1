"""Reports of bugs, deployed from what a reporter sends to the answer, and nothing left behind."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
import zstandard

from harness import cache
from harness.keeper.client import Keeper
from tests.integration.support import NEEDS_ROOT, dms_harness, left_on_computer

pytestmark = NEEDS_ROOT

SAMPLE = Path(__file__).parents[1] / "unit" / "samples" / "compose_open_relay"
ORIGINALS = (b"acme-widgets", b"jane", b"Tr0ub4dor", b"cheap-pills", b"jdoe", b"Zm9yLXRlc3Rz")
WITHIN = 600.0
"""Seconds for one; the machine image may have to be built first."""


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """The sample, to be changed."""
    return shutil.copytree(SAMPLE, tmp_path / "report")


def reproduce(report: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `dms-harness reproduce` to its end; nothing of it may be left."""
    runs = report.parent / "runs"
    given = ("--runs", str(runs), "--mailserver", "stand-in", "--json", *words)
    done = dms_harness(cache.folder(), "reproduce", str(report), *given, within=WITHIN)
    assert left_on_computer(cache.folder()) == []
    keeper = Keeper(cache.folder(), "test")
    try:
        hello = keeper.call("hello")
        assert (hello["swept"], hello["stuck"]) == ([], [])
    finally:
        assert keeper.close() == ""
    return done


def members(bundle: Path) -> dict[str, bytes]:
    """What is in a bundle."""
    plain = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(bundle.read_bytes())).read()
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        opened = ((each.name, archive.extractfile(each)) for each in archive)
        return {name: file.read() for name, file in opened if file is not None}


def test_an_open_relay_is_reproduced_and_its_bundle_is_a_report_without_secrets(
    report: Path,
) -> None:
    done = reproduce(report)
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout)
    assert said["answer"] == "reproduced"
    assert {each["claim"]: each["seen"] for each in said["claims"]} == {
        "client address outside_v4 = container": True,
        "relays from outside_v4": True,
    }
    bundle = Path(said["places"]["bundle"])
    inside = members(bundle)
    assert "reproduction/observations.jsonl" in inside
    assert "reproduction/evidence/mail.log" in inside
    assert "reproduction/left-out.txt" not in inside
    summary = Path(said["places"]["summary"]).read_bytes()
    for original in ORIGINALS:
        assert not [name for name, content in inside.items() if original in content], original
        assert original not in summary
        assert original not in done.stdout.encode()

    again = reproduce(bundle)
    assert again.returncode == 0, again.stdout + again.stderr
    assert json.loads(again.stdout)["claims"] == [{**each, "from": ""} for each in said["claims"]]


def test_the_same_without_its_cause_is_not_reproduced(report: Path) -> None:
    settings = report / "mailserver.env"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace("PERMIT_DOCKER=container\n", ""), encoding="utf-8")
    done = reproduce(report, "--claim", "relays from outside")
    assert done.returncode == 1, done.stdout + done.stderr
    said = json.loads(done.stdout)
    assert said["answer"] == "not reproduced"
    assert "554" in said["claims"][0]["what"]


def test_a_report_that_claims_nothing_is_not_comparable(report: Path) -> None:
    (report / "received.txt").unlink()
    done = reproduce(report)
    assert done.returncode == 3, done.stdout + done.stderr
    said = json.loads(done.stdout)
    assert (said["answer"], said["claims"]) == ("not comparable", [])
    summary = Path(said["places"]["summary"]).read_text(encoding="utf-8")
    (line,) = [each for each in summary.splitlines() if "relays for strangers from" in each]
    assert "outside_lan_a_v4" in line
    assert "relays from outside" in summary
