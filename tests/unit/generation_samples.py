"""Records of several generations, from the record of one: what another podman would change."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from report_samples import VANTAGES, deployed, source_of

Fact = dict[str, Any]
Change = Callable[[Fact], Fact | None]
"""A fact as another generation would observe it; None where it would not."""

DEBIAN_12 = {"kind": "nspawn", "distro": "debian-12", "podman": "podman version 4.3.1"}
DEBIAN_13 = {"kind": "nspawn", "distro": "debian-13", "podman": "podman version 5.4.2"}
FORKY = {"kind": "nspawn", "distro": "debian-forky", "podman": "podman version 5.8.0"}
FEDORA = {"kind": "vagrant", "distro": "fedora-44", "podman": "podman version 5.8.1"}


def as_if(
    run: Path, to: Path, made: Mapping[str, str], *changes: Change, later: float = 0.0
) -> Path:
    """Write a run's record as another generation's.

    Args:
        run: the run's folder.
        to: the new run's folder, which is made.
        made: facts about the machine that are other ones.
        changes: what becomes of each fact, in this order.
        later: seconds by which all of it is later.
    """
    to.mkdir(parents=True)
    known: dict[str, set[str]] = {}
    with (to / "observations.jsonl").open("w", encoding="utf-8") as file:
        for line in (run / "observations.jsonl").read_text(encoding="utf-8").splitlines():
            fact: Fact | None = json.loads(line)
            for change in changes:
                fact = change(fact) if fact is not None else None
            if fact is None:
                continue
            fact["at"] += later
            if fact["kind"] == "machine":
                missing = made.keys() - known.setdefault(fact["scenario"], set())
                for name in sorted(missing):
                    known[fact["scenario"]].add(name)
                    file.write(json.dumps(fact | {"subject": name, "outcome": made[name]}) + "\n")
                if fact["subject"] in made:
                    continue
            file.write(json.dumps(fact) + "\n")
    return to


def without(scenarios: Callable[[str], bool]) -> Change:
    """Some scenario variants were not deployed."""
    return lambda fact: None if scenarios(fact["scenario"]) else fact


def failing(scenarios: Callable[[str], bool], why: str) -> Change:
    """Some scenario variants do not come up."""
    told: set[str] = set()

    def change(fact: Fact) -> Fact | None:
        name = fact["scenario"]
        if not scenarios(name):
            return fact
        if fact["kind"] in ("machine", "scenario", "phase") or fact["subject"] == "image":
            return fact
        if name in told:
            return None
        told.add(name)
        start = {"kind": "deployment", "subject": "start", "outcome": "failed", "vantage": None}
        return fact | start | {"evidence": {"why": why}}

    return change


def seeing_clients(scenarios: Callable[[str], bool]) -> Change:
    """Where the container was taken for all clients, the clients are seen, and nobody relays."""

    def change(fact: Fact) -> Fact:
        if not scenarios(fact["scenario"]):
            return fact
        own = source_of(str(fact["vantage"]))
        if fact["kind"] == "client_address" and own is not None:
            return fact | {"outcome": own}
        if fact["kind"] == "relay" and fact["outcome"] == "relayed" and own is not None:
            evidence = {**fact["evidence"], "code": 554, "text": "5.7.1 denied"}
            return fact | {"outcome": "refused", "evidence": evidence}
        return fact

    return change


def not_applicable(run: Path, scenarios: Iterable[str], why: str) -> None:
    """Tests of a run that were skipped, as pytest would report it."""
    keys = ("nodeid", "outcome", "message", "seconds")
    message = f"Skipped: not applicable here: {why}"
    tests = [(f"test_a.py::test_a[{name}-x]", "skipped", message, 0.0) for name in scenarios]
    with (run / "tests.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(dict(zip(keys, test, strict=True))) + "\n" for test in tests)


def four_generations(folder: Path) -> Path:
    """A night of four generations, in two cells each, with something of everything."""
    v4 = [each for each in VANTAGES if each.endswith("4")]
    v6 = [each for each in VANTAGES if each.endswith("6")]
    lan = [each for each in VANTAGES if "lan" in each]
    first, second = folder / "first", folder / "second"
    first.mkdir(parents=True)
    second.mkdir()
    deployed(first, "compose-permit_unset", seen_as="10.89.0.2")
    deployed(
        first,
        "compose-permit_container",
        relays=VANTAGES,
        expected=VANTAGES,
        seen_as="10.89.0.2",
        at=1_790_000_006,
    )
    deployed(first, "compose-permit_none", seen_as="10.89.0.2", at=1_790_000_010)
    deployed(second, "pasta_quadlet-permit_unset")
    deployed(second, "pasta_quadlet-permit_host", relays=lan, expected=lan, at=1_790_000_008)
    deployed(second, "rootful-permit_unset", silent=v6, reachable=v4, at=1_790_000_012)
    night = folder / "night"
    name = "20261123-0200{:02}-abcd".format
    number = 0
    for cell, made in enumerate((DEBIAN_12, DEBIAN_13, FORKY, FEDORA)):
        for part, source in (("compose", first), ("quadlet", second)):
            number += 1
            changes: list[Change] = []
            if made is DEBIAN_12:
                changes.append(without(lambda scenario: scenario.startswith("pasta")))
            if made in (FORKY, FEDORA):
                changes.append(seeing_clients(lambda scenario: scenario.startswith("compose")))
            if made is FEDORA:
                changes.append(without(lambda scenario: scenario.endswith("permit_host")))
                changes.append(failing(lambda scenario: scenario.startswith("rootful"), "no"))
            to = night / f"{part}-{made['distro']}" / name(number)
            run = as_if(source, to, made, *changes, later=cell * 100.0)
            (run.parent / "latest").symlink_to(run.name)
            if made is DEBIAN_12 and part == "quadlet":
                variants = ["pasta_quadlet-permit_unset", "pasta_quadlet-permit_host"]
                not_applicable(run, variants, "podman 4.3 has no Quadlet")
    # What compose-permit_none saw once on Debian 13 it did not see again.
    again = night / "again-debian-13" / name(99)
    only = without(lambda scenario: scenario != "compose-permit_none")
    as_if(first, again, DEBIAN_13, only, _relaying_once, later=500.0)
    return night


def _relaying_once(fact: Fact) -> Fact:
    if fact["kind"] == "relay" and fact["vantage"] == "self_v4":
        return fact | {"outcome": "relayed", "evidence": {"client": "10.89.0.2"}}
    return fact
