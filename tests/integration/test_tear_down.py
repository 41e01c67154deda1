"""A machine without snapshots is as it was before the next deployment, or told not to be."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support import NEEDS_ROOT

from harness import cache
from harness.errors import MachineError
from harness.keeper.client import Keeper
from harness.machines import golden
from harness.machines.nspawn import NspawnMachine
from harness.machines.vagrant.tear_down import TearDown
from harness.mailserver.choose import choose
from harness.mailserver.image import NAME

pytestmark = NEEDS_ROOT


@pytest.fixture(scope="module")
def machine(request: pytest.FixtureRequest) -> Iterator[NspawnMachine]:
    keeper = Keeper(cache.folder(), "teardown")
    made = golden.ensure(keeper, choose(request.config.getoption("--mailserver")), print)
    machine = made.fork("m")
    try:
        machine.start()
        machine.wait_until_up()
        yield machine
    finally:
        assert machine.destroy() == []
        assert keeper.close() == ""


@pytest.fixture(scope="module")
def tear_down(machine: NspawnMachine) -> TearDown:
    return TearDown(machine)


def test_everything_that_a_deployment_did_is_taken_back(
    machine: NspawnMachine, tear_down: TearDown
) -> None:
    for user in ("root", machine.user):
        machine.succeed(
            f"podman network create left && podman volume create left && podman run -d --name left"
            f" --network left --volume left:/left --entrypoint sleep {NAME} infinity",
            user,
        )
    machine.succeed(
        "echo net.ipv4.ip_unprivileged_port_start=25 > /etc/sysctl.d/left.conf"
        " && sysctl -q -p /etc/sysctl.d/left.conf && firewall-cmd -q --permanent --add-port=25/tcp"
        " && firewall-cmd -q --reload && mkdir -p /srv/left && touch /root/left"
        f" && loginctl enable-linger {machine.user}"
    )
    machine.write_file("~/left", "left", machine.user)
    machine.write_file("~/.config/containers/systemd/left.container", "[Container]\n", machine.user)

    tear_down.put_back(machine, print)

    assert machine.run(f"ls /srv/left /root/left /home/{machine.user}/left").stdout == ""
    assert machine.fail("ls ~/.config/containers/systemd/left.container", machine.user)
    for which in ("", "--permanent "):
        assert "25/tcp" not in machine.succeed(f"firewall-cmd {which}--list-ports")
    for user in ("root", machine.user):
        assert machine.succeed("podman ps --all --quiet", user) == ""
        machine.succeed(f"podman run --rm --entrypoint true {NAME}", user)


def test_what_cannot_be_taken_back_is_told(machine: NspawnMachine, tear_down: TearDown) -> None:
    machine.succeed("systemd-run --quiet --unit=stays sleep infinity; touch /usr/local/bin/stays")
    machine.succeed("ip link add stays type veth peer name stays2")
    try:
        with pytest.raises(MachineError, match="network links: stays"):
            tear_down.put_back(machine, print)
    finally:
        machine.run("ip link delete stays; systemctl stop stays")
