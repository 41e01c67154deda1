"""Each way in which a block and what is ours can part is said, with both lines."""

from __future__ import annotations

from pathlib import Path

import pytest
from guide_support import COMPOSE, GUIDE, STEPS, TABLE, UNIT, drift, folder, line_of

from harness.errors import GuideError
from harness.guide.agreement import Contained
from harness.guide.commands import commands_of
from harness.guide.drift import Drift
from harness.guide.leaves import leaves
from harness.guide.page import Block
from harness.guide.table import load_table


def one(base: Path, guide: str = GUIDE, table: str = TABLE) -> Drift:
    (each,) = [each for each in drift(base, guide, table) if each.what == "block"]
    return each


def rows(each: Drift) -> list[tuple[str, int | None, int | None, str]]:
    return [(row.sign, row.ours, row.guide, row.text.strip()) for row in each.rows]


def numbered(text: str) -> list[tuple[int, str]]:
    return list(enumerate(text.splitlines(), 1))


def test_nothing_has_drifted(tmp_path: Path) -> None:
    assert drift(tmp_path) == []


def test_equal_shows_what_differs(tmp_path: Path) -> None:
    guide = GUIDE.replace("Restart=always", "Restart=no")
    each = one(tmp_path, guide)
    at, ours = line_of("Restart=", guide), line_of("Restart=", UNIT)
    assert (each.kind, each.name, each.line) == ("changed", "unit", at)
    assert each.ours == f"{tmp_path}/scenarios/rootful/kettle.service:{ours}"
    assert rows(each) == [
        (" ", ours - 1, at - 1, "# hears it."),
        ("-", ours, None, "Restart=always"),
        ("+", None, at, "Restart=no"),
        (" ", ours + 1, at + 1, "#SPOUT=long"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "sign"),
    [
        ("    # hears it.\n", "", "-"),
        ("    # hears it.\n", "    # hears it.\n    # Always.\n", "+"),
        ("    [Unit]\n", "", "-"),
    ],
)
def test_equal_shows_lines_that_only_one_has(tmp_path: Path, old: str, new: str, sign: str) -> None:
    each = one(tmp_path, GUIDE.replace(old, new))
    assert [row.sign for row in each.rows].count(sign) == 1
    assert {row.sign for row in each.rows} == {" ", sign}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("8080:80", "9090:80", [("-", '- "8080:80"'), ("+", '- "9090:80"   # steam')]),
        ('          - "8443:443"\n    ', "", [("-", '- "8443:443"')]),
        ("LID=shut", "LID=open", [("-", "LID: shut"), ("+", "- LID=open")]),
        ("LID=shut", "LID=shut\n          - SPOUT=1", [("+", "- SPOUT=1")]),
    ],
)
def test_contained_yaml(
    tmp_path: Path, old: str, new: str, expected: list[tuple[str, str]]
) -> None:
    guide = GUIDE.replace(old, new.replace("\n", "\n    "))
    assert guide != GUIDE
    each = one(tmp_path, guide)
    assert (each.kind, each.name) == ("changed", "compose")
    assert [(row.sign, row.text.strip()) for row in each.rows] == expected
    for row in each.rows:
        if row.guide:
            assert guide.splitlines()[row.guide - 1].strip() == row.text.strip()
        if row.ours:
            assert COMPOSE.splitlines()[row.ours - 1] == row.text


def test_order_comments_and_forms_do_not_matter_in_yaml(tmp_path: Path) -> None:
    guide = GUIDE.replace("   # steam", "").replace("- LID=shut", "  LID: shut")
    guide = guide.replace('"8080:80"', "XX").replace('"8443:443"', "'8080:80'")
    guide = guide.replace("XX", "8443:443")
    assert drift(tmp_path, guide) == []


