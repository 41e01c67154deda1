"""The workflows run what anybody can: targets of the Makefile, and scripts beside them."""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.cli import main, parser

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
MATRICES = ("embedded", "fedora")
GITHUB_TAKES = 65_536
"""Characters of an issue's text, or of a comment's."""

Job = dict[str, Any]


def loaded(path: Path) -> dict[Any, Any]:
    workflow: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return workflow


JOBS = [
    pytest.param(loaded(path), job, id=f"{path.stem}-{name}")
    for path in WORKFLOWS
    for name, job in loaded(path)["jobs"].items()
]


def made_by(job: Job, step: dict[str, Any]) -> Iterator[list[str]]:
    """The commands of a step, with each value that a variable of it may have."""
    strategy = job.get("strategy", {}).get("matrix", {})
    names, values = [], []
    for name, value in step.get("env", {}).items():
        key = re.fullmatch(r"\$\{\{ matrix\.(\w+) \}\}", value)
        listed = key and isinstance(strategy, dict) and strategy.get(key[1])
        names.append(name)
        values.append(listed or ["VALUE"])
    for chosen in itertools.product(*values):
        text = step["run"]
        for name, value in zip(names, chosen, strict=True):
            text = text.replace(f"${name}", value)
        for line in text.splitlines():
            inner = re.fullmatch(r"\w+=\$\((.*)\)", line.strip())
            yield shlex.split(inner[1] if inner else line)


def without_sudo(words: list[str]) -> list[str]:
    if words[0] != "sudo":
        return words
    return list(itertools.dropwhile(lambda word: word.startswith("--"), words[1:]))


def targets() -> set[str]:
    return set(re.findall(r"^([a-z][\w-]*):", MAKEFILE, re.MULTILINE))


def test_there_are_workflows() -> None:
    assert [path.name for path in WORKFLOWS] == ["checks.yml", "nightly.yml"]


@pytest.mark.parametrize(("workflow", "job"), JOBS)
def test_each_step_is_a_target_of_the_makefile(workflow: dict[Any, Any], job: Job) -> None:
    for step in job["steps"]:
        assert ("run" in step) != ("uses" in step)
        if "run" not in step:
            continue
        # What is put into a script's text is part of the script; a variable's value is not.
        assert "${{" not in step["run"]
        for words in made_by(job, step):
            command, *rest = without_sudo(words)
            if command == "printf":
                assert rest[-1] == ">>$GITHUB_OUTPUT"
            elif command == "make":
                given = dict(word.split("=", 1) for word in rest if "=" in word)
                called = [word for word in rest if "=" not in word and word != "-s"]
                assert called
                assert set(called) <= targets(), step["run"]
                for name in given | step.get("env", {}):
                    known = f"$({name})" in MAKEFILE or not name.isupper() or name == "PART"
                    assert known, f"{name}: nothing in the Makefile asks for it"
            else:
                script = ROOT / command
                assert script.parent == GITHUB
                assert os.access(script, os.X_OK)


@pytest.mark.parametrize(("workflow", "job"), JOBS)
def test_each_job_ends_and_may_do_little(workflow: dict[Any, Any], job: Job) -> None:
    assert workflow["permissions"] == {}
    assert workflow["concurrency"]["group"]
    assert 0 < job["timeout-minutes"] <= 360
    assert job["permissions"], "a job says what it needs"
    writes = {name for name, level in job["permissions"].items() if level == "write"}
    if writes:
        ran = [step["run"] for step in job["steps"] if "run" in step]
        assert all(command.startswith(".github/") for command in ran), "no harness may write"
    if "strategy" in job:
        assert job["strategy"]["fail-fast"] is False
    uploads = [step for step in job["steps"] if "/upload-artifact@" in step.get("uses", "")]
    if "strategy" in job:
        assert uploads, "what was deployed is kept"
        assert all(step["if"] == "always()" for step in uploads)


