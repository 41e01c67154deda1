"""YAML bombs, and texts that would keep a pattern busy, cost no time."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from reproduce_support import ALL, SERVICE, planned, said

from harness.reproduce import limits, match


@pytest.fixture(autouse=True)
def _scenarios_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(match, "load_all", ALL)


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (BOMB, "aliases are written out"),
        ("a: &a [*a]\n", "contains itself"),
        ("[" * 5000, "deep"),
        ("- " * 300 + "x", "deep"),
        ("{" * 2000 + "}" * 2000, "deep"),
        ("x: " + "y" * (limits.YAML + 1), "KB"),
        ("!!python/object/apply:os.system ['touch trap']", "the tag"),
        ("a: !!python/name:os.system", "the tag"),
        ("services: !reset {}", "the tag"),
        ("services: {}\nservices: {}\n", "twice"),
        ("a: [\n", "expected"),
        ("- x\n" * 30_000, "values"),
        ("? [a, b]\n: c\n", "no text"),
        ("a: 1\n--- \nb: 2\n", "another document"),
    ],
)
def test_a_yaml_bomb_is_refused_in_no_time(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "compose.yaml").write_text(text)
    began = time.monotonic()
    made = planned(tmp_path)
    assert time.monotonic() - began < 10
    assert why in said(made, "refused")
    assert not made.table


def test_what_is_filled_in_does_not_grow_without_end(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"A={'x' * 4000}\n")
    (tmp_path / "compose.yaml").write_text(f"{SERVICE}    labels: ['{'${A}' * 20_000}']\n")
    assert "filled in" in said(planned(tmp_path), "refused")


@pytest.mark.parametrize(
    "text",
    [
        "a." * 500_000,
        "a-" * 500_000,
        "`" * 900_000,
        "".join("`" * n + "\n" for n in range(3, 1300)),
        "# " + " " * 900_000 + "x",
        "#\n" * 450_000,
        "::" * 450_000,
        "1.1.1." * 150_000,
        "x@" * 450_000,
        "nc " * 300_000,
        "-----BEGIN PRIVATE KEY-----" * 30_000,
        "PASSWORD_" * 100_000,
        "AUTH PLAIN " * 90_000,
        "open relay " * 80_000,
        "sudo -a " * 110_000,
        "{A}" * 300_000,
    ],
    ids=lambda text: repr(text[:12]),
)
def test_no_text_keeps_a_pattern_busy(tmp_path: Path, text: str) -> None:
    (tmp_path / "compose.yaml").write_text(SERVICE)
    for name in ("received.txt", "report.md"):
        (tmp_path / name).write_text(text[: limits.FILE - 1])
    began = time.monotonic()
    made = planned(tmp_path)
    made.sent()
    assert time.monotonic() - began < 20
