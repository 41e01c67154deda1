"""Deploys a reported scenario by the harness's own engine, and takes everything down again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import HostError
from harness.reproduce.verdict import Outcome

if TYPE_CHECKING:
    from harness.deployment import Deployment
    from harness.machines.choice import Choice
    from harness.mailserver.image import Image
    from harness.scenario import Scenario

Say = Callable[[str], None]
LOGS = ("mail.log", "podman-logs.txt", "journal.txt")
"""Files of the evidence that a claim about a log is held against."""


def deploy(
    scenario: Scenario,
    run: Path,
    machine: Choice,
    image: Image,
    say: Say,
    know: Callable[[Mapping[str, str]], None],
) -> Outcome:
    """Deploy a scenario, run all probes, collect the evidence, and take it down.

    Args:
        scenario: what to deploy.
        run: the run's folder, which gets the observations and the evidence.
        machine: the kind of machine.
        image: the mail server image.
        say: tells the user what is being done.
        know: is told what the machines are made of, once that is known.

    Raises:
        HarnessError: the machine cannot show this, or it failed, or something is left on this
            computer.
    """
    from harness.opening import begin_keeper, open_session, why_not
    from harness.progress import Spoken

    keeper = begin_keeper(machine)
    session = open_session(machine, run, image, keeper, say, progress=Spoken(say))
    try:
        session.stock.prepare()
        if reason := why_not(scenario, machine, lambda: session.stock):
            raise HostError(
                f"this cannot be deployed on these machines: {reason}",
                "take another distribution by --distro",
            )
        session.plan(scenario, observe=True)
        deployment = session.deploy(scenario)
        deployment.save_evidence()
        know(session.stock.facts or deployment.machine.facts)
        return _outcome(deployment)
    finally:
        session.close()


def _outcome(deployment: Deployment) -> Outcome:
    folder = deployment.folder
    logs = {
        name: (folder / name).read_text(encoding="utf-8", errors="replace")
        for name in LOGS
        if (folder / name).is_file()
    }
    addresses, gateways = _addresses(folder / "podman-inspect.json", folder)
    return Outcome(
        list(deployment.observations),
        str(deployment.failure or ""),
        logs,
        addresses,
        gateways,
    )


def _addresses(inspected: Path, folder: Path) -> tuple[list[str], list[str]]:
    """The container's own addresses and its gateways, as podman and the container say."""
    import re

    addresses: list[str] = []
    gateways: list[str] = []
    try:
        text = inspected.read_text(encoding="utf-8").partition("\n# status")[0]
        settings = json.loads(text)[0]["NetworkSettings"]
        for each in (settings, *settings.get("Networks", {}).values()):
            addresses += [each.get("IPAddress", ""), each.get("GlobalIPv6Address", "")]
            gateways += [each.get("Gateway", ""), each.get("IPv6Gateway", "")]
    except (OSError, ValueError, LookupError, AttributeError):
        pass  # it may not have come as far as to be there
    seen = folder / "container-addresses.txt"
    if seen.is_file():
        text = seen.read_text(encoding="utf-8", errors="replace")
        found = re.findall(r"inet6? ([0-9a-fA-F.:]+)/\d+", text)
        addresses += [each for each in found if not each.startswith(("127.", "::1", "fe80"))]
        gateways += re.findall(r"default via ([0-9a-fA-F.:]+)", text)
    return sorted(filter(None, set(addresses))), sorted(filter(None, set(gateways)))
