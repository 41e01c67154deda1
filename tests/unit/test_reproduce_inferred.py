"""What is inferred from a report, and what is said where nothing can be."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from reproduce_support import SCENARIOS, planned

from harness.reproduce.engine import Asked, plan
from harness.reproduce.notes import Notes
from harness.reproduce.podman_info import compare, read_info
from harness.scenario_file import load


@pytest.mark.parametrize(
    ("sample", "launcher", "user", "network", "near", "ports", "claims"),
    [
        (
            "compose_open_relay",
            "compose",
            "rootless",
            "bridge",
            "rootless_compose",
            {"smtp": 10025, "submission": 10587, "imaps": 10993},
            ["client address outside_v4 = container", "relays from outside_v4"],
        ),
        (
            "quadlet_bridge",
            "quadlet",
            "rootless",
            "bridge",
            "rootless_bridge_quadlet",
            {"smtp": 25, "imaps": 993, "submission": 587},
            ["client address outside_v4 = container", "does not relay from outside_v4"],
        ),
        (
            "quadlet_pasta_eth0",
            "quadlet",
            "rootless",
            "pasta",
            "rootless_pasta_default_quadlet",
            {"smtp": 25, "imaps": 993, "submission": 587},
            ['does not come up: Device "eth0" does not exist'],
        ),
        (
            "old_podman_run",
            "run",
            "rootless",
            "slirp4netns",
            "rootless_slirp4netns_rootlessport",
            {"smtp": 25, "submission": 587, "imaps": 993},
            [],
        ),
        (
            "podman_compose_slirp",
            "podman_compose",
            "rootless",
            "slirp4netns",
            "rootless_podman_compose_slirp4netns",
            {"smtp": 25, "imap": 143, "submissions": 465},
            ["port 465 from outside refused"],
        ),
        (
            "pasted",
            "compose",
            "root",
            "bridge",
            "rootful_compose",
            {"smtp": 25, "imaps": 993},
            ["client address outside_v4 = gateway"],
        ),
    ],
)
def test_a_realistic_report_is_understood(
    tmp_path: Path,
    sample: str,
    launcher: str,
    user: str,
    network: str,
    near: str,
    ports: dict[str, int],
    claims: list[str],
) -> None:
    made = planned(sample)
    (scenario,) = load(made.write(tmp_path))
    table = scenario.table
    assert (table.launcher, table.user, table.network) == (launcher, user, network)
    assert dict(table.publish) == ports
    assert made.nearest == near
    assert [str(claim) for claim in made.claims] == claims
    assert table.hostname == "mail.example.com"
    for place, file in scenario.place.items():
        assert scenario.files(place), f"{place} → {file} has nothing in it"


def test_podman_info_as_json_and_version_alone() -> None:
    text = (
        '{"host": {"security": {"rootless": false}}, "version": {"Version": "5.2.1"}, "store": {}}'
    )
    host = read_info(text, "info.json", Notes())
    assert (host.rootless, host.podman) == (False, (5, 2))
    assert read_info("podman version 4.3.1\n", "x", Notes()).podman == (4, 3)


@pytest.mark.parametrize(
    ("theirs", "said"),
    [("12", "debian 13 here; --distro debian-12 is it"), ("9", "debian 13 here"), ("13", "")],
)
def test_a_generation_that_machines_can_be_is_named(theirs: str, said: str) -> None:
    text = f"host: {{distribution: {{distribution: debian, version: '{theirs}'}}}}\nstore: {{}}\n"
    notes = Notes()
    compare(read_info(text, "info.yaml", notes), {"distribution": "debian 13"}, notes)
    assert [note.why for note in notes.of("unmatched")] == ([said] if said else [])


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ("podman version 4.9.3", "--network slirp4netns"),
        ("podman version 5.4.2", ""),
        ("host: {rootlessNetworkCmd: slirp4netns}\nversion: {Version: 5.4.2}\n", "--network slirp"),
    ],
)
def test_the_default_network_is_that_of_the_reporters_podman(
    tmp_path: Path, info: str, expected: str
) -> None:
    (tmp_path / "start.sh").write_text("podman run -p 25:25 -h mail.x.example docker-mailserver\n")
    (tmp_path / "info.txt").write_text(info)
    command = plan(tmp_path, Asked(SCENARIOS)).files["podman-run.sh"]
    assert (expected in command) if expected else ("--network" not in command)


def test_long_ports_ranges_and_addresses(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(
        "services: {mailserver: {image: docker-mailserver, hostname: mail.x.example, ports: ["
        "'51.15.44.9:25:25', '127.0.0.1:10143:143', '992-993:992-993', '587:587/udp', '465'"
        ", {target: 587, published: 587, host_ip: '::1'}]}}"
    )
    made = plan(tmp_path, Asked(SCENARIOS))
    service = yaml.safe_load(made.files["compose.yaml"])["services"]["mailserver"]
    assert service["ports"] == [
        "203.0.113.10:25:25",
        "127.0.0.1:10143:143",
        "992:992",
        "993:993",
        "465",
        "[::1]:587:587",
    ]


def test_nothing_to_deploy_is_said(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("It does not work.\n")
    made = plan(tmp_path, Asked(SCENARIOS))
    assert "send compose.yaml" in str(made.notes.obstacles[0])