def test_contained_in_a_systemd_file(tmp_path: Path) -> None:
    each = one(tmp_path, GUIDE.replace("    Map=10:0:1\n", ""))
    assert (each.name, [row.sign for row in each.rows]) == ("map", ["-"])
    assert each.ours.endswith("map.conf:3")
    each = one(tmp_path, GUIDE.replace("Map=10:0:1", "Map=11:0:1"))
    assert (each.name, [row.sign for row in each.rows]) == ("map", ["-", "+"])


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('- "8443:443"', '- "8443:443', "no YAML"),
        ("Map=10:0:1", "Map 10:0:1", "no setting of a systemd file"),
    ],
)
def test_a_block_that_is_not_in_its_format_has_changed(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    each = one(tmp_path, GUIDE.replace(old, new))
    assert each.kind == "changed"
    assert said in each.says


@pytest.mark.parametrize(
    ("old", "new", "signs"),
    [
        ("<80|100>", "<80|90|100>", ["-", "+"]),
        ("kettle --heat <80|100>\n", "", ["-"]),
        ("\n...", "\nkettle --pour", ["+"]),
        ("    kettle\nkettle --heat <80|100>", "    kettle --heat <80|100>", ["-", "-", "+"]),
    ],
)
def test_commands(tmp_path: Path, old: str, new: str, signs: list[str]) -> None:
    guide = GUIDE.replace(old, new)
    each = one(tmp_path, guide)
    assert (each.kind, each.name) == ("changed", "install")
    assert [row.sign for row in each.rows] == signs
    if signs[:2] == ["-", "+"]:
        assert each.line == line_of("--heat", guide)
        assert each.ours == f"{tmp_path}/scenarios/steps.toml:{line_of('$t', STEPS)}"


def test_comments_and_spacing_do_not_matter_in_commands(tmp_path: Path) -> None:
    guide = GUIDE.replace("# Once.", "# Twice.").replace(
        "install \\\n    kettle", "install  kettle"
    )
    assert drift(tmp_path, guide) == []


def test_a_command_that_ours_does_not_run_any_more(tmp_path: Path) -> None:
    # The words are in another step still.
    table = TABLE.replace("kettle --heat $t", "kettle --heat 0")
    each = one(tmp_path, table=table)
    assert (each.kind, each.name) == ("not run", "install")
    assert "the step heat has no “kettle --heat 0”" in each.says
    assert each.ours == f"{tmp_path}/scenarios/steps.toml"


def test_a_block_that_is_gone(tmp_path: Path) -> None:
    start, end = GUIDE.index('=== "User"'), GUIDE.index("> Kettles")
    each = one(tmp_path, GUIDE[:start] + GUIDE[end:])
    assert (each.kind, each.name, each.line) == ("gone", "map", line_of("### As a unit"))
    assert each.ours == f"{tmp_path}/scenarios/guide.toml:{line_of('[map]', TABLE)}"


def test_a_new_block(tmp_path: Path) -> None:
    guide = GUIDE + "\n```bash\n\npodman ps\n```\n"
    each = one(tmp_path, guide)
    assert (each.kind, each.name) == ("new", "")
    assert each.line == line_of("podman ps", guide) - 2
    assert each.says == "no scenario shows it, under “As a unit”: podman ps"


def test_a_second_copy_of_a_block_is_new(tmp_path: Path) -> None:
    guide = GUIDE + "\n~~~ini\nMap=0:1:10\nMap=10:0:1\n~~~\n"
    each = one(tmp_path, guide)
    assert each.kind == "new"


def test_a_block_that_is_another_one_now_is_gone_and_new(tmp_path: Path) -> None:
    guide = GUIDE.replace("Map=0:1:10", "Spout=long").replace("Map=10:0:1", "Lid=shut")
    kinds = {each.kind: each.name for each in drift(tmp_path, guide)}
    assert kinds == {"gone": "map", "new": ""}


def test_a_block_under_another_heading_or_tab_has_moved(tmp_path: Path) -> None:
    guide = GUIDE.replace('=== "User"', "### For users")
    each = one(tmp_path, guide.replace("    ~~~", "~~~").replace("    Map", "Map"))
    assert (each.kind, each.name) == ("moved", "map")
    each = one(tmp_path, GUIDE.replace('=== "Root"', '=== "Everybody"'))
    assert (each.kind, each.name) == ("moved", "unit")
    assert "“As a unit / Everybody” now, not under “As a unit / Root”" in each.says


def test_blocks_of_one_section_are_told_apart_by_what_they_say(tmp_path: Path) -> None:
    table = TABLE + (
        '[pour]\nsection = "Set up"\n'
        '[[pour.command]]\nrun = "sudo dnf install kettle"\nnot_run = "it is there"\n'
        '[[pour.command]]\nrun = "kettle --pour"\nnot_run = "it is hot"\n'
    )
    # It is before the other, which has a command of it.
    guide = GUIDE.replace(
        "```bash", "```bash\nsudo dnf install kettle\nkettle --pour\n```\n\n```bash"
    )
    assert drift(tmp_path, guide, table) == []
    each = one(tmp_path, guide.replace("--pour", "--pours"), table)
    assert (each.kind, each.name) == ("changed", "pour")


def test_a_block_is_not_taken_for_two(tmp_path: Path) -> None:
    again = TABLE[: TABLE.index("[compose]")].replace("[install", "[again")
    each = one(tmp_path, table=TABLE + again)
    assert (each.kind, each.name) == ("gone", "again")


def test_everything_is_in_the_guides_order(tmp_path: Path) -> None:
    guide = GUIDE.replace("<80|100>", "<80>").replace("Map=10", "Map=9").replace("8080", "8081")
    lines = [each.line for each in drift(tmp_path, guide)]
    assert None not in lines
    assert lines == sorted(lines, key=lambda line: line or 0)
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('section = "Set up"\ncont', "cont", r"compose\.section: is missing"),
        ("contained_in", "contained", r"compose\.contained: there is no such key; 'contained_in'"),
        ("there =", "their =", r"install\.command\.1\.their: .*'there' is one"),
        ('step = "heat"\n', "", "one of `by`"),
        ('step = "heat"', 'step = "heet"', r"has no step 'heet'\n.*heat"),
        ('not_run = "it', 'there = "a"\nnot_run = "it', "`there` is for what is run"),
        ('equal = "rootful/', 'equal = "root/', r"unit\.equal names 'root/kettle.service'"),
        ('same = ["Map"]\n', "", "`same` goes with `contained_in`"),
        ("equal =", 'contained_in = ["rootless/map.conf"]\nequal =', "one of `equal`"),
        ('equal = "rootful/kettle.service"\n', "", "give one of"),
        ("[unit]", "[unit", "guide.toml: .*line 16"),
    ],
)
def test_mistakes_in_the_table_are_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    made = folder(tmp_path, TABLE.replace(old, new, 1))
    with pytest.raises(GuideError, match=said):
        load_table(made / "guide.toml")


