"""What the guide says of SELinux, on a virtual machine that has it: `make test-vagrant`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from computer import PROJECT, Computer
from test_each_change import observed

pytestmark = pytest.mark.integration

BOX = "debian-13-selinux"
VARIANTS = ("selinux_with_z", "selinux_label_disable")
RUN_WITHIN = 3600.0


@pytest.fixture(scope="module")
def run(computer: Computer, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What one run of them said, on one virtual machine, and its record."""
    computer.bring_box(BOX)
    words = " or ".join(VARIANTS)
    done = computer.pytest(f"-k '{words}' -v --runs={PROJECT}/selinux", RUN_WITHIN, BOX)
    said = done.stdout + done.stderr
    print(said)
    assert done.status == 0, said[-6000:]
    folder = tmp_path_factory.mktemp("selinux")
    for name in ("observations.jsonl", "claims.json"):
        computer.machine.copy_from(f"{PROJECT}/selinux/latest/{name}", folder)
    return said, folder


@pytest.mark.parametrize("variant", VARIANTS)
def test_everything_is_as_the_scenario_says(run: tuple[str, Path], variant: str) -> None:
    said, _ = run
    assert re.search(rf"\[rootless_pasta_quadlet-{variant}\S*\] PASSED", said)
    assert not re.search(rf"{variant}\S*\] (FAILED|ERROR|SKIPPED)", said)


def test_machine_has_selinux(run: tuple[str, Path]) -> None:
    _, folder = run
    assert observed(folder / "observations.jsonl", "machine")["selinux"] == "permissive"


@pytest.mark.parametrize("claim", ["C22", "C23"])
def test_claims_about_selinux_are_upheld(run: tuple[str, Path], claim: str) -> None:
    _, folder = run
    ledger: dict[str, Any] = json.loads((folder / "claims.json").read_text(encoding="utf-8"))
    [verdict] = [each for each in ledger["claims"] if each["id"] == claim]
    assert verdict["verdict"] == "upheld", verdict
    assert all(case["holds"] for case in verdict["cases"]), verdict
