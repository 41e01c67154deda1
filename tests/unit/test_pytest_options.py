"""pytest's own options do what its users expect, with deployments as with anything else."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from terminal_support import SCENARIOS, environment, project, pytest_words, run

from harness.words import from_here, joined

UNSET = "rootless_pasta_quadlet-permit_unset"
NONE = "rootless_pasta_quadlet-permit_none"
TWO = f"{UNSET} or {NONE}"
SOME_FAIL = """
import pytest

def test_observed(scenario, observations, vantage):
    assert vantage != "self_v4" or "unset" not in scenario.id, "expected: x\\nseen: y"

def test_for_no_variant_here(scenario, banned_vantage): ...

@pytest.mark.checks("bans")
def test_for_others(scenario, observations): ...
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return project(tmp_path, SOME_FAIL)


def reproduced(said: str) -> list[list[str]]:
    lines = [line for line in said.splitlines() if line.startswith("reproduce: ")]
    return [shlex.split(line.removeprefix("reproduce: "), comments=True) for line in lines]


@pytest.mark.parametrize("select", ["rootless_pasta_quadlet", UNSET, "relay_host"])
def test_listed_is_what_would_run(folder: Path, select: str) -> None:
    listed = run(folder, select, "--co", "-q").stdout
    names = [line for line in listed.splitlines() if "::" in line]
    (counted,) = re.findall(r"^(\d+|no) tests? collected", listed, re.MULTILINE)
    assert len(names) == int(counted.replace("no", "0"))
    ran = run(folder, select).stdout
    if not names:
        assert "no tests ran" in ran
        return
    assert f"collected {len(names)} item" in ran
    outcomes = re.findall(r"(\d+) (?:passed|failed)", ran.splitlines()[-1])
    assert sum(map(int, outcomes)) == len(names)


def test_test_for_no_variant_is_not_said_to_be_missing(folder: Path) -> None:
    name = "tests/deployments/test_it.py::test_for_others"
    done = run(folder, UNSET, name)
    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED
    assert "1 deselected" in done.stdout
    assert "not found" not in done.stdout


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_last_failed_runs_those_alone(folder: Path, workers: tuple[str, ...]) -> None:
    first = run(folder, TWO, *workers).stdout
    assert "1 failed, 19 passed" in first
    again = run(folder, TWO, "--lf", *workers).stdout
    assert "1 failed in " in again.splitlines()[-1]
    # Only what the failing test is about has been deployed again.
    newest = max(folder.glob("runs/2*/observations.jsonl"), key=lambda path: path.stat().st_mtime)
    assert UNSET in newest.read_text()
    assert NONE not in newest.read_text()


def test_what_is_to_be_pasted_fails_in_the_same_way(folder: Path) -> None:
    elsewhere = folder / "with a space"
    elsewhere.mkdir()
    words = [*pytest_words(TWO), "-p", "no:cacheprovider", "-n2", "-c", "../pyproject.toml"]
    words[words.index("--runs=runs")] = "--runs=../runs"
    said = subprocess.run(
        [*words, "--rootdir=..", "../tests/deployments"],
        cwd=elsewhere,
        env=environment({}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    ).stdout
    (pasted,) = reproduced(said)
    assert "--machine" not in " ".join(pasted)
    again = subprocess.run(
        [*pasted, "-p", "fake_deployments", "--runs=../runs"],
        cwd=elsewhere,
        env=environment({}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    ).stdout
    assert "1 failed in" in again.splitlines()[-1], again
    assert f"test_observed[{UNSET}-self_v4]" in again


def test_options_that_decide_what_is_tested_are_to_be_pasted(folder: Path) -> None:
    said = run(folder, UNSET, "--mailserver=some where/image.tar", "--vagrant-cpus=3").stdout
    ((*words, test),) = reproduced(said)
    assert "--mailserver=some where/image.tar" in words
    assert "--vagrant-cpus=3" in words
    assert test == f"tests/deployments/test_it.py::test_observed[{UNSET}-self_v4]"


@pytest.mark.parametrize("workers", [(), ("-n1",)])
def test_folder_after_an_option_is_no_test(
    folder: Path, tmp_path: Path, workers: tuple[str, ...]
) -> None:
    """A worker gets the words when the folder is there, whether it was before or not."""
    runs = tmp_path.parent / f"{tmp_path.name}-runs"
    if not workers:
        runs.mkdir()
    words = pytest_words(UNSET, "--runs", str(runs), *workers)
    words.remove("--runs=runs")
    words.remove(f"--scenarios={SCENARIOS}")  # found beside the configuration
    (folder / "scenarios").symlink_to(SCENARIOS)
    done = subprocess.run(
        words,
        cwd=folder,
        env=environment({}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "1 failed, 9 passed" in done.stdout, done.stdout + done.stderr
    assert "configfile: pyproject.toml" in done.stdout
    assert len(list(runs.glob("2*/observations.jsonl"))) == 1


def test_only_an_option_of_ours_is_joined_with_what_is_there(tmp_path: Path) -> None:
    there = str(tmp_path)
    options = ("--runs",)
    assert joined(["-x", "--runs", there, "tests"], options) == ["-x", f"--runs={there}", "tests"]
    for words in (
        ["--runs", "/is/not/there"],
        ["--other", there],
        [f"--runs={there}"],
        ["--runs"],
        ["--", "--runs", there],
    ):
        assert joined(words, options) is None
    new = ["--runs", "/is/not/there"]
    assert joined(new, options, will_exist=True) == ["--runs=/is/not/there"]
    assert joined(["--runs"], options, will_exist=True) is None


def test_ids_are_pathed_from_where_the_command_is_given() -> None:
    root = Path("/project")
    nodeid = "tests/a.py::test_b[c::d/e]"
    assert from_here(nodeid, root, root) == nodeid
    assert from_here(nodeid, root, root / "docs") == f"../{nodeid}"
    assert from_here("tests/a.py", root, root / "tests") == "a.py"
