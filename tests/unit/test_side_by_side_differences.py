"""What generations disagree about: by what it means, and of the guide's claims."""

from __future__ import annotations

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
    seeing_clients,
)
from report_samples import VANTAGES, deployed

from harness.report.diff_meaning import Group
from harness.report.html.make import report_of
from harness.report.html.render import as_html

if TYPE_CHECKING:
    from harness.report.html.model import Report

CLAIMS = Path(__file__).parents[2] / "scenarios" / "claims.toml"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return report_of([four_generations(tmp_path_factory.mktemp("night"))], CLAIMS)


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