@pytest.mark.parametrize(("workflow", "job"), JOBS)
def test_actions_are_commits_whose_release_is_said(workflow: dict[Any, Any], job: Job) -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in WORKFLOWS)
    for step in job["steps"]:
        if "uses" in step:
            assert re.search(
                rf"uses: {re.escape(step['uses'])} # v\d+\.\d+\.\d+$", text, re.MULTILINE
            )
            assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", step["uses"])


def test_one_action_has_one_commit() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in WORKFLOWS)
    used = set(re.findall(r"uses: (\S+)@(\S+)", text))
    assert len(used) == len({name for name, _ in used})


def made(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "-s", "-o", "venv", *words],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "GITHUB_"))},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def knows(option: str) -> bool:
    """Whether `dms-harness matrix` has an option."""
    return any(
        option in action.option_strings
        for commands in parser()._actions
        if isinstance(commands.choices, dict)
        for action in commands.choices["matrix"]._actions
    )


@pytest.mark.skipif(not knows("--distro"), reason="dms-harness matrix has no --distro")
@pytest.mark.parametrize("matrix", MATRICES)
def test_a_night_has_every_scenario_and_makes_each_cell(
    matrix: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    command = made("-n", "matrix", f"MATRIX={matrix}").stdout.splitlines()[-1]
    assert main(shlex.split(command)[1:]) == 0
    cells = json.loads(capsys.readouterr().out)["include"]
    told = [{name for cell in cells for name in cell["scenarios"]}]
    assert main(["list", "--json"]) == 0
    assert told[0] == {each["id"] for each in json.loads(capsys.readouterr().out)["scenarios"]}
    for cell in cells:
        # In an artifact's name, a path, and a line of shell.
        assert re.fullmatch(r"[\w.-]+", cell["id"])
        words = made("-n", "cell", f"MATRIX={matrix}", f"CELL={cell['id']}").stdout
        asked = re.search(r"\$\((.*)\) &&", words)
        assert asked
        assert main(shlex.split(asked[1])[1:]) == 0
        assert capsys.readouterr().out.strip() == cell["command"]


def test_a_cell_that_is_not_there_is_an_error() -> None:
    done = made("cell", "CELL=nope", "MATRIX_embedded=--machine nspawn")
    assert done.returncode != 0
    assert "--command nope: there is no such cell" in done.stderr


def test_a_cell_runs_its_command_with_the_workers_that_were_asked_for(tmp_path: Path) -> None:
    harness = tmp_path / "dms-harness"
    harness.write_text('#!/bin/sh\necho \'printf "%s\\n" "ran with $PYTEST_ADDOPTS"; exit 3\'\n')
    harness.chmod(0o755)
    done = made("cell", "CELL=one", "N=2", f"VENV={tmp_path}")
    assert "ran with -n 2" in done.stdout
    assert done.returncode != 0


@pytest.mark.parametrize(("status", "changed", "succeeds"), [(0, 0, 1), (1, 1, 1), (2, 0, 0)])
def test_comparing_leaves_a_file_where_something_changed(
    tmp_path: Path, status: int, changed: int, succeeds: int
) -> None:
    harness = tmp_path / "dms-harness"
    harness.write_text(f'#!/bin/sh\necho "$@"; exit {status}\n')
    harness.chmod(0o755)
    file = tmp_path / "changes.md"
    file.write_text("of another night")
    words = ("compare", f"VENV={tmp_path}", f"CHANGES={file}", "BEFORE=last night", "AFTER=b")
    done = made(*words)
    assert (done.returncode == 0) == bool(succeeds), done.stderr
    assert done.stdout == "diff --markdown last night b\n"
    assert file.exists() == bool(changed)
    if changed:
        assert file.read_text() == done.stdout
    assert sorted(tmp_path.iterdir()) == sorted([harness, *([file] if changed else [])])


def test_a_report_of_several_runs_is_written_where_no_folder_is_yet(tmp_path: Path) -> None:
    harness = tmp_path / "dms-harness"
    harness.write_text('#!/bin/sh\n[ "$3" = --output ] && touch "$4"\n')
    harness.chmod(0o755)
    (tmp_path / "night" / "cell" / "2026").mkdir(parents=True)
    file = tmp_path / "new site" / "index.html"
    done = made("merged", f"VENV={tmp_path}", f"RUNS={tmp_path}/night/*/2*", f"REPORT={file}")
    assert done.returncode == 0, done.stderr
    assert file.is_file()


# Scripts that speak with GitHub, and a gh that only writes down what it was asked for

GH = r"""#!/bin/sh
printf '%s\n' "$*" >>"$LOG"
while [ $# -gt 0 ]; do
    case $1 in
    --body-file) cat "$2" >"$BODY" ;;
    list) [ ! -e "$ANSWER" ] || cat "$ANSWER" ;;
    download) mkdir -p "$6"; [ "$2" = "$HAS" ] || exit 1 ;;
    esac
    shift
done
"""


@pytest.fixture
def gh(tmp_path: Path) -> dict[str, str]:
    """The environment of a script that finds it."""
    program = tmp_path / "bin" / "gh"
    program.parent.mkdir()
    program.write_text(GH)
    program.chmod(0o755)
    files = {name: str(tmp_path / name.lower()) for name in ("LOG", "BODY", "ANSWER")}
    return {"PATH": f"{program.parent}:{os.environ['PATH']}", "HAS": "", **files}


def ran(script: str, *words: str, cwd: Path, env: dict[str, str]) -> str:
    done = subprocess.run(
        [GITHUB / script, *words],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


HOSTILE = 'a\n$(touch pwned) `touch pwned` ";touch pwned;" \'\n-x --title "other"\n'


def test_a_change_opens_an_issue_with_its_text(tmp_path: Path, gh: dict[str, str]) -> None:
    (tmp_path / "changes.md").write_text(HOSTILE)
    ran("tell.sh", "changes.md", "https://example.org/run", cwd=tmp_path, env=gh)
    asked = Path(gh["LOG"]).read_text().splitlines()
    assert [line.split()[:2] for line in asked] == [
        ["label", "create"],
        ["issue", "list"],
        ["issue", "create"],
    ]
    assert "touch" not in Path(gh["LOG"]).read_text()
    assert Path(gh["BODY"]).read_text().startswith(HOSTILE)
    assert "(https://example.org/run)" in Path(gh["BODY"]).read_text()
    assert not (tmp_path / "pwned").exists()


def test_another_change_goes_to_the_open_issue(tmp_path: Path, gh: dict[str, str]) -> None:
    (tmp_path / "changes.md").write_text("# b\n")
    Path(gh["ANSWER"]).write_text("41\n")
    ran("tell.sh", "changes.md", "https://example.org/run", cwd=tmp_path, env=gh)
    asked = Path(gh["LOG"]).read_text().splitlines()
    assert [line.split()[:3] for line in asked[2:]] == [["issue", "comment", "41"]]
    assert "close" not in Path(gh["LOG"]).read_text()


def test_a_long_text_is_cut_between_lines_and_says_so(tmp_path: Path, gh: dict[str, str]) -> None:
    (tmp_path / "changes.md").write_text("| ä | → |\n" * 20_000, encoding="utf-8")
    ran("tell.sh", "changes.md", "https://example.org/run", cwd=tmp_path, env=gh)
    text = Path(gh["BODY"]).read_text(encoding="utf-8")
    assert 50_000 < len(text.encode()) < GITHUB_TAKES
    lines = text.splitlines()
    assert set(lines[:1000]) == {"| ä | → |"}
    assert "… and more, in the artifact `changes`." in lines
    assert lines[-1] == "[The run, with its report](https://example.org/run)"


@pytest.mark.parametrize(
    ("has", "said"),
    [("7", "compared with run 7"), ("", "no earlier night is to be had"), ("9", "no earlier")],
)
def test_the_latest_night_that_can_be_had_is_fetched(
    tmp_path: Path, gh: dict[str, str], has: str, said: str
) -> None:
    Path(gh["ANSWER"]).write_text("9\n8\n7\n6\n")
    env = gh | {"HAS": has, "GITHUB_RUN_ID": "9"}
    assert said in ran("last-night.sh", "before", cwd=tmp_path, env=env)
    assert (tmp_path / "before").exists() == (has == "7")
