"""Quotes are found through Markdown and line breaks; what became of the others is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from guide_support import CLAIMS, GUIDE, drift, line_of

from harness.errors import GuideError
from harness.guide.drift import Drift


def quoted(base: Path, quote: str, guide: str = GUIDE, section: str = "Set up") -> list[Drift]:
    claims = f"[C7]\nquote = '{quote}'\nsection = '{section}'\ntest = 'look'\n"
    return [each for each in drift(base, guide, claims=claims) if each.what == "quote"]


@pytest.mark.parametrize(
    ("quote", "section"),
    [
        ("Kettle must not boil over the rim, and kettle_lid stays shut.", "Set up"),
        ("Kettle **must not** boil [over the rim](#rim)", "Set up"),
        ("must not … kettle_lid stays", "Set up"),
        ("must not […] kettle_lid stays", "Set up"),
        ("sudo dnf install", "Set up"),
        ("and the cook hears it.", "As a unit"),
        ("ones are quick", "As a **unit**"),
        ("Restart=always SPOUT=long lets", "As a unit"),
    ],
)
def test_found(tmp_path: Path, quote: str, section: str) -> None:
    assert quoted(tmp_path, quote, section=section) == []


def test_changed_words_are_shown_with_their_line(tmp_path: Path) -> None:
    guide = GUIDE.replace("and the cook", "and every cook")
    (each,) = [each for each in drift(tmp_path, guide) if each.what == "quote"]
    assert (each.kind, each.name) == ("changed", "C2")
    assert each.line == line_of("It whistles")
    assert each.ours == f"{tmp_path}/scenarios/claims.toml:{line_of('[C2]', CLAIMS)}"
    assert [(row.sign, row.guide, row.text) for row in each.rows] == [
        ("-", None, "It whistles, and the cook hears it."),
        ("+", each.line, "It whistles, and every cook hears it."),
    ]


def test_of_a_quote_with_gaps_the_part_that_changed_is_shown(tmp_path: Path) -> None:
    (each,) = quoted(tmp_path, "Kettle must not boil … kettle_lid must stay shut")
    assert each.kind == "changed"
    assert each.line == line_of("kettle_lid")
    assert [row.text for row in each.rows] == [
        "kettle_lid must stay shut",
        "kettle_lid stays shut.",
    ]


@pytest.mark.parametrize("quote", ["stays shut … must not boil", "must not boil … ones are quick"])
def test_parts_must_be_in_order_and_near(tmp_path: Path, quote: str) -> None:
    guide = GUIDE.replace("### As a unit", "Words, many of them. " * 30 + "\n\n### As a unit")
    (each,) = quoted(tmp_path, quote, guide)
    assert each.kind == "changed"
    assert "not near each other" in each.says


def test_gone_words_are_looked_for_under_their_heading(tmp_path: Path) -> None:
    (each,) = quoted(tmp_path, "A samovar keeps its water warm for hours on end")
    assert (each.kind, each.line) == ("gone", line_of("## Set up"))
    (each,) = quoted(tmp_path, "A samovar keeps its water warm for hours", section="Tea")
    assert (each.kind, each.line) == ("gone", None)
    assert "nor a section “Tea”" in each.says


def test_words_under_another_heading_have_moved(tmp_path: Path) -> None:
    (each,) = quoted(tmp_path, "ones are quick", section="Set up")
    assert (each.kind, each.line) == ("moved", line_of("ones are quick"))
    assert "“As a unit” now, not under “Set up”" in each.says


@pytest.mark.parametrize(
    ("now", "kinds"),
    [("version 3.2.", []), ("version 3.25.", ["changed"]), ("version 3.2.1.", ["changed"])],
)
def test_a_number_is_not_found_in_a_longer_one(tmp_path: Path, now: str, kinds: list[str]) -> None:
    guide = GUIDE.replace("## Set up", f"## Set up\n\nIt needs a kettle of {now}\n")
    assert [each.kind for each in quoted(tmp_path, "a kettle of version 3.2", guide)] == kinds


def test_addresses_of_links_are_no_words(tmp_path: Path) -> None:
    (each,) = quoted(tmp_path, "https://kettle.example/rim", section="As a unit")
    assert each.kind == "gone"


@pytest.mark.parametrize("quote", ["…", "**", "[…] …"])
def test_a_quote_without_words_would_be_found_anywhere(tmp_path: Path, quote: str) -> None:
    with pytest.raises(GuideError, match=r"claims\.toml:1: C7\.quote: .* no words"):
        quoted(tmp_path, quote)
