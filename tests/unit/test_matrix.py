"""Cells have every scenario variant once, and their commands select those and no others."""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection
from pathlib import Path

import pytest
from _pytest.mark.expression import Expression
from test_json import SCENARIOS, printed

from harness.cli import main
from harness.keywords import may_match
from harness.matrix import cells
from harness.scenario import Scenario
from harness.scenario_file import load_all

EVERY = load_all(Path(SCENARIOS[1]))
RUNS = Path("runs")


def selected(command: str) -> str:
    """What a cell's command gives to `-k`."""
    words = shlex.split(command)
    return words[words.index("-k") + 1]


def selects(expression: str, names: Collection[str]) -> bool:
    """Whether `pytest -k` takes a test that is called so."""
    lower = [name.lower() for name in names]
    found = Expression.compile(expression)
    return found.evaluate(lambda word, /, **_: any(word.lower() in name for name in lower))


def names_of(scenario: Scenario) -> list[str]:
    """Tests of a variant: of the whole of it, and of one vantage."""
    return [f"test_x[{scenario.id}]", f"test_x[{scenario.id}-self_v4]"]


@pytest.mark.parametrize("many", [None, 1, 4, 7, 1000])
def test_each_test_is_in_one_cell(many: int | None) -> None:
    made = cells(EVERY, ["nspawn"], RUNS, many=many)
    known = {each.id for each in EVERY}
    dealt = [name for cell in made for name in cell["scenarios"]]
    assert sorted(dealt) == sorted(known)
    of = {name: cell["id"] for cell in made for name in cell["scenarios"]}
    asked = {cell["id"]: Expression.compile(selected(cell["command"])) for cell in made}
    for scenario in EVERY:
        for name in names_of(scenario):
            taken = [
                cell
                for cell, expression in asked.items()
                if expression.evaluate(lambda word, /, **_: word.lower() in name)  # noqa: B023
            ]
            assert taken == [of[scenario.id]], name


def test_words_are_kept_and_narrow_the_cells() -> None:
    made = cells(EVERY, ["nspawn"], RUNS, words="pasta and fail2ban and imaps", many=3)
    dealt = {name for cell in made for name in cell["scenarios"]}
    assert dealt
    assert all("fail2ban" in name for name in dealt)
    for cell in made:
        name = f"test_x[{cell['scenarios'][0]}-self_v4-imaps]"
        assert selects(selected(cell["command"]), [name, "pasta"])
        assert not selects(selected(cell["command"]), [name.replace("imaps", "smtp"), "pasta"])


@pytest.mark.parametrize("variant", EVERY, ids=str)
def test_id_of_a_variant_selects_it(variant: Scenario) -> None:
    for words in (variant.id, variant.folder.name, variant.variant, f"[{variant.id}]"):
        dealt = [n for cell in cells(EVERY, ["auto"], RUNS, words) for n in cell["scenarios"]]
        assert variant.id in dealt, words
    (made,) = cells(EVERY, ["auto"], RUNS, variant.id, many=1)
    assert all(name.startswith(variant.id) for name in made["scenarios"])


def test_balanced_cells_differ_by_one_variant_at_most() -> None:
    sizes = {len(cell["scenarios"]) for cell in cells(EVERY, ["nspawn"], RUNS, many=7)}
    assert max(sizes) - min(sizes) <= 1


def test_there_are_never_more_cells_than_variants() -> None:
    made = cells(EVERY, ["nspawn", "vagrant"], RUNS, many=1000)
    assert len(made) == 2 * len(EVERY)
    assert len({cell["id"] for cell in made}) == len(made)


def test_early_selection_knows_the_brackets() -> None:
    """What is left out before tests are made must not be what a cell asks for."""
    scenario = next(each for each in EVERY if each.id == "rootless_compose-kills")
    others = {f"[{scenario.id}-", f"[{scenario.id}]"}
    for words in ("[rootless_compose-", "[rootless_compose-kills-", "[rootless_compose-kills]"):
        assert may_match(words, {scenario.id}, others), words
    assert not may_match("[compose-", {scenario.id}, others)


