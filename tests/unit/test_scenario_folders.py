"""Which folders are scenarios, what is said of those that are none, and that ours are good."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
from scenario_support import folder, refusal

from harness.addresses import CLIENTS, INSIDE, vantages_of
from harness.errors import ScenarioError
from harness.scenario_file import STEPS, load, load_all


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = folder(tmp_path)
    (path / "scenario.toml").write_bytes(b"title = \xff\xfe")
    assert "scenario.toml" in refusal(path)


@pytest.mark.parametrize("name", ["with-dash", "Upper", "with space", "with.dot", "ümlaut"])
def test_a_folder_that_could_not_be_told_from_its_variant_is_refused(
    tmp_path: Path, name: str
) -> None:
    path = folder(tmp_path, name=name)
    said = refusal(path)
    assert "lower case letters, digits, underscores" in said
    remedy = Path(said.rpartition(" ")[2])
    path.rename(remedy)
    assert load(remedy)


def test_a_folder_without_the_file_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "is missing" in refusal(tmp_path / "empty")
    assert "copy a neighbour's" in refusal(tmp_path / "empty")
    folder(tmp_path)
    with pytest.raises(ScenarioError, match=r"scenario\.toml is missing"):
        load_all(tmp_path)


def test_no_scenarios_at_all_is_an_error_that_says_what_one_is(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="holds no scenarios") as raised:
        load_all(tmp_path)
    assert "a folder with a scenario.toml" in raised.value.hint
    with pytest.raises(ScenarioError, match="is no folder") as raised:
        load_all(tmp_path / "none")
    assert raised.value.hint


def test_files_beside_the_scenarios_and_in_them_are_fine(tmp_path: Path) -> None:
    (folder(tmp_path) / "README.md").touch()
    (tmp_path / "claims.toml").touch()
    folder(tmp_path, name="another")
    assert [each.id for each in load_all(tmp_path)] == [
        "another-first",
        "another-second_1",
        "some_folder-first",
        "some_folder-second_1",
    ]


def test_the_projects_own_scenarios_are_good_and_their_ids_unique(tmp_path: Path) -> None:
    own = Path(__file__).parents[2] / "scenarios"
    scenarios = load_all(own)
    ids = [scenario.id for scenario in scenarios]
    assert "rootless_pasta_quadlet-permit_container" in ids
    assert len(set(ids)) == len(ids)
    for scenario in scenarios:
        for place in (*(client.place for client in CLIENTS), *INSIDE):
            for vantage in vantages_of(place):
                assert all(scenario.client_address(vantage))
    assert sum(scenario.is_first for scenario in scenarios) == len({s.folder for s in scenarios})
    # A copy of a folder, beside the steps that it names, is another scenario.
    shutil.copy(own / STEPS, tmp_path)
    shutil.copytree(scenarios[0].folder, tmp_path / "copy")
    assert load(tmp_path / "copy")[0].id.startswith("copy-")


def test_the_verbatim_scenario_has_the_guides_own_file() -> None:
    # The example of docs/content/config/advanced/podman.md, section "Rootless Quadlet".
    file = Path(__file__).parents[2] / "scenarios/rootless_guide_verbatim/dms.container"
    assert hashlib.sha256(file.read_bytes()).hexdigest() == (
        "444ad5a150a3c0c556c3bbb716efc85b77abc4b5b06f4f8f9cde7672ab72b043"
    )