def test_a_missing_table(tmp_path: Path) -> None:
    with pytest.raises(GuideError, match=r"guide\.toml is missing\n"):
        load_table(tmp_path / "guide.toml")


def test_a_path_that_the_file_does_not_set_is_a_mistake(tmp_path: Path) -> None:
    file = folder(tmp_path) / "rootless/compose.yaml"
    with pytest.raises(GuideError, match=r"sets nothing at services\.kettle\.port, which `same`"):
        Contained(file, ["services.kettle.port"])


def test_a_file_of_ours_that_is_no_yaml_is_a_mistake(tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text("a: 1\nb: [\n")
    with pytest.raises(GuideError, match=r"compose\.yaml:[23]: no YAML"):
        Contained(file, ["a"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a:\n  b: yes\n  c: 25:25\n", [("a.b", "yes", 2), ("a.c", "25:25", 3)]),
        ("a:\n  - {y: 2, x: 1}\n  - [1, 2]\n", [("a", "{x: 1, y: 2}", 2), ("a", "[1, 2]", 3)]),
        ("a:\nb:\n  ...\n", [("a", "", 1), ("b", "", 2)]),
        ("", []),
    ],
)
def test_leaves_of_yaml(text: str, expected: list[tuple[str, str, int]]) -> None:
    found = leaves("x.yaml", numbered(text))
    assert [(leaf.path, leaf.value, leaf.line) for leaf in found] == expected


def test_commands_go_on_over_lines() -> None:
    text = "a \\\n  # no comment \\\n  b\n\n# c\n...\n  d   e\n"
    block = Block("bash", "", "", (), 10, text)
    assert commands_of(block) == [(11, "a # no comment b"), (17, "d e")]
