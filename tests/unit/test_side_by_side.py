"""Several generations in one report: what agrees is told once, what differs side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from generation_samples import DEBIAN_13, as_if, failing, four_generations, not_applicable, without
from report_samples import deployed

from harness.report.html.make import report_of
from harness.report.html.render import as_html

if TYPE_CHECKING:
    from harness.report.html.model import Report
    from harness.report.html.side_by_side import Block

CLAIMS = Path(__file__).parents[2] / "scenarios" / "claims.toml"
NAMES = [
    "nspawn, debian-12, podman 4.3.1",
    "nspawn, debian-13, podman 5.4.2",
    "nspawn, debian-forky, podman 5.8.0",
    "vagrant, fedora-44, podman 5.8.1",
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return report_of([four_generations(tmp_path_factory.mktemp("night"))], CLAIMS)


def block(made: Report, kind: str, scenario: str) -> Block:
    picture = made.relay if kind == "relay" else made.reach
    (found,) = [block for block in picture.blocks if block.scenario == scenario]
    return found


def who(found: Block) -> list[list[int]]:
    """The numbers of the generations on each line."""
    return [[share.generation.number for share in line.shares] for line in found.lines]


def test_runs_are_told_apart_by_what_differs(made: Report) -> None:
    assert [each.name for each in made.generations] == NAMES
    assert [len(each.runs) for each in made.generations] == [2, 3, 2, 2]
    # The cells of a generation are one: a scenario of each is there.
    assert {"compose-permit_unset", "rootful-permit_unset"} <= made.generations[0].variants.keys()


def test_what_is_the_same_is_one_line(made: Report) -> None:
    found = block(made, "relay", "compose-permit_unset")
    assert who(found) == [[1, 2, 3, 4]]
    assert not found.is_different
    assert found.seen == 4


def test_what_differs_has_a_line_for_each_outcome(made: Report) -> None:
    found = block(made, "relay", "compose-permit_container")
    assert who(found) == [[1, 2], [3, 4]]
    first, second = found.lines
    vantages = [cell.vantage for cell in first.cells]
    assert {vantages[number] for number in first.differing} == {
        vantage for vantage in vantages if vantage.startswith("outside")
    }
    assert {cell.state for cell in first.cells} == {"expected"}
    states = {cell.vantage: cell.state for cell in second.cells}
    assert states["outside_far_v4"] == "closed"
    assert states["localhost_v4"] == "expected"


def test_repetitions_that_disagree_are_both_there_and_flaky(made: Report) -> None:
    found = block(made, "relay", "compose-permit_none")
    assert who(found) == [[1, 2, 3, 4], [2]]
    assert [each.number for each in found.flaky] == [2]
    share = found.lines[1].shares[0]
    assert (len(share.deployed), share.of, share.is_flaky) == (1, 2, True)
    assert [(name, each.number) for name, each in made.flaky] == [("compose-permit_none", 2)]
    assert made.repeated == 1


def test_repetitions_that_agree_are_counted(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
        deployed(tmp_path / name, "demo-first")
    made = report_of([tmp_path], None)
    (only,) = made.relay.blocks
    assert [(each.of, each.is_flaky) for each in only.repeated] == [(3, False)]
    assert made.flaky == []
    assert not made.is_side_by_side
    assert "×3" in as_html(made)


def test_not_applicable_has_its_reason_and_is_no_success(made: Report) -> None:
    found = block(made, "relay", "pasta_quadlet-permit_unset")
    assert who(found) == [[2, 3, 4]]
    ((what, why, numbers),) = [
        (each.what, each.why, [one.number for one in each.generations]) for each in found.absent
    ]
    assert (what, why, numbers) == ("not applicable", "podman 4.3 has no Quadlet", [1])
    page = as_html(made)
    assert "nspawn, debian-12, podman 4.3.1: not applicable: podman 4.3 has no Quadlet" in page
    # In a picture it is told once for all variants of the folder.
    (folder,) = [each for each in made.relay.folders if each.name == "pasta_quadlet"]
    assert [each.why for each in folder.absent] == ["podman 4.3 has no Quadlet"]
    assert [[each.what for each in one.absent] for one in folder.blocks] == [["not run"], []]


def test_what_was_never_run_says_so(made: Report) -> None:
    absent = block(made, "relay", "pasta_quadlet-permit_host").absent
    assert [(each.what, [one.number for one in each.generations]) for each in absent] == [
        ("not applicable", [1]),
        ("not run", [4]),
    ]
    page = as_html(made)
    assert "vagrant, fedora-44, podman 5.8.1: not run" in page
    assert "not run in vagrant, fedora-44, podman 5.8.1" in page


def test_what_did_not_come_up_differs_from_what_did(made: Report) -> None:
    found = block(made, "port", "rootful-permit_unset")
    assert who(found) == [[1, 2, 3], [4]]
    assert {cell.state for cell in found.lines[1].cells} == {"fell"}


@pytest.mark.parametrize(
    ("fails", "state"), [(None, "down"), ("no such volume", "stays_down"), ("unknown", "fell")]
)
def test_that_it_did_not_come_up_is_held_against_what_is_expected(
    tmp_path: Path, fails: str | None, state: str
) -> None:
    (tmp_path / "a").mkdir()
    deployed(tmp_path / "a", "demo-first")

    def expecting(fact: dict[str, object]) -> dict[str, object]:
        if fact["kind"] != "scenario" or fails == "unknown":
            return fact
        return fact | {"evidence": {**fact["evidence"], "fails": fails}}  # type: ignore[dict-item]

    everything = failing(lambda _: True, "Error: no such volume")
    as_if(tmp_path / "a", tmp_path / "b", DEBIAN_13, expecting, everything)
    made = report_of([tmp_path / "b"], None)
    assert {cell.state for cell in made.relay.blocks[0].lines[0].cells} == {state}
    assert [each for each, _ in made.deployments[0].alarms] == (["down"] if state == "down" else [])
    assert bool(made.alarming) is (state == "down")


def test_overview_counts_what_others_do_not_see(made: Report) -> None:
    strips = {strip.name: dict(strip.states) for strip in made.overview.strips}
    assert strips[NAMES[3]]["rootful-permit_unset"] == "odd"
    assert strips[NAMES[0]]["rootful-permit_unset"] == "most"
    assert strips[NAMES[0]]["pasta_quadlet-permit_unset"] == "na"
    assert strips[NAMES[3]]["pasta_quadlet-permit_host"] == "none"
    assert strips[NAMES[1]]["pasta_quadlet-permit_unset"] == "alike"
    # Whom the server takes its clients for is in no picture.
    assert not block(made, "relay", "compose-permit_unset").is_different
    # Two and two of them: nobody is like most.
    assert {strips[name]["compose-permit_unset"] for name in NAMES} == {"odd"}
    assert [card.open for card in made.overview.cards] == [0, 1, 0, 0]


def test_variants_that_are_applicable_nowhere_are_named(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    deployed(run, "demo-first")
    not_applicable(run, ["demo-selinux"], "it needs selinux")
    made = report_of([run], None)
    assert [(each.what, each.why) for each in made.never_deployed] == [
        ("demo-selinux", "it needs selinux")
    ]
    assert "it needs selinux" in as_html(made)


def record_of(run: Path, scenario: str, reason: str, **made_of: str) -> None:
    run.mkdir(parents=True)
    line = {"scenario": scenario, "reason": reason, **made_of}
    (run / "not-applicable.jsonl").write_text(json.dumps(line) + "\n", encoding="utf-8")


def test_a_cell_in_which_nothing_is_applicable_tells_its_generation(tmp_path: Path) -> None:
    night = four_generations(tmp_path)
    what = {name: DEBIAN_13[name] for name in ("distro", "podman")}
    record_of(night / "idle" / "run", "pasta_quadlet-permit_new", "no SELinux", **what)
    record_of(night / "old" / "run", "rootful-permit_unset", "too old", distro="debian-11")
    made = report_of([night], None)
    assert made.generations[0].name == (
        "unknown kind of machine, debian-11, podman of unknown version"
    )
    assert made.generations[0].skipped == {"rootful-permit_unset": "too old"}
    assert made.generations[2].skipped == {"pasta_quadlet-permit_new": "no SELinux"}
    assert ("not applicable", "too old") in {
        (each.what, each.why) for each in block(made, "relay", "rootful-permit_unset").absent
    }
    assert [each.what for each in made.never_deployed] == ["pasta_quadlet-permit_new"]
    page = as_html(made)
    assert "too old" in page
    assert "no SELinux" in page


def test_unknown_generation_is_said_to_be_unknown(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    deployed(tmp_path / "a", "demo-first")
    as_if(tmp_path / "a", tmp_path / "runs" / "1", DEBIAN_13)
    as_if(tmp_path / "a", tmp_path / "runs" / "2", {}, without(lambda _: False), _no_podman)
    names = [each.name for each in report_of([tmp_path / "runs"], None).generations]
    assert any("podman of unknown version" in name for name in names)


def _no_podman(fact: dict[str, object]) -> dict[str, object] | None:
    return None if (fact["kind"], fact["subject"]) == ("machine", "podman") else fact
