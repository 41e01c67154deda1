"""The project's own `guide.toml` says the truth of the scenarios, the launchers and the steps."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from dataclasses import replace
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.claims import load_claims
from harness.guide.agreement import Contained, Equal, is_at
from harness.guide.commands import Commands
from harness.guide.compare import compare, pairs, ways
from harness.guide.page import Block, read_page
from harness.guide.table import Entry, load_table
from harness.launchers.base import Launcher
from harness.launchers.compose import Compose
from harness.launchers.generated import GeneratedUnit
from harness.scenario_file import load_all

ROOT = Path(__file__).parents[2]
SCENARIOS = ROOT / "scenarios"
FILE = SCENARIOS / "guide.toml"
TABLE = load_table(FILE)
NEAR = ROOT.parent / "shared/guide/podman.md"
PAGE = Path(os.environ.get("DMS_GUIDE", NEAR))
IS_HERE = "DMS_GUIDE" in os.environ or NEAR.exists()
WITH_GUIDE = pytest.mark.skipif(not IS_HERE, reason="set DMS_GUIDE to the guide's page")
PLACEHOLDER = re.compile(r"<([^<>]*)>")


def block(text: str) -> Block:
    return Block("", "", "", (), 0, text)


def shown(entry: Entry) -> list[tuple[Equal | Contained | Commands, str]]:
    """The ways in which an entry's block agrees, each with a text that does."""
    texts = []
    for way in ways(entry, FILE):
        match way:
            case Commands():
                texts.append((way, "\n".join(way.runs)))
            case Equal():
                texts.append((way, "\n".join(way.lines)))
            case Contained():
                texts.append((way, "\n".join(way.lines.values())))
    return texts


@pytest.mark.parametrize("name", TABLE)
def test_an_entry_agrees_with_what_it_names_and_not_with_less(name: str) -> None:
    agreeing = shown(TABLE[name])
    assert agreeing
    for way, text in agreeing:
        assert list(way.differences(block(text))) == []
        assert list(way.differences(block("")))
        if isinstance(way, Commands):
            assert list(way.not_run()) == []


@pytest.mark.parametrize("name", TABLE)
def test_an_entry_without_any_one_of_its_settings_differs(name: str) -> None:
    for way, text in shown(TABLE[name]):
        lines = dict(enumerate(text.splitlines(), 1))
        telling = set(lines)
        if isinstance(way, Contained):
            telling = {x.line for x in way.leaves if any(is_at(y, x.path) for y in way.same)}
        assert telling
        for number in telling:
            without = block("\n".join(lines[each] for each in lines if each != number))
            assert list(way.differences(without)), lines[number]


def test_what_is_named_is_deployed() -> None:
    placed = {
        Path(os.path.normpath(folder / name))
        for scenario in load_all(SCENARIOS)
        for folder in (scenario.folder, scenario.base or scenario.folder)
        for name in (*scenario.table.place, *scenario.settings.place)
    }
    steps = {step.run for scenario in load_all(SCENARIOS) for step in scenario.prepare}
    for entry in TABLE.values():
        for key, name in entry.files:
            if key != "command.by":
                assert SCENARIOS / name in placed
        for command in entry.command:
            if command.step:
                assert any((command.there or command.run) in step for step in steps)


def meant(command: str) -> set[str]:
    """The commands that one with placeholders stands for: each port goes with where it leads."""
    lists = [found.split("|") for found in PLACEHOLDER.findall(command)]
    ports = [each for each in lists if each[0].isdigit()]
    words = [each for each in lists if not each[0].isdigit()]
    every = set()
    for pair, chosen in product(zip(*ports, strict=True) if ports else [()], product(*words)):
        of_ports, of_words = iter(pair), iter(chosen)
        parts = PLACEHOLDER.split(command)
        for at in range(1, len(parts), 2):
            parts[at] = next(of_ports if parts[at][0].isdigit() else of_words)
        every.add("".join(parts))
    return every


def ran(script: str, folder: Path) -> set[str]:
    """The calls of firewall-cmd and loginctl that a script makes, where there is nothing else."""
    shell = shutil.which("sh")
    assert shell
    log = folder / "log"
    log.write_text("")
    for name in ("firewall-cmd", "loginctl"):
        (folder / name).write_text(f"#!{shell}\nprintf '%s\\n' \"{name} $*\" >> '{log}'\n")
        (folder / name).chmod(0o755)
    subprocess.run([shell, "-ec", script], env={"PATH": str(folder)}, check=True, timeout=30)
    return {
        line.replace("firewall-cmd -q ", "firewall-cmd ") for line in log.read_text().split("\n")
    }


