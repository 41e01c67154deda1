"""What is sent on is the same report, without what is the reporter's own."""

from __future__ import annotations

import io
import tarfile
import tomllib
from pathlib import Path

import pytest
import zstandard
from reproduce_support import SAMPLES, SCENARIOS, planned

from harness.reproduce.bundle import checked, write_bundle
from harness.reproduce.engine import Asked, plan
from harness.reproduce.scrub import Scrubber


@pytest.mark.parametrize("sample", sorted(path.name for path in SAMPLES.iterdir()))
def test_what_was_sent_on_is_the_same_report(tmp_path: Path, sample: str) -> None:
    made = planned(sample)
    for name, text in made.sent().items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    again = plan(tmp_path, Asked(SCENARIOS))
    assert again.table | {"title": ""} == made.table | {"title": ""}
    assert again.files == made.files
    assert again.claims == made.claims or [*map(str, again.claims)] == [*map(str, made.claims)]


def test_a_bundle_is_a_report(tmp_path: Path) -> None:
    made = planned("compose_open_relay")
    members = {f"report/{name}": text for name, text in made.sent().items()}
    members |= {
        "reproduction.md": "x",
        "scenario/compose.yaml": "services: {}",
        "x.sh": "podman run",
    }
    path = tmp_path / "reproduction.tar.zst"
    write_bundle(path, members)
    again = plan(path, Asked(SCENARIOS))
    assert again.files == made.files
    first = path.read_bytes()
    write_bundle(path, dict(reversed(members.items())))
    assert path.read_bytes() == first
    plain = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(first)).read()
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        assert {(each.uid, each.gid, each.mtime) for each in archive} == {(0, 0, 0)}


def test_a_member_with_an_original_is_left_out_of_the_bundle() -> None:
    scrub = Scrubber()
    scrub.site("mail.victim.de", "victim.de")
    scrub.secret("hunter2-hunter2")
    scrub.address("51.15.44.9")
    members = {
        "clean": "mail.example.com, victim.den, 51.15.44.90",
        "name": "a log of VICTIM.de",
        "secret": "xhunter2-hunter2x",
        "address": "from [51.15.44.9]",
        "logs/victim.de.txt": "",
    }
    clean, dirty = checked(members, scrub)
    assert list(clean) == ["clean"]
    assert "a domain" in dirty["name"]
    assert "a secret" in dirty["secret"]
    assert "an address" in dirty["address"]


def test_toml_that_is_written_is_read_as_it_was() -> None:
    made = planned("compose_open_relay")
    from harness.reproduce.write import as_toml

    assert tomllib.loads(as_toml(made.table)) == made.table
