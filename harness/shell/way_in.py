"""What a person needs to know of a deployment to use it: how to log in, ports, accounts."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from harness.scenario import Scenario

if TYPE_CHECKING:
    from harness.deployment import Deployment
    from harness.machines.base import BaseMachine


def described(deployment: Deployment, folder: Path, image: str) -> list[str]:
    """What is where, a line each.

    Args:
        deployment: up, or failed to come up.
        folder: the run's.
        image: which mail server image it has, in words.
    """
    scenario, machine = deployment.scenario, deployment.machine
    failure = deployment.failure
    state = f"did not come up: {failure.message}" if failure else "is up"
    if deployment.is_stopped:
        state = "was up, and has been stopped by the test of that"
    entries = {
        "mail server": f"{scenario.table.hostname} {state}",
        "image": image,
        "expected": scenario.settings.expect.why,
        **_ways_in(scenario, machine, deployment.launcher.user, folder),
        "accounts": "\n".join(f"{each.address} {each.password}" for each in scenario.accounts),
        "record": str(folder),
    }
    lines = [f"{scenario.id}: {scenario.table.title}"]
    for name, text in entries.items():
        first, *others = text.splitlines() or [""]
        lines += [f"  {name:<12} {first}", *(f"  {'':<12} {other}" for other in others)]
    return lines


def _ways_in(
    scenario: Scenario, machine: BaseMachine, operator: str, folder: Path
) -> dict[str, str]:
    families = sorted(scenario.table.families)
    addresses = [machine.address[family] for family in families]
    known_hosts = (folder / "known_hosts").absolute()
    ways = {
        "log in": shlex.join(machine.ssh_words("root", addresses[0], known_hosts)),
        "ports": ", ".join(f"{port} {name}" for name, port in scenario.table.publish.items())
        + f" of {' and '.join(addresses)}",
    }
    if operator != "root" and machine.kind != "ssh":
        ways["operator"] = f"the same as {operator}@{addresses[0]}; podman is that user's"
    if entered := machine.outside.entered_by():
        ways["outside"] = f"{shlex.join(entered)} COMMAND, which reaches these addresses"
    return ways
