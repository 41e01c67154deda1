"""Two nights of many runs, compared generation by generation."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from generation_samples import (
    DEBIAN_12,
    DEBIAN_13,
    FEDORA,
    FORKY,
    Change,
    Fact,
    as_if,
    four_generations,
    seeing_clients,
    without,
)
from report_samples import HOSTILE, VANTAGES, deployed

from harness.cli import main
from harness.observations import Observations
from harness.report.diff import Nights, compare_all
from harness.report.diff_meaning import Group
from harness.report.diff_run import load_generations
from harness.report.diff_show import LONGEST, as_markdown

CLAIMS = Path(__file__).parents[2] / "scenarios" / "claims.toml"
PATCHED = {**DEBIAN_13, "podman": "podman version 5.4.9"}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("source")
    deployed(run, "compose-open", relays=VANTAGES, expected=VANTAGES, seen_as="10.89.0.2")
    deployed(run, "compose-closed", seen_as="10.89.0.2")
    return run


def night(source: Path, folder: Path, *cells: tuple[dict[str, str], list[Change]]) -> Path:
    for number, (made, changes) in enumerate(cells):
        as_if(source, folder / f"cell-{number}" / f"run-{number}", made, *changes)
    return folder


def compared(a: Path, b: Path) -> Nights:
    return compare_all(load_generations(a), load_generations(b))


def relaying(fact: Fact) -> Fact:
    if fact["kind"] == "relay" and fact["scenario"] == "compose-closed":
        return fact | {"outcome": "relayed", "evidence": {"client": "10.89.0.2"}}
    return fact


def test_a_change_names_its_generation(source: Path, tmp_path: Path) -> None:
    a = night(source, tmp_path / "a", (DEBIAN_12, []), (DEBIAN_13, []))
    b = night(source, tmp_path / "b", (DEBIAN_12, []), (PATCHED, [relaying]))
    found = compared(a, b)
    assert [pair.generation for pair in found.pairs] == [
        "debian-12, podman 4.3.1",
        "debian-13, podman 5.4.9",
    ]
    assert {(each.group, each.scenario, each.generation) for each in found.changes} == {
        (Group.OPENED, "compose-closed", "debian-13, podman 5.4.9")
    }
    assert found.pairs[0].facts == {}
    assert found.pairs[1].facts == {"podman": ("podman version 5.4.2", "podman version 5.4.9")}


def test_the_same_change_in_several_generations_is_one_row(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = night(source, tmp_path / "a", (DEBIAN_12, []), (DEBIAN_13, []), (FORKY, []))
    b = night(source, tmp_path / "b", (DEBIAN_12, [relaying]), (DEBIAN_13, []), (FORKY, [relaying]))
    assert main(["diff", str(a), str(b), "--claims", str(CLAIMS)]) == 1
    said = capsys.readouterr().out
    assert said.count("relay forms:") == 1
    assert "    in debian-12, podman 4.3.1; debian-forky, podman 5.8.0\n" in said
    assert main(["diff", str(a), str(b), "--claims", str(CLAIMS), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert {each["generation"] for each in told["changes"] if each["kind"] == "relay"} == {
        "debian-12, podman 4.3.1",
        "debian-forky, podman 5.8.0",
    }


def test_the_same_night_twice_is_no_change(tmp_path: Path) -> None:
    made = four_generations(tmp_path)
    found = compared(made, made)
    assert found.changes == []
    assert len(found.pairs) == 4


def test_a_cell_of_one_night_is_said(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = night(source, tmp_path / "a", (DEBIAN_12, []), (DEBIAN_13, []))
    b = night(source, tmp_path / "b", (DEBIAN_13, []), (FEDORA, []))
    assert main(["diff", str(a), str(b), "--claims", str(CLAIMS)]) == 0
    said = capsys.readouterr().out
    assert "only in A: debian-12, podman 4.3.1, 2 scenario variants" in said
    assert "only in B: vagrant, fedora-44, podman 5.8.1, 2 scenario variants" in said
    assert main(["diff", str(a), str(b), "--claims", str(CLAIMS), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [each["distribution"] for each in told["a"]["only"]] == ["debian-12"]
    assert [each["distribution"] for each in told["b"]["only"]] == ["fedora-44"]


def test_nights_without_anything_in_common_cannot_be_compared(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = night(source, tmp_path / "a", (DEBIAN_12, []), (DEBIAN_13, []))
    b = night(source, tmp_path / "b", (FORKY, []), (FEDORA, []))
    assert main(["diff", str(a), str(b)]) == 2
    assert "no generation in common" in capsys.readouterr().err


def test_generations_without_a_common_variant_are_said(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def only(name: str) -> Change:
        return without(lambda scenario: scenario != name)

    a = night(source, tmp_path / "a", (DEBIAN_12, []), (DEBIAN_13, [only("compose-open")]))
    b = night(source, tmp_path / "b", (DEBIAN_12, []), (DEBIAN_13, [only("compose-closed")]))
    assert main(["diff", str(a), str(b), "--claims", str(CLAIMS)]) == 0
    assert "debian-13, podman 5.4.2: no scenario variant in common" in capsys.readouterr().out


def repeated(folder: Path, *outcomes: str) -> Path:
    for number, outcome in enumerate(outcomes):
        run = folder / f"run-{number}"
        run.mkdir(parents=True)
        seen = Observations("demo-first", run / "observations.jsonl")
        seen.record("machine", "podman", "podman version 5.4.2")
        seen.record("ban", "smtp", outcome, "outside_lan_b_v4")
    return folder


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (["kept out"] * 2, ["kept out"] * 3, None),
        (["kept out", "let in"], ["let in", "kept out", "let in"], None),
        (["kept out"] * 2, ["kept out", "let in"], (Group.UNSTEADY, "kept out ×1 / let in ×1")),
        (["kept out", "let in"], ["let in"], (Group.UNSTEADY, "let in")),
        (["kept out", "other"], ["let in"] * 2, (Group.BANS, "let in")),
        (["kept out"], ["let in"], (Group.BANS, "let in")),
        (["kept out"], ["let in"] * 2 + ["error"], (Group.BANS, "let in ×2 / error ×1")),
    ],
)
def test_no_repetition_hides_another(
    tmp_path: Path, before: list[str], after: list[str], told: tuple[Group, str] | None
) -> None:
    found = compared(repeated(tmp_path / "a", *before), repeated(tmp_path / "b", *after))
    assert [(each.group, each.after) for each in found.changes] == ([told] if told else [])


def test_relayed_in_one_repetition_is_a_newly_open_relay(source: Path, tmp_path: Path) -> None:
    a = night(source, tmp_path / "a", (DEBIAN_13, []), (DEBIAN_13, []))
    b = night(source, tmp_path / "b", (DEBIAN_13, [relaying]), (DEBIAN_13, []))
    found = compared(a, b).changes
    assert {each.group for each in found} == {Group.OPENED}
    assert {each.after for each in found} == {"refused with 554 5.7.1 ×1 / relayed ×1"}


def replied(folder: Path, kind: str, reply: str, outcome: str = "accepted") -> Path:
    folder.mkdir()
    seen = Observations("demo-first", folder / "observations.jsonl")
    seen.record(kind, "smtp", outcome, "outside_lan_b_v4", reply=reply)
    return folder


@pytest.mark.parametrize(
    ("kind", "was", "now", "told"),
    [
        (
            "login",
            "535 5.7.8 no",
            "454 4.7.0 later",
            ("accepted, reply 5xx", "accepted, reply 4xx"),
        ),
        (
            "delivery",
            "250 2.0.0 Ok",
            "451 4.3.0 no",
            ("accepted, reply 2xx", "accepted, reply 4xx"),
        ),
        ("login", "535 5.7.8 no", "550 5.7.1 other words", None),
        ("login", "535 5.7.8 no", "b'[AUTHENTICATIONFAILED]", None),
    ],
)
def test_another_class_of_reply_is_a_change(
    tmp_path: Path, kind: str, was: str, now: str, told: tuple[str, str] | None
) -> None:
    a, b = replied(tmp_path / "a", kind, was), replied(tmp_path / "b", kind, now)
    changes = compared(a, b).changes
    assert [(each.before, each.after) for each in changes] == ([told] if told else [])


# In Markdown


def hostile(folder: Path, text: str, outcome: str) -> Path:
    folder.mkdir()
    seen = Observations("demo-first", folder / "observations.jsonl")
    seen.record("life", text, outcome, "outside_lan_b_v4")
    seen.record("machine", "podman", f"{text} {outcome}")
    return folder


@pytest.mark.parametrize(
    "text",
    [
        *HOSTILE,
        "@maintainer see #123 and GH-7, https://evil.example www.evil.example",
        "| a | b |\n|---|---|\n# heading",
        "[click](https://evil.example) ![x](https://evil.example/x.png) ~~no~~ $x$ &lt;",
    ],
)
def test_hostile_text_stays_text(tmp_path: Path, text: str) -> None:
    shown = as_markdown(
        compared(hostile(tmp_path / "a", text, "yes"), hostile(tmp_path / "b", text, "no"))
    )
    (row,) = [line for line in shown.splitlines() if line.startswith("| demo-first")]
    assert len(re.findall(r"(?<!\\)\|", row)) == 5
    rest = "\n".join(shown.splitlines()[1:])
    assert not re.search(r"(?<!\\)[<>\[\]]|(?<!\w)[@#]\w|https?://|(?<!\\)\$|(?<!\\)&", rest)
    assert not re.search("[\x00-\x08\x1b\u202e\ud800]", shown)
    assert sum(line.startswith("# ") for line in shown.splitlines()) == 1


def test_markdown_is_no_longer_than_an_issue_may_be(tmp_path: Path) -> None:
    for side, outcome in (("a", "yes"), ("b", "no")):
        (tmp_path / side).mkdir()
        for number in range(400):
            file = tmp_path / side / "observations.jsonl"
            seen = Observations(f"demo-{number}", file)
            seen.record("life", f"{'*' * 300} {number}", f"{outcome} {number}")
            seen.record("ban", "smtp", f"{outcome} {number}")
    shown = as_markdown(compared(tmp_path / "a", tmp_path / "b"))
    assert len(shown) <= LONGEST
    assert "more rows not shown here" in shown
    rows = [line for line in shown.splitlines() if line.startswith("| demo-")]
    (left,) = re.findall(r"(\d+) more rows not", shown)
    assert len(rows) + int(left) == 800
    assert "800 changes" in shown


def test_markdown_names_generations(source: Path, tmp_path: Path, capsys: Any) -> None:
    a = night(source, tmp_path / "a", (DEBIAN_12, []), (DEBIAN_13, []))
    opened = [seeing_clients(lambda scenario: scenario == "compose-open")]
    b = night(source, tmp_path / "b", (DEBIAN_12, []), (PATCHED, opened))
    assert main(["diff", str(a), str(b), "--claims", str(CLAIMS), "--markdown"]) == 1
    shown = capsys.readouterr().out
    assert "| what | before | after | in |  |" in shown
    assert "## Relay closed" in shown
    assert "debian-13, podman 5.4.9: podman: podman version 5.4.2 → podman version 5.4.9" in shown
