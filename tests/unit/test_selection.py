"""What `pytest -k` selects, in which order it runs, and how xdist spreads it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from terminal_support import made_once

from harness.scenario_file import load_all
from harness.scheduling import scope_of, share_of, suggested_deployments

ROOT = Path(__file__).parents[2]
SCENARIOS = load_all(ROOT / "scenarios")
VARIANTS = [scenario.id for scenario in SCENARIOS]


def collect(*arguments: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--co", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in (0, pytest.ExitCode.USAGE_ERROR), done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if "::" in line] or [done.stderr]


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    def make(folder: Path) -> None:
        (folder / "ids").write_text("\n".join(collect()))

    return (made_once(tmp_path_factory, "everything", make) / "ids").read_text().splitlines()


def test_every_variant_is_checked_for_relaying_from_every_vantage(everything: list[str]) -> None:
    for scenario in SCENARIOS:
        if scenario.settings.checks != "matrix":
            continue
        variant = scenario.id
        relay = [
            name
            for name in everything
            if re.search(rf"test_(no_strangers|expected_open).*\[{variant}-", name)
        ]
        assert len(relay) == len(scenario.reachable), (variant, relay)


def test_words_of_a_test_id_select(everything: list[str]) -> None:
    selected = collect("-k", "rootful_compose and permit_host and relay and localhost_v4")
    assert selected == [
        "tests/deployments/test_relay.py::test_expected_open_relay_is_seen"
        "[rootful_compose-permit_host-localhost_v4]"
    ]


def test_tests_of_a_variant_follow_each_other_and_its_end_comes_last(everything: list[str]) -> None:
    ids = [name.partition("[")[2].rstrip("]").split("-") for name in everything]
    order = ["-".join(words[:2]) for words in ids]
    changes = [a for a, b in zip(order, [*order[1:], ""], strict=True) if a != b]
    assert len(changes) == len(set(changes)) == len(VARIANTS)
    first = [name for name in everything if f"[{VARIANTS[0]}" in name]
    assert "test_stopping_leaves_nothing" in first[-1]


def test_all_kinds_of_checks_come_before_the_next_repetition() -> None:
    variants = ("rootful_compose-fail2ban", "rootful_compose-reboot", "rootful_compose-permit_none")
    listed = collect("-k", " or ".join(variants), "--repeat=2", "tests/deployments")
    order = dict.fromkeys(name.partition("[")[2].rstrip("]").split("-")[1] for name in listed)
    kinds = [each.partition("-")[2] for each in variants]
    assert [name.rpartition(".")[2] for name in order] == ["1"] * 3 + ["2"] * 3
    assert {name.rpartition(".")[0] for name in order} == set(kinds)


def test_what_does_not_depend_on_the_variant_is_shown_once(everything: list[str]) -> None:
    stops = sum("test_stopping_leaves_nothing" in name for name in everything)
    matrix = [each for each in SCENARIOS if each.settings.checks == "matrix"]
    assert stops == sum(each.is_first for each in matrix)


def test_dimensions_select_what_their_names_do_not_say() -> None:
    pasta = {
        each.folder.name
        for each in SCENARIOS
        if each.table.user == "rootless" and each.table.network == "pasta"
    }
    selected = {
        name.partition("[")[2].partition("-")[0]
        for name in collect("-k", "rootless_pasta and (comes_up or not_come_up)")
    }
    assert selected == pasta
    assert "rootless_compose_pasta" in selected


def test_selecting_nothing_says_what_may_have_been_meant() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--co", "-k", "rootfull_quadlet"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, done.stdout
    hint = "ERROR: -k 'rootfull_quadlet' selects nothing: did you mean for 'rootfull_quadlet', "
    assert f"{hint}rootful_quadlet" in done.stdout


def test_mistake_in_a_scenario_is_one_clear_error(tmp_path: Path) -> None:
    folder = tmp_path / "typo"
    folder.mkdir()
    (folder / "scenario.toml").write_text('tittle = "x"\n')
    (said,) = collect("--scenarios", str(tmp_path), "tests/deployments")
    assert "scenario.toml" in said
    assert "tittle: there is no such key; 'title' is one" in said


def test_xdist_keeps_a_variant_on_one_worker(everything: list[str]) -> None:
    scopes = list(dict.fromkeys(scope_of(name) for name in everything))
    assert set(scopes) == set(VARIANTS)
    apart = "tests/unit/test_x.py::test_y[a-b-c]"
    assert scope_of(apart) == apart
    shares = [share_of([apart, *scopes], worker, 2) for worker in ("gw0", "gw1")]
    assert sorted(shares[0] + shares[1]) == sorted(scopes)
    assert abs(len(shares[0]) - len(shares[1])) <= 1
    assert share_of(scopes, "gw2", 2) == shares[0]  # in the place of the first


def test_not_all_workers_wait_for_reboots_at_the_same_time(everything: list[str]) -> None:
    scopes = list(dict.fromkeys(scope_of(name) for name in everything))
    waiting = {each.id for each in SCENARIOS if each.settings.checks == "life"}
    for workers in (2, 4):
        shares = [share_of(scopes, f"gw{number}", workers) for number in range(workers)]
        turns = zip(*(share[: len(scopes) // workers] for share in shares), strict=True)
        at_once = [sum(scope in waiting for scope in turn) for turn in turns]
        assert max(at_once) <= workers // 2, at_once


def test_there_is_always_room_for_one_deployment() -> None:
    assert suggested_deployments() >= 1


@pytest.mark.parametrize("folder", ["integration", "vagrant"])
def test_xdist_keeps_a_file_of_whole_runs_on_one_worker(folder: str) -> None:
    file = f"tests/{folder}/test_x.py"
    assert {scope_of(f"{file}::test_y[a-b]"), scope_of(f"{file}::test_z")} == {file}