@pytest.mark.parametrize(
    ("name", "number", "left_out"),
    [
        # The mail ports are TCP's; a rule for UDP would lead nobody anywhere.
        ("redirect_own_connections", 0, "udp"),
        ("redirect_own_connections", 1, None),
        ("forward_ports", 0, None),
        ("forward_ports", 1, None),
    ],
)
def test_firewall_steps_run_what_the_guides_placeholders_stand_for(
    tmp_path: Path, name: str, number: int, left_out: str | None
) -> None:
    command = TABLE[name].command[number]
    assert command.step
    steps = tomllib.loads((SCENARIOS / "steps.toml").read_text())
    calls = ran(steps[command.step]["run"], tmp_path) - {""}
    if "--add-forward-port" in command.run:
        # One call with all of them is the same as a call for each.
        (call,) = calls
        first, *ports = call.split(" --add")
        calls = {f"{first} --add{port}" for port in ports}
    expected = {each for each in meant(command.run) if not (left_out and left_out in each)}
    assert calls == expected


def test_lingering_is_enabled_for_the_user_who_runs_it(tmp_path: Path) -> None:
    for name in ("quadlet_linger", "boot_linger"):
        (command,) = TABLE[name].command
        assert command.there
        user = command.there.split()[-1]
        assert re.sub(r"<username>|\buser\b", user, command.run) in ran(command.there, tmp_path)


class Machine:
    """Notes what is run on it."""

    user = "mailop"

    def __init__(self) -> None:
        self.ran: list[str] = []

    def succeed(self, command: str, user: str, within: float) -> None:
        self.ran.append(command)


@pytest.mark.parametrize(
    ("name", "kind", "launched", "user"),
    [
        ("rootful_compose", Compose, "compose", "root"),
        ("rootless_compose", Compose, "compose", "rootless"),
        ("rootful_generated_unit", GeneratedUnit, "generated_unit", "root"),
        ("rootless_generated_unit", GeneratedUnit, "generated_unit", "rootless"),
    ],
)
def test_launchers_run_the_guides_commands(
    name: str, kind: type[Launcher], launched: str, user: str
) -> None:
    machine: Any = Machine()
    table = SimpleNamespace(launcher=launched, user=user, unit="mailserver", container="mailserver")
    scenario: Any = SimpleNamespace(
        table=table,
        settings=SimpleNamespace(expect=SimpleNamespace(within=None)),
        place={
            "compose.yaml": "~/mail/compose.yaml",
            "podman-create.sh": "~/mail/podman-create.sh",
        },
    )
    kind(scenario, machine).start()
    (started,) = machine.ran
    words = [set(part.split()) for part in re.split(r"&&|;", started.replace('"', ""))]
    for command in TABLE[name].command:
        if command.not_run is None:
            wanted = set(command.run.replace('"', "").split()) - {"docker"}
            assert any(wanted <= each for each in words), (command.run, started)


@WITH_GUIDE
def test_the_guide_agrees() -> None:
    quoted = SCENARIOS / "claims.toml"
    claims = load_claims(quoted)
    result = compare(read_page(PAGE), TABLE, FILE, claims, quoted)
    assert result.blocks == len(TABLE)
    assert result.quotes == len(claims)
    assert result.drift == []


@WITH_GUIDE
def test_every_line_of_the_guides_blocks_is_looked_at() -> None:
    """Whichever line of code is taken out of the guide, it is said."""
    agreeing = {name: ways(entry, FILE) for name, entry in TABLE.items()}
    found = pairs(read_page(PAGE).blocks, TABLE, agreeing)
    assert found.keys() == TABLE.keys()
    for name, each in found.items():
        lines = each.text.splitlines()
        for number, line in enumerate(lines):
            bare = line.strip()
            # Comments and blank lines count only in the file that is taken as it is.
            counts = bare not in ("", "...") and not bare.startswith("#")
            if counts or TABLE[name].equal:
                without = replace(each, text="\n".join(lines[:number] + lines[number + 1 :]))
                said = [list(way.differences(without)) for way in agreeing[name]]
                assert all(said), f"{name}: {line}"
