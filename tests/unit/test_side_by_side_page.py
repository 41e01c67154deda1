"""The page of several generations: what is there once, and what there is for each of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from generation_samples import four_generations
from report_samples import deployed

from harness.cli import main
from harness.report.html.make import report_of
from harness.report.html.render import as_html

if TYPE_CHECKING:
    from harness.report.html.model import Report

CLAIMS = Path(__file__).parents[2] / "scenarios" / "claims.toml"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return report_of([four_generations(tmp_path_factory.mktemp("night"))], CLAIMS)


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