def test_every_cell_writes_to_places_of_its_own() -> None:
    for cell in cells(EVERY, ["ssh:you@host:22", "vagrant"], RUNS, many=2):
        words = shlex.split(cell["command"])
        assert f"--runs={cell['runs']}" in words
        assert f"--junitxml={cell['junitxml']}" in words
        assert f"--machine={cell['machine']}" in words
        assert Path(cell["runs"]).name == cell["id"]
        assert not set(cell["id"]) & set(":@/ ")


def test_distributions_and_mail_servers_are_dimensions() -> None:
    distros, mailservers = ["debian-12", "debian-forky"], ["stand-in", "upstream:15.0.0"]
    made = cells(EVERY, ["nspawn"], RUNS, many=2, distros=distros, mailservers=mailservers)
    assert len(made) == len({cell["id"] for cell in made}) == 2 * 2 * 2
    assert made[0]["id"] == "nspawn-debian-12-stand-in-1-of-2"
    assert made[-1]["id"] == "nspawn-debian-forky-upstream_15.0.0-2-of-2"
    for cell in made:
        words = shlex.split(cell["command"])
        assert f"--distro={cell['distro']}" in words
        assert f"--mailserver={cell['mailserver']}" in words
    for name in {each.id for each in EVERY}:
        of = [(c["distro"], c["mailserver"]) for c in made if name in c["scenarios"]]
        assert sorted(of) == sorted((d, m) for d in distros for m in mailservers)


def test_what_is_not_asked_for_is_not_in_names_and_commands() -> None:
    for cell in cells(EVERY, ["auto"], RUNS, many=2):
        assert cell["id"] in ("auto-1-of-2", "auto-2-of-2")
        assert (cell["distro"], cell["mailserver"]) == ("", "auto")
        assert "--distro" not in cell["command"]
        assert "--mailserver" not in cell["command"]


def test_paths_that_end_alike_have_names_of_their_own() -> None:
    paths = ["/one/dms", "/two/dms", "./three/dms", "upstream:1", "upstream_1"]
    made = cells(EVERY, ["nspawn"], RUNS, many=1, mailservers=paths)
    assert len({cell["id"] for cell in made}) == len(paths)
    assert [cell["id"] for cell in made][:2] == ["nspawn-dms-1-of-1", "nspawn-dms_2-1-of-1"]
    for cell in made:
        assert not set(cell["id"]) & set(":@/ ")


def test_object_and_github(capsys: pytest.CaptureFixture[str]) -> None:
    words = [*SCENARIOS, "--machine", "nspawn", "vagrant", "--cells", "2"]
    made = printed(capsys, "matrix", *words)
    assert [each["id"] for each in made["cells"]] == [
        "nspawn-1-of-2",
        "nspawn-2-of-2",
        "vagrant-1-of-2",
        "vagrant-2-of-2",
    ]
    assert main(["matrix", *words, "--github"]) == 0
    assert json.loads(capsys.readouterr().out) == {"include": made["cells"]}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["-k", "rootful or rootles_pasta"], "for 'rootles_pasta', rootless_pasta"),
        (["-k", "rootful and rootless_pasta"], "selects no scenario variant"),
        (["-k", "pasta and"], "-k 'pasta and'"),
        (["--cells", "0"], "--cells 0"),
        (["--machine", "nspwn"], "no such kind of machine"),
        (["--machine", "ssh"], "no such kind of machine"),
        (["--distro", "debian-13", "debian12"], "--distro debian12: no such distribution"),
        (["--machine", "nspawn", "vagrant", "--distro", "debian-12"], "--vagrant-box"),
        (["--github", "--distro", "debian-12", "debian-13", *["--mailserver", *"abcdefgh"]], "256"),
        (["--github", "--cells", "1000", "--machine", "nspawn", "vagrant"], "GitHub takes 256"),
    ],
)
def test_what_cannot_be_is_one_clear_error(
    capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert main(["matrix", *SCENARIOS, *words]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert "→" in error
