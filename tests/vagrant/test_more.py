"""What takes too long for each change: `make test-vagrant`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from computer import PROJECT, Computer
from test_each_change import observed

pytestmark = pytest.mark.integration

VARIANTS = (
    "rootful_compose-permit_unset",
    "rootless_pasta_quadlet-reboot",
    "rootful_quadlet-kills_and_reboot",
    "rootless_pasta_interface-two_interfaces",
    "rootless_pasta_ipv6_only-permit_unset",
)
"""One of each kind: rootful, claims that need a boot, two interfaces, one IP version alone."""
RUN_WITHIN = 3600.0


@pytest.fixture(scope="module")
def run(computer: Computer, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What one run of all of them said, on one virtual machine, and its record."""
    words = " or ".join(VARIANTS)
    done = computer.pytest(f"-k '{words}' -v --runs={PROJECT}/more", RUN_WITHIN)
    said = done.stdout + done.stderr
    print(said)
    assert done.status == 0, said[-6000:]
    folder = tmp_path_factory.mktemp("more")
    for name in ("observations.jsonl", "claims.json"):
        computer.machine.copy_from(f"{PROJECT}/more/latest/{name}", folder)
    return said, folder


@pytest.mark.parametrize("variant", VARIANTS)
def test_everything_is_as_the_scenario_says(run: tuple[str, Path], variant: str) -> None:
    said, _ = run
    assert re.search(rf"\[{variant}\S*\] PASSED", said)
    assert not re.search(rf"\[{variant}\S*\] (FAILED|ERROR|SKIPPED)", said)


def test_the_machine_has_a_kernel_of_its_own(run: tuple[str, Path]) -> None:
    _, folder = run
    facts = observed(folder / "observations.jsonl", "machine")
    assert facts["kernel of its own"] == "yes"


@pytest.mark.parametrize("claim", ["C13", "C20"])
def test_claims_about_boots_are_decided_by_real_ones(run: tuple[str, Path], claim: str) -> None:
    _, folder = run
    ledger: dict[str, Any] = json.loads((folder / "claims.json").read_text(encoding="utf-8"))
    [verdict] = [each for each in ledger["claims"] if each["id"] == claim]
    assert verdict["verdict"] == "upheld", verdict
