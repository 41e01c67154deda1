"""The list of the guide's claims: what it says, and what a mistake in it leads to."""

from __future__ import annotations

import ast
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from harness.claims import load_claims
from harness.errors import ClaimsError
from harness.scenario_file import load_all

ROOT = Path(__file__).parents[2]
CLAIMS = ROOT / "scenarios" / "claims.toml"

GOOD = """
[features."a moon"]
subject = "moon"
is = "full|new"
would = "a machine with a moon"

[C1]
quote = "it starts"
section = "Start"
test = "start it"
depends = ["image"]
needs = ["a moon"]
correction.contradicted = "it does not"

[[C1.case]]
when = "always"
scenario = "a-*"
kind = "deployment"
subject = ["start", "restart"]
holds = "came up"
"""


def loaded(tmp_path: Path, text: str):  # type: ignore[no-untyped-def]
    file = tmp_path / "claims.toml"
    file.write_text(text)
    return load_claims(file)


def test_claim_is_read(tmp_path: Path) -> None:
    (claim,) = loaded(tmp_path, GOOD)
    assert (claim.id, claim.quote, claim.section) == ("C1", "it starts", "Start")
    assert claim.needs[0].would == "a machine with a moon"
    assert claim.cases[0].scenario == ("a-*",)
    assert claim.cases[0].subject == ("start", "restart")
    assert not claim.cases[0].suffices


@pytest.mark.parametrize(
    ("replace", "by", "said"),
    [
        ("[C1]", "[D1]", "D1: a claim is called C and a number"),
        ("[C1]", "[C01]", "C01: a claim is called C and a number"),
        ('section = "Start"\n', "", "C1.section: is missing"),
        ('quote = "it starts"', 'quote = ""', "C1.quote: String should have at least 1 char"),
        ('quote = "it starts"', 'qoute = "it starts"', "C1.qoute: there is no such key; 'quote'"),
        ("kind =", "kindd =", "C1.case.0.kindd: there is no such key; 'kind' is one"),
        ('holds = "came up"', 'holds = "("', "C1.case.0.holds: '(' is no regular expression"),
        ('holds = "came up"', "", "C1.case.0: it takes one of `holds`, `same` and `equals`"),
        ("holds =", "same = true\nholds =", "C1.case.0: it takes one of"),
        ('holds = "came up"', "same = true\nany = true", "C1.case.0: `any` one of them cannot"),
        ('holds = "came up"', 'same = true\nevidence = "why"', "C1.case.0: `evidence` is what"),
        ('needs = ["a moon"]', 'needs = ["a mon"]', "C1.needs: there is no features.'a mon'"),
        ("contradicted =", "upheld =", "C1.correction.upheld: there is no such key"),
        ('is = "full|new"\n', "", "features.a moon: `subject` and `is` belong together"),
        ("would =", "wuld =", "features.a moon.wuld: there is no such key; 'would' is one"),
        ("[C1]", "C2 = 1\n[C1]", "features.a moon.C2: there is no such key"),
        ("[C1]", '[C1]\nid = "C7"', "C1.id: is the table's name, and no key"),
    ],
)
def test_mistake_is_named_with_file_and_key(
    tmp_path: Path, replace: str, by: str, said: str
) -> None:
    text = GOOD.replace(replace, by)
    assert text != GOOD
    with pytest.raises(ClaimsError) as caught:
        loaded(tmp_path, text)
    assert caught.value.message.startswith(f"{tmp_path / 'claims.toml'}: ")
    assert said in caught.value.message


def test_two_cases_of_one_name_are_a_mistake(tmp_path: Path) -> None:
    case = GOOD[GOOD.index("[[C1.case]]") :]
    with pytest.raises(ClaimsError, match="C1: two cases are called 'always'"):
        loaded(tmp_path, GOOD + case)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("kind =", "kin =").replace('test = "start it"', "")
    with pytest.raises(ClaimsError, match=r"C1\.test: is missing.*C1\.case\.0\.kin: "):
        loaded(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no claims"),
        ("[C1\n", "Expected ']'"),
        ("C1 = 3\n", "C1: is no table"),
    ],
)
def test_what_is_no_list_of_claims(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ClaimsError, match=said):
        loaded(tmp_path, text)


def test_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ClaimsError, match=r"none\.toml is missing"):
        load_claims(tmp_path / "none.toml")


# The list itself.


def test_every_claim_of_the_guide_is_listed_once() -> None:
    assert [claim.id for claim in load_claims(CLAIMS)] == [f"C{n}" for n in range(1, 59)]


def test_every_case_is_about_a_scenario_that_there_is() -> None:
    variants = [scenario.id for scenario in load_all(CLAIMS.parent)]
    for claim in load_claims(CLAIMS):
        for case in claim.cases:
            for glob in case.scenario:
                matching = [name for name in variants if fnmatchcase(name, glob)]
                assert matching, f"{claim.id} ({case.when}): no scenario variant is called {glob}"


def recorded_kinds() -> set[str]:
    """The first argument of everything in the harness that is called `record` or `guarded`."""
    kinds = set()
    for file in (ROOT / "harness").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if not (isinstance(node, ast.Call) and node.args):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            first = node.args[0]
            if name in ("record", "guarded") and isinstance(first, ast.Constant):
                kinds.add(first.value)
    return kinds


def test_every_case_and_feature_is_about_a_kind_that_the_harness_records() -> None:
    recorded = recorded_kinds()
    for claim in load_claims(CLAIMS):
        for case in claim.cases:
            assert case.kind in recorded, f"{claim.id} ({case.when}): nothing records {case.kind}"
        for need in claim.needs:
            assert need.kind in recorded, f"{claim.id}: nothing records {need.kind}"


def test_claim_with_several_cases_says_what_it_depends_on() -> None:
    for claim in load_claims(CLAIMS):
        if len(claim.cases) > 1:
            assert claim.depends, f"{claim.id} has several cases, and depends on nothing"
