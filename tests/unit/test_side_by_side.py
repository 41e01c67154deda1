"""Several generations in one report: what agrees is told once, what differs side by side."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from generation_samples import (
    DEBIAN_12,
    DEBIAN_13,
    FORKY,
    as_if,
    failing,
    four_generations,
    not_applicable,
    seeing_clients,
    without,
)
from report_samples import VANTAGES, deployed

from harness.cli import main
from harness.report.diff_meaning import Group
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


def test_differences_are_told_by_what_they_mean(made: Report) -> None:
    groups = {section.group: section for section in made.differences}
    assert next(iter(groups)) is Group.OPENED
    rows = {name: row for row in groups[Group.OPENED].rows for name in row.scenarios}
    assert rows.keys() == {"compose-permit_container", "compose-permit_none"}
    flaky = rows["compose-permit_none"]
    assert flaky.where == "self_v4"
    assert flaky.values[1].text == "refused ×1 / relayed ×1"
    row = rows["compose-permit_container"]
    assert row.where == "outside"
    assert [value.text for value in row.values] == ["relayed", "relayed", "refused", "refused"]
    (start,) = groups[Group.START].rows
    assert [value.rank for value in start.values] == [0, 0, 0, 1]
    (address,) = groups[Group.ADDRESS].rows
    assert list(address.scenarios) == [
        "compose-permit_container",
        "compose-permit_none",
        "compose-permit_unset",
    ]
    assert address.where == "outside"
    seen = ["10.89.0.2", "10.89.0.2", "own address", "own address"]
    assert [value.text for value in address.values] == seen


def test_nothing_is_said_of_what_did_not_come_up_but_that(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    lan = [each for each in VANTAGES if "lan" in each]
    deployed(source, "demo-first", relays=lan, expected=lan, seen_as="10.89.0.2")
    night = tmp_path / "night"
    as_if(source, night / "1", DEBIAN_12, failing(lambda _: True, "no pasta"))
    as_if(source, night / "2", DEBIAN_13)
    as_if(source, night / "3", FORKY, seeing_clients(lambda _: True))
    made = report_of([night], None)
    groups = {section.group: section for section in made.differences}
    assert list(groups) == [Group.OPENED, Group.ADDRESS, Group.START]
    (row,) = groups[Group.OPENED].rows
    assert [(value.text, value.rank) for value in row.values] == [
        ("did not come up", None),
        ("relayed", 0),
        ("refused", 1),
    ]
    (row,) = groups[Group.START].rows
    assert [value.text for value in row.values] == ["failed: no pasta", "came up", "came up"]


def test_a_generation_without_the_variant_has_no_value(made: Report) -> None:
    for section in made.differences:
        for row in section.rows:
            if row.scenarios[0].startswith("pasta"):
                assert (row.values[0].text, row.values[0].rank) == ("not run", None)


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


def test_claims_are_judged_for_each_generation(made: Report) -> None:
    assert made.claims is not None
    assert {len(each.each) for each in made.claims.judgements} == {4}
    assert len(made.claims.whole.verdicts) == len(made.claims.judgements)


def test_claims_that_generations_disagree_about_are_marked(tmp_path: Path) -> None:
    claims = tmp_path / "claims.toml"
    claims.write_text(
        '[C1]\nquote = "it starts"\nsection = "s"\ntest = "t"\n'
        '[[C1.case]]\nwhen = "started"\nscenario = "demo-*"\nkind = "forwarder"\n'
        'holds = "pasta.*"\n',
        encoding="utf-8",
    )
    (tmp_path / "a").mkdir()
    deployed(tmp_path / "a", "demo-first")
    as_if(tmp_path / "a", tmp_path / "runs" / "1", DEBIAN_13)
    as_if(tmp_path / "a", tmp_path / "runs" / "2", FORKY, _other_forwarder)
    made = report_of([tmp_path / "runs"], claims)
    assert made.claims is not None
    (disagreed,) = made.claims.differing
    assert [str(each.verdict) for each in disagreed.each] == ["upheld", "contradicted"]
    assert str(disagreed.of_all.verdict) == "depends"
    assert "Generations disagree about 1 claim" in as_html(made)


def _other_forwarder(fact: dict[str, object]) -> dict[str, object]:
    return fact | {"outcome": "rootlessport"} if fact["kind"] == "forwarder" else fact


def test_same_network_path_is_drawn_once(made: Report) -> None:
    page = as_html(made)
    pictures = page.count('<svg class="path"')
    paths = {
        (each.deployed.scenario, each.path.said)
        for each in made.deployments
        if each.path is not None
    }
    assert pictures == len(paths) < sum(bool(each.path) for each in made.deployments)


def test_every_deployment_keeps_its_own_observations(made: Report) -> None:
    page = as_html(made)
    assert page.count('<script type="application/gzip"') == len(made.deployments) == 22
    assert len({each.name for each in made.deployments}) == 22
    assert len(set(re.findall(r' id="([^"]+)"', page))) == len(re.findall(r' id="([^"]+)"', page))


def test_versions_are_side_by_side(made: Report) -> None:
    facts = dict(made.versions)
    assert [list(values) for values in facts["podman"]] == [
        ["podman version 4.3.1"],
        ["podman version 5.4.2"],
        ["podman version 5.8.0"],
        ["podman version 5.8.1"],
    ]
    assert "host_key" not in facts


def test_time_is_of_each_generation_and_runs_begin_together(made: Report) -> None:
    assert [each.of.number for each in made.timelines] == [1, 2, 3, 4]
    assert [each.runs for each in made.timelines] == [2, 3, 2, 2]
    for each in made.timelines:
        assert sum(line.bars[0].left == 0 for line in each.lines) == each.runs


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


def test_command_takes_a_folder_of_cells(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    night = four_generations(tmp_path)
    (night / "idle").mkdir()
    (night / "idle" / "tests.jsonl").write_text("", encoding="utf-8")
    out = tmp_path / "night.html"
    assert main(["report", str(night), "--claims", str(CLAIMS), "--output", str(out)]) == 0
    assert capsys.readouterr().out == f"report: {out}\n"
    page = out.read_text(encoding="utf-8")
    assert "4 generations side by side" in page
    assert "Observed nothing: idle" in page


def test_one_generation_says_nothing_of_generations(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    deployed(tmp_path / "run", "demo-first")
    made = report_of([tmp_path / "run"], CLAIMS)
    assert (made.differences, made.is_side_by_side) == ([], False)
    body = as_html(made).partition("<body>")[2].partition("<script")[0]
    assert "eneration" not in body.partition('<section id="claims"')[0]
    assert "differs" not in body


def test_unknown_generation_is_said_to_be_unknown(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    deployed(tmp_path / "a", "demo-first")
    as_if(tmp_path / "a", tmp_path / "runs" / "1", DEBIAN_13)
    as_if(tmp_path / "a", tmp_path / "runs" / "2", {}, without(lambda _: False), _no_podman)
    names = [each.name for each in report_of([tmp_path / "runs"], None).generations]
    assert any("podman of unknown version" in name for name in names)


def _no_podman(fact: dict[str, object]) -> dict[str, object] | None:
    return None if (fact["kind"], fact["subject"]) == ("machine", "podman") else fact


def test_moments_come_back_from_the_page(tmp_path: Path) -> None:
    import base64
    import gzip

    deployed(tmp_path, "demo-first")
    (each,) = report_of([tmp_path], None).deployments
    rows = json.loads(gzip.decompress(base64.b64decode(each.packed)))
    at = 0
    for row, fact in zip(rows, each.deployed.facts, strict=True):
        at += row[4]
        assert abs(at / 1000 - fact["at"]) < 0.001
