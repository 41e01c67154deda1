"""Which of the harness's scenarios and machines is nearest to what a report asks for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from harness.reproduce.gather import Report
from harness.reproduce.model import Wanted
from harness.reproduce.networks import INTERFACE
from harness.reproduce.notes import Notes
from harness.scenario import Scenario
from harness.scenario_file import load_all

_NO_DEVICE: Final = re.compile(r'Device "([a-z0-9]+)" does not exist')
PASTA_SINCE: Final = (5, 0)
"""The version of podman whose rootless containers have pasta where nothing is said."""


def settle_network(report: Report, wanted: Wanted, notes: Notes) -> None:
    """Decide what the report leaves to podman, as the reporter's podman would."""
    net = wanted.net
    said = net.kind is not None
    if wanted.launcher in ("compose", "podman_compose"):
        net.kind = net.kind or "bridge"
        why = "the file says so" if said else "what compose makes"
    elif said:
        why = "the file says so"
    elif wanted.rootful:
        net.kind, why = "bridge", "podman's default for root"
    else:
        theirs = report.host.podman
        command = report.host.facts.get("rootless network", "")
        old = theirs is not None and theirs < PASTA_SINCE
        if command == "slirp4netns" or (old and command != "pasta"):
            net.kind = "slirp4netns"
            notes.add(
                "substituted",
                "no network is named",
                f"slirp4netns by name, podman {report.host.facts.get('podman')}'s default",
            )
        # Else it stays as it is: podman decides here as well.
        why = f"podman's default for users{'' if theirs else ' since 5.0'}"
    shown = net.kind or "pasta"
    if wanted.rootful and shown in ("pasta", "slirp4netns"):
        notes.add("unmatched", f"{shown} as root", "podman has it for users only", decides=True)
    handler = f", {net.options[0]}" if net.options else ""
    notes.add("matched", f"network {shown}{handler}", why)


def nearest(wanted: Wanted, folder: Path, notes: Notes) -> Scenario | None:
    """The scenario that is most like it: what clients are expected to be seen as comes from there.

    Args:
        wanted: what the report asks for, its network settled.
        folder: of the scenarios.
        notes: takes what is said of it.
    """
    network = wanted.net.kind or "pasta"
    user = "root" if wanted.rootful else "rootless"
    own_handler = "port_handler=slirp4netns" in wanted.net.options
    best: tuple[int, Scenario] | None = None
    for each in load_all(folder):
        table = each.table
        if not each.is_first or (table.user, table.network) != (user, network):
            continue
        if each.settings.checks != "matrix" or table.families != (4, 6):
            continue
        compose = "".join(
            path.read_text(encoding="utf-8") for path in each.files("compose.yaml").values()
        )
        points = 4 * (table.launcher == wanted.launcher)
        points += 8 * (("port_handler=slirp4netns" in compose) is own_handler)
        points += 2 * (set(table.publish.values()) == {port.host for port in wanted.ports})
        points += 8 * (("enable_ipv6" in compose) is wanted.net.ipv6)
        if best is None or points > best[0]:
            best = points, each
    if best is None:
        notes.add("unmatched", f"{user} with {network}", "no scenario is like it", decides=True)
        return None
    scenario = best[1]
    notes.add("matched", f"nearest scenario {scenario.folder.name}", scenario.table.title)
    return scenario


def interface(report: Report, wanted: Wanted, given: str, notes: Notes) -> str:
    """What the machine's network interface is to be called."""
    from harness.addresses import INTERFACE as USUAL

    if wanted.net.kind not in (None, "pasta"):
        return USUAL
    name = given or report.stated.interface
    setting = wanted.environment.get("NETWORK_INTERFACE", "")
    absent = set(_NO_DEVICE.findall(report.received))
    if not name and setting and setting not in absent and INTERFACE.fullmatch(setting):
        name = setting
        notes.add("assumed", f"the host's interface is {setting}", "NETWORK_INTERFACE names it")
    if not name:
        notes.add("assumed", f"the host's interface is {USUAL}", "--interface otherwise")
    elif not INTERFACE.fullmatch(name):
        notes.add("refused", f"interface {name}", f"no name of an interface; {USUAL} here")
        name = ""
    return name or USUAL
