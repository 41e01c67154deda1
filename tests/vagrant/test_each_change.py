"""A virtual machine that Vagrant really brings up, by libvirt and QEMU: once for each change.

There is no KVM in the computer that this is done on, so that everything takes ten times as long;
the rest is in `test_more.py`.
"""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from computer import PROJECT, Computer

pytestmark = pytest.mark.integration

SCENARIO = "rootless_pasta_quadlet-permit_unset"
RUN_WITHIN = 900.0
"""Seconds for a run of one variant, `vagrant up` included, which alone takes 45 to 250."""
KILLED_WITHIN = 180.0
"""Seconds in which a run has come so far that there is a virtual machine."""
GONE_WITHIN = 60.0


@pytest.fixture(scope="module")
def run(computer: Computer, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What the run said, and its record."""
    done = computer.pytest(f"-k {SCENARIO} -v --runs={PROJECT}/first", RUN_WITHIN)
    said = done.stdout + done.stderr
    print(said)
    assert done.status == 0, said[-4000:]
    folder = tmp_path_factory.mktemp("run")
    computer.machine.copy_from(f"{PROJECT}/first/latest/observations.jsonl", folder)
    return said, folder / "observations.jsonl"


def observed(record: Path, kind: str) -> dict[str, str]:
    """Subject → outcome of all observations of a kind."""
    lines = map(json.loads, record.read_text(encoding="utf-8").splitlines())
    return {line["subject"]: line["outcome"] for line in lines if line["kind"] == kind}


def test_everything_is_as_the_scenario_says(run: tuple[str, Path]) -> None:
    said, _ = run
    counted = re.search(r"(\d+) passed in", said)
    assert counted, said[-2000:]
    assert int(counted[1]) > 100
    assert " skipped" not in said.splitlines()[-1]


def test_header_says_what_it_was_deployed_on(run: tuple[str, Path]) -> None:
    said, _ = run
    assert re.search(r"machine: vagrant \(asked for\): debian 13, podman version 5", said)
    assert "no KVM (there is no /dev/kvm): it works, about ten times as slowly" in said


def test_the_machine_has_a_kernel_of_its_own(run: tuple[str, Path], computer: Computer) -> None:
    _, record = run
    facts = observed(record, "machine")
    assert facts["kernel of its own"] == "yes"
    assert facts["kernel"] != computer.machine.succeed("uname -r").strip()


def test_clients_outside_come_over_the_network_card(run: tuple[str, Path]) -> None:
    """By name: the interface that a scenario's machine has, with the addresses of every run."""
    _, record = run
    seen = record.read_text(encoding="utf-8")
    assert "203.0.113.51" in seen
    assert "2001:db8:ffff::7" in seen


def test_a_killed_run_leaves_no_virtual_machine(computer: Computer) -> None:
    """Vagrant has not learnt yet which machine it is making: nobody else could remove it."""
    log = "/root/killed.log"
    process = computer.begin(f"-k {SCENARIO} --runs={PROJECT}/killed", log)
    machine = computer.machine
    deadline = time.monotonic() + KILLED_WITHIN
    while "-vm" not in machine.succeed("virsh list --name"):
        assert time.monotonic() < deadline, machine.succeed(f"cat {log}")
        time.sleep(0.2)
    machine.succeed(f"kill -KILL -- -{process}")
    deadline = time.monotonic() + GONE_WITHIN
    while "-vm" in machine.succeed("virsh list --all --name"):
        assert time.monotonic() < deadline, machine.succeed(f"cat {log}; virsh list --all")
        time.sleep(0.2)
    # What the keeper does last, and `nothing_is_left` looks at.
    while machine.run("ls /run/dms-harness/*").status == 0:
        assert time.monotonic() < deadline, machine.succeed("ls /run/dms-harness")
        time.sleep(0.2)
