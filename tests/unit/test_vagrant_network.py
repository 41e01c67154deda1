"""The network of a virtual machine: the names of its links, and the script that sets it up."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from harness.keeper.vm import OutsideSpec, remove_link
from harness.machines.stock import Network
from harness.machines.vagrant import network

MAC = "52:54:00:12:34:56"


def test_names_of_links_fit_the_kernel() -> None:
    spec = OutsideSpec("machine-run-1234567-abcd-vm", [], [])
    assert len(f"{spec.bridge}p") <= 15
    assert spec.bridge != OutsideSpec("machine-run-1234567-abce-vm", [], []).bridge


def test_a_link_that_is_not_there_is_not_removed() -> None:
    assert remove_link("dms-nonesuch") is False


@pytest.mark.parametrize(
    ("asked_for", "has", "has_not"),
    [
        (Network(), ["203.0.113.10/25", "2001:db8:0:1::10/64", "name enp1s0"], ["macvlan"]),
        (Network(families=(4,)), ["203.0.113.10/25"], ["2001:db8", "nodad"]),
        (Network(families=(6,)), ["2001:db8:0:1::10/64"], ["203.0.113", "198.51.100"]),
        (
            Network("eth7", (4, 6), "eth8"),
            ["name eth7", "link eth7 name eth8 type macvlan", "192.0.2.10/24 dev eth8"],
            ["enp1s0"],
        ),
    ],
)
def test_a_machine_gets_the_network_that_is_asked_for(
    asked_for: Network, has: list[str], has_not: list[str]
) -> None:
    script = network.script(asked_for, MAC)
    subprocess.run(["sh", "-n"], input=script, text=True, check=True)
    assert [text for text in has if text not in script] == []
    assert [text for text in has_not if text in script] == []
    assert f"= {MAC} ]" in script


@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
def test_the_script_gives_an_interface_its_name_and_addresses(tmp_path: Path) -> None:
    """In a namespace, where the two interfaces are veths and /sys is a folder of the test's."""
    here = tmp_path / "net"
    for name, mac in (("lan0", MAC), ("mgmt", "52:54:00:00:00:01")):
        (here / name / "device").mkdir(parents=True)
        (here / name / "address").write_text(f"{mac}\n", encoding="ascii")
    resolv = tmp_path / "resolv.conf"
    script = (
        network.script(Network("enp1s0", (4, 6), "enp2s0"), MAC)
        .replace("/sys/class/net", str(here))
        .replace("/etc/resolv.conf", str(resolv))
        .replace("type macvlan mode bridge", "type veth peer name other2")
    )
    setup = (
        "ip link add lan0 type veth peer name other0; ip link set other0 up;"
        " ip link add mgmt type veth peer name other1; ip link set mgmt up;"
        " ip addr add 10.9.9.9/24 dev mgmt;"
    )
    done = subprocess.run(
        [
            *("unshare", "--net", "sh", "-euc"),
            f"{setup} sh -s; ip -brief address; ip route; ip -6 route",
        ],
        input=script,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = {line.split()[0].partition("@")[0]: line for line in done.stdout.splitlines()}
    assert "203.0.113.10/25" in lines["enp1s0"]
    assert "2001:db8:0:1::10/64" in lines["enp1s0"]
    assert "192.0.2.10/24" in lines["enp2s0"]
    assert "DOWN" in lines["vagrant0"]
    assert "default via 203.0.113.1 dev enp1s0" in done.stdout
    assert "10.9.9.9" not in done.stdout.partition("default")[2]
    assert "nameserver 198.51.100.53" in resolv.read_text(encoding="ascii")
    assert stat.S_ISREG(resolv.stat().st_mode)
