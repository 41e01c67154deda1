"""Provisioning by dnf, as far as it goes without Fedora; needs root.

A small machine of Debian's that says it is Fedora, with Debian's dnf, and a repository of packages
with Fedora's names. They are empty, but for the units and the firewall-cmd that provisioning uses.
That Fedora has packages of these names is not shown here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from fedora_packages import LIST, MACHINE, say_fedora, spec
from support import NEEDS_ROOT, files_on

from harness import cache
from harness.errors import MachineError
from harness.keeper.client import Keeper
from harness.machines import golden
from harness.machines.nspawn import NspawnMachine
from harness.machines.rootfs import ensure_rootfs

pytestmark = NEEDS_ROOT

CHANGED = ("/etc", "/root/.ssh", "/home", "/var/lib/systemd")
REPOSITORY = "/srv/packages"
SOURCE = "/etc/yum.repos.d/stand-in.repo"

# Notes what dnf is asked for, and what provisioning had done by then.
SPY = """#!/bin/sh
echo "$*" >> /var/log/asked
id mailop >> /var/log/done-before 2>/dev/null
systemctl is-enabled podman.socket 2>/dev/null | grep enabled >> /var/log/done-before
exec /usr/bin/dnf "$@"
"""


@pytest.fixture(scope="module")
def machine() -> Iterator[NspawnMachine]:
    """A machine that says it is Fedora, not provisioned."""
    keeper = Keeper(cache.folder(), "dnf")
    login = cache.login(keeper.cache)
    rootfs = ensure_rootfs(keeper, login, print, MACHINE)
    machine = NspawnMachine(keeper, "f", rootfs, login, {}, golden.USER)
    try:
        machine.start()
        machine.wait_until_up()
        say_fedora(machine)
        machine.write_file("/root/stand-in.spec", spec(LIST))
        machine.succeed(
            f"rpmbuild -bb --define '_rpmdir {REPOSITORY}' /root/stand-in.spec"
            f" && createrepo_c -q {REPOSITORY}",
            within=120,
        )
        machine.write_file(SOURCE, source(f"file://{REPOSITORY}"))
        machine.write_file("/usr/local/bin/dnf", SPY)
        machine.succeed("chmod 755 /usr/local/bin/dnf")
        yield machine
    finally:
        assert machine.destroy() == []
        assert keeper.close() == ""


def source(address: str) -> str:
    return f"[stand-in]\nname=stand-in\nbaseurl={address}\ngpgcheck=0\nmetadata_expire=0\n"


@dataclass(frozen=True)
class Provisioned:
    machine: NspawnMachine
    said: list[str]


@pytest.fixture(scope="module")
def provisioned(machine: NspawnMachine) -> Provisioned:
    """The machine after its first time."""
    said: list[str] = []
    golden.provision(machine, said.append)
    return Provisioned(machine, said)


def asked(machine: NspawnMachine) -> list[str]:
    """The words of each call of dnf so far."""
    return machine.succeed("cat /var/log/asked").splitlines()


@contextmanager
def without(machine: NspawnMachine, name: str) -> Iterator[None]:
    """Take a package away from the machine for a while."""
    machine.succeed(f"rpm -e {name}")
    try:
        yield
    finally:
        machine.write_file(SOURCE, source(f"file://{REPOSITORY}"))
        machine.succeed(f"rpm -q {name} || rpm -i {REPOSITORY}/noarch/{name}-44-1.noarch.rpm")


def refused(machine: NspawnMachine) -> MachineError:
    with pytest.raises(MachineError) as caught:
        golden.provision(machine, lambda line: None)
    return caught.value


def test_the_list_is_asked_for_at_once_and_first(provisioned: Provisioned) -> None:
    machine = provisioned.machine
    assert provisioned.said == [f"machine: installing {' '.join(LIST)}"]
    (words,) = asked(machine)
    options, _, names = words.partition(" install ")
    assert names.split() == LIST
    assert {"-y", "--setopt=install_weak_deps=False", "--setopt=retries=3"} <= set(options.split())
    assert machine.run("cat /var/log/done-before").stdout == "", "users and units come after it"
    installed = machine.succeed("rpm -qa --qf '%{NAME}\\n'").split()
    assert sorted(installed) == sorted(LIST)


def test_users_and_units_are_there_afterwards(provisioned: Provisioned) -> None:
    machine = provisioned.machine
    user = machine.user
    assert machine.succeed(f"id -u {user}").strip() == "1000"
    for name in ("subuid", "subgid"):
        assert machine.succeed(f"cat /etc/{name}").splitlines() == [f"{user}:100000:65536"]
    assert machine.succeed("id -un", user).strip() == user, "the key opens the account"
    units = "sshd.service firewalld.service podman.socket"
    assert set(machine.succeed(f"systemctl is-enabled {units}").split()) == {"enabled"}
    assert set(machine.succeed(f"systemctl is-active {units}").split()) == {"active"}
    assert machine.succeed("systemctl --global is-enabled podman.socket").strip() == "enabled"
    assert machine.run("systemctl is-enabled docker-distribution").stdout.strip() == "disabled"


def test_the_zone_is_set_through_firewalld(provisioned: Provisioned) -> None:
    machine = provisioned.machine
    assert machine.succeed("cat /var/log/firewall-cmd").strip() == "-q --set-default-zone=public"
    link = machine.succeed("readlink /etc/firewalld/firewalld.conf").strip()
    assert link == "firewalld-server.conf", "the link must stay one"


def test_a_second_time_asks_for_nothing(provisioned: Provisioned) -> None:
    machine = provisioned.machine
    before, files = asked(machine), files_on(machine, *CHANGED)
    said: list[str] = []
    golden.provision(machine, said.append)
    assert said == []
    assert asked(machine) == before
    assert files_on(machine, *CHANGED) == files


def test_only_what_is_missing_is_asked_for(provisioned: Provisioned) -> None:
    machine = provisioned.machine
    with without(machine, "iperf3"):
        golden.provision(machine, lambda line: None)
        assert asked(machine)[-1].endswith(" install iperf3")


def test_a_package_that_fedora_has_not_is_named(provisioned: Provisioned) -> None:
    machine = provisioned.machine
    with without(machine, "iperf3"):
        lesser = f"{REPOSITORY}-lesser"
        machine.succeed(
            f"cp -r {REPOSITORY} {lesser} && rm {lesser}/noarch/iperf3-*"
            f" && createrepo_c -q {lesser}"
        )
        machine.write_file(SOURCE, source(f"file://{lesser}"))
        error = refused(machine)
        assert error.message == (
            f"{machine.name} cannot be provisioned: Fedora Linux 44 has no package iperf3"
        )
        assert "table of packages" in error.hint


def test_a_mirror_that_does_not_answer_is_said(provisioned: Provisioned) -> None:
    machine = provisioned.machine
    with without(machine, "iperf3"):
        machine.write_file(SOURCE, source("http://127.0.0.1:9/fedora"))
        error = refused(machine)
        start = f"{machine.name} cannot be provisioned: cannot install iperf3: "
        assert error.message.startswith(start)
        assert "stand-in" in error.message
        assert "\n" not in error.message
        assert "mirror" in error.hint
