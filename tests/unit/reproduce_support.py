"""Realistic and hostile reports, and what is made of them; holds no tests itself."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from harness.reproduce.engine import Asked, Plan, plan
from harness.scenario_file import load_all

SAMPLES = Path(__file__).parent / "samples"
SCENARIOS = Path(__file__).parents[2] / "scenarios"
ALL = cache(load_all)
SERVICE = """\
services:
  mailserver:
    image: docker.io/mailserver/docker-mailserver:14.0
    hostname: mail.victim.de
    ports: ["10025:25"]
"""
QUADLET = """\
[Container]
ContainerName=dms
HostName=mail.victim.de
Image=docker.io/mailserver/docker-mailserver:14.0
PublishPort=25:25
"""
RUN = "podman run -d --name dms -h mail.victim.de -p 25:25 {} docker-mailserver:14 {}\n"


def planned(report: Path | str) -> Plan:
    """What is made of a report, or of the sample of this name."""
    return plan(SAMPLES / report, Asked(SCENARIOS))


def said(made: Plan, sort: str) -> str:
    """All notes of a sort."""
    return "\n".join(str(note) for note in made.notes.all if note.sort == sort)


def written(made: Plan) -> str:
    """Everything that would be put on a machine, or be done there."""
    return "\n".join([*made.files, *made.files.values(), str(made.table.get("prepare"))])
