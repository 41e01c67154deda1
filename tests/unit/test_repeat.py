"""`--repeat`: what is deployed, what tests are called, and what is said of it at the end."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from terminal_support import environment, made_once, project, run

UNSET = "rootless_pasta_quadlet-permit_unset"
NONE = "rootless_pasta_quadlet-permit_none"
TESTS = """
import pytest

def test_observed(scenario, observations, vantage): ...

def test_sometimes(scenario, observations):
    assert scenario.repetition != 2 or "none" in scenario.id, "it is the second"

def test_never(scenario, observations, deployment):
    assert deployment.machine.name == "nothing of the sort"
"""
EACH = 12
"""Tests of each deployment."""


Repeated = tuple[Path, str]
"""A run of two variants, three times each: its folder, and what it said."""


@pytest.fixture(scope="module", params=["0", "2"], ids=["alone", "with workers"])
def repeated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Repeated:
    """The same run, by one process and by several."""

    def make(folder: Path) -> None:
        words = ["--repeat=3", "--junitxml=junit.xml", "-n", request.param]
        done = run(project(folder, TESTS), f"{UNSET} or {NONE}", *words)
        assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout
        (folder / "said").write_text(done.stdout)

    made = made_once(tmp_path_factory, f"repeated-{request.param}", make)
    return made, (made / "said").read_text()


def observed(folder: Path) -> list[dict[str, Any]]:
    (file,) = folder.glob("runs/2*/observations.jsonl")
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_each_repetition_is_a_deployment_by_itself(repeated: Repeated) -> None:
    boots = Counter(
        (fact["scenario"], fact["repetition"])
        for fact in observed(repeated[0])
        if fact["kind"] == "phase" and fact["subject"] == "boot"
    )
    assert boots == {(variant, n): 1 for variant in (UNSET, NONE) for n in (1, 2, 3)}


def test_what_is_said_of_stability(repeated: Repeated) -> None:
    said = repeated[1]
    head = "stability over 3 repetitions (min / median / max of a deployment's seconds):"
    table = said.partition(head)[2].splitlines()[1:6]
    assert [line.rstrip() for line in table] == [
        f"  {NONE}   0 of 3 passed  0.3 / 0.3 / 0.3 s",
        "    failed in repetitions 1, 2, 3: test_never",
        f"  {UNSET}  0 of 3 passed  0.3 / 0.3 / 0.3 s",
        "    failed in repetitions 1, 2, 3: test_never",
        "    failed in repetition 2: test_sometimes",
    ]


def test_programs_get_it_as_well(repeated: Repeated) -> None:
    (file,) = repeated[0].glob("runs/2*/stability.json")
    made = json.loads(file.read_text())
    assert made["schema"] == "dms-harness/stability/1"
    (of,) = (each for each in made["scenarios"] if each["scenario"] == UNSET)
    assert of["tests"]["test_sometimes"] == [2]
    assert (of["repeat"], of["failed"], of["differing"]) == (3, [1, 2, 3], [])


def test_table_of_what_was_seen_has_each_variant_once(repeated: Repeated) -> None:
    rows = [line for line in repeated[1].splitlines() if re.match(r"  permit_\w+ +\d failed", line)]
    assert sorted(row.split()[0] for row in rows) == ["permit_none", "permit_unset"]
    assert all(" 50/50 " in row and "nowhere (of 10)" in row for row in rows)


def test_failures_name_the_repetitions(repeated: Repeated) -> None:
    said = repeated[1].partition("not as it should be")[2]
    assert re.search(r"\n    sometimes: .*it is the second.* \(in repetition 2\)\n", said)


def test_what_is_pasted_shows_again_what_was_seen_once_and_always(
    repeated: Repeated,
) -> None:
    folder, said = repeated
    pasted = [
        shlex.split(line.removeprefix("reproduce: "), comments=True)
        for line in said.splitlines()
        if line.startswith("reproduce: ")
    ]
    (sometimes,) = (words for words in pasted if "test_sometimes" in words[-1])
    # As often as it was tried, for it was seen once.
    test = "tests/deployments/test_it.py::test_sometimes"
    assert sometimes[-4:] == ["--repeat=3", "-k", UNSET, test]
    assert "1 failed, 2 passed in" in pasted_run(folder, sometimes).splitlines()[-1]
    # Once is enough for what failed each time.
    always = [words for words in pasted if "test_never" in words[-1]]
    tests = {words[-1].partition("::")[2] for words in always}
    assert tests == {f"test_never[{variant}]" for variant in (UNSET, NONE)}
    assert "1 failed in" in pasted_run(folder, always[0]).splitlines()[-1]


def pasted_run(folder: Path, words: list[str]) -> str:
    return subprocess.run(
        [*words, "-p", "fake_deployments", "-p", "no:cacheprovider", "--runs=elsewhere"],
        cwd=folder,
        env=environment({}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    ).stdout


def test_junit_has_a_suite_for_each_repetition(repeated: Repeated) -> None:
    tree = ElementTree.fromstring((repeated[0] / "junit.xml").read_text())  # noqa: S314 - our own
    suites = {suite.get("name"): suite for suite in tree.iter("testsuite")}
    assert set(suites) == {f"{variant}.{n}" for variant in (UNSET, NONE) for n in (1, 2, 3)}
    for name, suite in suites.items():
        known = {p.get("name"): p.get("value") for p in suite.find("properties") or ()}
        assert f"{known['scenario']}-{known['variant']}.{known['repetition']}" == name
        assert known["podman"] == "podman version 5.4.2"
        assert suite.get("tests") == str(EACH)


def test_report_has_each_repetition_and_how_stable_they_are(repeated: Repeated) -> None:
    (page,) = (path.read_text() for path in repeated[0].glob("runs/2*/report.html"))
    assert "How stable each variant was" in page
    assert page.count('<details class="deployment"') == 6
    assert f'data-name="{UNSET} in repetition 2"' in page


def names(listed: str) -> list[str]:
    return [line.partition("::")[2] for line in listed.splitlines() if "::" in line]


def test_words_select_one_repetition_or_all(tmp_path: Path) -> None:
    folder = project(tmp_path, "def test_it(scenario, observations): ...\n")
    all_of_it = names(run(folder, UNSET, "--repeat=11", "--co", "-q").stdout)
    assert all_of_it == [f"test_it[{UNSET}.{n}]" for n in range(1, 12)]
    one = names(run(folder, "permit_unset.3 and pasta_quadlet", "--repeat=4", "--co", "-q").stdout)
    assert one == [f"test_it[{UNSET}.3]"]
    assert names(run(folder, UNSET, "--repeat=1", "--co", "-q").stdout) == [f"test_it[{UNSET}]"]


def test_all_variants_come_before_the_next_repetition(tmp_path: Path) -> None:
    folder = project(tmp_path, "def test_it(scenario, observations): ...\n")
    listed = names(run(folder, f"{UNSET} or {NONE}", "--repeat=2", "--co", "-q").stdout)
    assert listed == [f"test_it[{variant}.{n}]" for n in (1, 2) for variant in (UNSET, NONE)]


def test_last_failed_runs_those_repetitions(tmp_path: Path) -> None:
    folder = project(tmp_path, TESTS.replace('== "nothing of the sort"', '!= ""'))
    assert "1 failed, 35 passed" in run(folder, UNSET, "--repeat=3").stdout
    again = run(folder, UNSET, "--repeat=3", "--lf").stdout
    assert "1 failed in " in again.splitlines()[-1]
    newest = max(folder.glob("runs/2*/observations.jsonl"), key=lambda path: path.stat().st_mtime)
    assert {json.loads(line)["repetition"] for line in newest.read_text().splitlines()} == {2}


def test_repetitions_that_all_pass_are_a_success_with_q_without_a_word(tmp_path: Path) -> None:
    folder = project(tmp_path)
    done = run(folder, UNSET, "--repeat=2", "-q")
    assert done.returncode == pytest.ExitCode.OK
    assert "stability" not in done.stdout
    assert "2 of 2 passed" in run(folder, UNSET, "--repeat=2").stdout


def test_repetition_without_a_machine_is_told_apart(tmp_path: Path) -> None:
    done = run(project(tmp_path), UNSET, "--repeat=3", FAKE_BREAKS=f"{UNSET}.2.start")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert f"{UNSET}  2 of 3 passed, 1 could not be tried" in done.stdout
    assert "1 infrastructure error (20 tests not tried" in done.stdout
    assert f"  {UNSET}.2: MachineError: m" in done.stdout


def test_less_than_once_is_an_error(tmp_path: Path) -> None:
    done = run(project(tmp_path), UNSET, "--repeat=0")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "--repeat 0: a variant is deployed once at least" in done.stdout
