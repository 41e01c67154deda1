"""The manual is what the code says, whatever draws it; and shells complete what it names."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from harness import manual
from harness.cli import COMMANDS, main
from harness.commands import completers
from harness.machines.options import ENVIRONMENT

ROOT = Path(__file__).parents[2]
MANUAL = ROOT / "docs" / "manual.md"


def test_manual_is_up_to_date() -> None:
    assert MANUAL.read_text(encoding="utf-8") == manual.manual(), (
        "write it again: .venv/bin/dms-harness manual --output docs/manual.md"
    )


def test_terminal_and_environment_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    here = manual.manual()
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv(f"{ENVIRONMENT}BOX", "of-my-own")
    monkeypatch.setenv(f"{ENVIRONMENT}CPUS", "7")
    assert manual.manual() == here


def test_argparse_draws_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it draws is not the same in all versions of Python."""
    here = manual.manual()

    def fails(*_: object, **__: object) -> str:
        raise AssertionError("drawn by argparse")

    for name in ("format_help", "format_usage"):
        monkeypatch.setattr(argparse.ArgumentParser, name, fails)
    assert manual.manual() == here


def test_every_command_and_argument_is_in_it() -> None:
    text = manual.manual()
    for name in COMMANDS:
        parser = argparse.ArgumentParser()
        import_module(f"harness.commands.{name}").add_arguments(parser)
        section = text.partition(f"\n## dms-harness {name}\n")[2].partition("\n## ")[0]
        assert section, name
        for action in parser._actions[1:]:  # the first is --help
            assert action.help, f"{name}: {action.dest} has no help"
            for word in action.option_strings or [manual._value(action)]:
                assert f"`{word}" in section or f", {word}" in section, f"{name}: {word}"


def test_bad_arguments_are_drawn_as_they_are_written() -> None:
    parser = argparse.ArgumentParser(prog="x", add_help=False)
    parser.add_argument("file", metavar="FILE", nargs="?", help="a | b")
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--one", choices=["a", "b"], help="100%% (default: %(default)s)")
    either.add_argument("-t", "--two", action="store_true", help="two")
    assert manual._usage(parser) == "x [--one {a,b} | --two] [FILE]"
    table = manual._table("argument", manual._arguments(parser._actions))
    assert r"| `FILE` | a \| b |" in table
    assert "| `--one {a,b}` | 100% (default: None) |" in table
    assert "| `-t, --two` | two |" in table


def test_file_that_is_out_of_date_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "docs" / "manual.md"
    assert main(["manual", "--output", str(file)]) == 0
    assert main(["manual", "--check", str(file)]) == 0
    file.write_text(file.read_text(encoding="utf-8") + "more\n", encoding="utf-8")
    assert main(["manual", "--check", str(file)]) == 1
    assert f"manual --output {file}" in capsys.readouterr().out


# Completion


def completed(line: str, where: Path) -> list[str]:
    """What bash offers for a line, by the function that is printed for it."""
    script = f"""
    PATH={ROOT / ".venv/bin"}:{Path(sys.executable).parent}:$PATH
    eval "$(dms-harness completion bash)"
    COMP_LINE={line!r}; COMP_POINT=${{#COMP_LINE}}; COMP_TYPE=9; COMP_WORDBREAKS=$' \\t\\n'
    _python_argcomplete dms-harness
    printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        cwd=where,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return [word.strip() for word in done.stdout.splitlines() if word.strip()]


def test_bash_completes_commands_claims_scenarios_and_runs(tmp_path: Path) -> None:
    run = tmp_path / "of_mine" / "20261123"
    run.mkdir(parents=True)
    (run / "observations.jsonl").touch()
    assert completed("dms-harness cl", ROOT) == ["claims", "clean"]
    assert {"C1", "C10"} <= set(completed("dms-harness claims --id C1", ROOT))
    assert set(completed("dms-harness matrix -k rootful_compose_", ROOT)) == {
        "rootful_compose_dual_stack",
        "rootful_compose_dual_stack-permit_unset",
        "rootful_compose_dual_stack-permit_connected_networks",
    }
    assert completed(f"dms-harness diff {run.parent}/", tmp_path) == [str(run)]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_told_of_the_program(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", shell]) == 0
    assert "dms-harness" in capsys.readouterr().out


def test_what_cannot_be_read_completes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert completers.scenarios() == completers.claims() == completers.runs() == []
    wrong = tmp_path / "scenarios" / "wrong" / "scenario.toml"
    wrong.parent.mkdir(parents=True)
    wrong.write_text("no = TOML", encoding="utf-8")
    (tmp_path / "scenarios" / "claims.toml").write_text("[C1", encoding="utf-8")
    assert completers.scenarios() == completers.claims() == []


def test_completion_is_imported_only_where_a_shell_asks() -> None:
    code = (
        "import sys; from harness.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'argcomplete', 'rich', 'pydantic', 'pytest', 'asyncssh'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
