"""From what was sent to an answer: reads, matches, substitutes, deploys, judges, packs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.reproduce import limits, match, podman_info, write
from harness.reproduce.claim import MOST, Claim
from harness.reproduce.config_folder import Config, take_config
from harness.reproduce.gather import Report, claims_of, gather
from harness.reproduce.intake import read_report
from harness.reproduce.notes import Notes
from harness.reproduce.recognise import recognised
from harness.reproduce.scrub import DOMAIN, Scrubber
from harness.reproduce.substitute import learn, substitute


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user says beside the report's path.

    Attributes:
        scenarios: the folder with the scenarios.
        claims: what was seen, as claims.
        mode: `rootful`, `rootless` or nothing.
        launcher: a launcher's name, or nothing.
        interface: what the reporter's network interface is called, or nothing.
        scripts: whether programs of the config folder go along.
        expected: a file, or None.
        received: a file, or None.
    """

    scenarios: Path
    claims: Sequence[str] = ()
    mode: str = ""
    launcher: str = ""
    interface: str = ""
    scripts: bool = False
    expected: Path | None = None
    received: Path | None = None


@dataclass(slots=True)
class Plan:
    """What would be deployed, and what is said of it.

    Attributes:
        report: what was sent.
        notes: what is said.
        scrub: what stands for what.
        claims: what is held against the observations.
        files: the operator's files, by their names in the scenario's folder.
        table: what `scenario.toml` says; empty where nothing can be deployed.
        nearest: the nearest scenario's name.
    """

    report: Report
    notes: Notes
    scrub: Scrubber
    claims: list[Claim] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    table: dict[str, Any] = field(default_factory=dict)
    nearest: str = ""

    def write(self, folder: Path) -> Path:
        """Write the scenario into a folder of scenarios; returns its own."""
        where = folder / write.FOLDER
        write.write_files(where, {**self.files, "scenario.toml": write.as_toml(self.table)})
        return where

    def sent(self) -> dict[str, str]:
        """The report without what is the reporter's, fit to be given to `reproduce` again."""
        wanted = self.report.wanted
        stated: dict[str, Any] = {"claims": [self.scrub.text(str(each)) for each in self.claims]}
        if wanted is not None:
            stated["mode"] = "rootful" if wanted.rootful else "rootless"
            stated["launcher"] = wanted.launcher
        if interface := self.table.get("interface"):
            stated["interface"] = interface
        files = {name: self.scrub.text(text) for name, text in self.files.items()}
        files["claim.toml"] = write.as_toml(stated)
        if facts := self.report.host.facts:
            files["podman-info.yaml"] = _info(self.report.host.rootless, facts)
        for name in ("expected", "received"):
            if text := getattr(self.report, name):
                files[f"{name}.txt"] = self.scrub.text(text)
        return files


def plan(path: Path, asked: Asked) -> Plan:
    """Read a report and decide what to deploy. Touches no machine, and runs nothing.

    Raises:
        ReportError: it cannot be read, or a claim is none.
    """
    notes = Notes()
    files = read_report(path, notes)
    for name in ("expected", "received"):
        more: Path | None = getattr(asked, name)
        if more is not None:
            files.data[f"{name}.txt"] = next(iter(read_report(more, notes).data.values()))
    report = gather(files, asked.mode, asked.launcher)
    made = Plan(report, notes, Scrubber())
    own = set()
    wanted = report.wanted
    if wanted is not None:
        learn(report, wanted, made.scrub)
        own = {name for name, fresh in made.scrub.domains.items() if fresh.endswith(DOMAIN)}
    made.claims = claims_of(list(asked.claims)) or list(report.stated.claims)
    if not made.claims:
        made.claims = recognised(report.received[: limits.PROSE], own | {DOMAIN}, "received")
        for claim in made.claims:
            notes.add("matched", f"the report says: {claim}", "recognised in what was received")
    made.claims = made.claims[:MOST]
    if wanted is None or notes.obstacles:
        return made
    config = take_config(report.data, wanted, made.scrub, notes, scripts=asked.scripts)
    match.settle_network(report, wanted, notes)
    certificates = substitute(wanted, made.scrub, notes)
    near = match.nearest(wanted, asked.scenarios, notes)
    if near is None or notes.obstacles:
        return made
    _fill(made, config, near, certificates, asked)
    return made


def _fill(
    made: Plan, config: Config, near: Any, certificates: Mapping[str, str], asked: Asked
) -> None:
    report, notes = made.report, made.notes
    wanted = report.wanted
    assert wanted is not None
    interface = match.interface(report, wanted, asked.interface, notes)
    low = any("ermission denied" in c.is_ or "privileged port" in c.is_ for c in made.claims)
    if not wanted.rootful:
        notes.add("assumed", "the firewall", "open for the published ports")
        if any(0 < port.host < 1024 for port in wanted.ports) and not low:
            notes.add("assumed", "ip_unprivileged_port_start", "low enough for the ports")
    made.files = write.operators_files(wanted, config)
    made.table = write.scenario_table(wanted, config, near, certificates, interface, not low)
    made.nearest = near.folder.name
    mode = "rootful" if wanted.rootful else "rootless"
    ports = ", ".join(f"{port} ({service})" for service, port in made.table["publish"].items())
    notes.add("matched", f"launcher {wanted.launcher}", wanted.source)
    notes.add("matched", f"ports {ports}", mode)


def _info(rootless: bool | None, facts: Mapping[str, str]) -> str:
    """What is kept of `podman info`: versions, and nothing that names a host or a user."""
    import yaml

    distribution, _, release = facts.get("distribution", "").partition(" ")
    host: dict[str, Any] = {
        "networkBackend": facts.get("network backend", ""),
        "rootlessNetworkCmd": facts.get("rootless network", ""),
        "kernel": facts.get("kernel", ""),
        "arch": facts.get("architecture", ""),
        "cgroupVersion": facts.get("cgroup", ""),
        "distribution": {"distribution": distribution, "version": release},
        "security": {"selinuxEnabled": facts.get("selinux") == "enabled"},
        "pasta": {"version": facts.get("passt", "")},
        "slirp4netns": {"version": facts.get("slirp4netns", "")},
    }
    if rootless is not None:
        host["security"]["rootless"] = rootless
    version = {"Version": facts.get("podman", "")}
    text: str = yaml.safe_dump({"host": host, "version": version}, sort_keys=True)
    return text


Know = Callable[[Mapping[str, str]], None]


def knows(made: Plan) -> Know:
    """Takes what the machines are made of, and says what of the reporter's host it matches."""
    return lambda facts: podman_info.compare(made.report.host, facts, made.notes)
