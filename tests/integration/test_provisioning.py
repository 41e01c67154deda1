"""Provisioning does what is missing and nothing else, on a machine of Debian's; needs root."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from support import NEEDS_ROOT, files_on

from harness import cache, leaks
from harness.errors import MachineError
from harness.keeper.client import Keeper
from harness.loop import wait_for
from harness.machines import golden
from harness.machines.base import BaseMachine
from harness.machines.nspawn import NspawnMachine
from harness.mailserver.choose import choose

pytestmark = NEEDS_ROOT

CHANGED = ("/etc", "/root/.ssh", "/home", "/var/lib/systemd", "/var/lib/dpkg")
"""The folders that provisioning writes to, but for what the packages bring."""
QUICK = 5.0
"""Seconds in which it looks at a machine that has all, on a busy computer; idle, less than one."""
REPOSITORY = "/srv/packages"


@pytest.fixture(scope="module")
def keeper() -> Iterator[Keeper]:
    keeper = Keeper(cache.folder(), "provisioning")
    yield keeper
    assert keeper.close() == ""


@pytest.fixture
def machine(request: pytest.FixtureRequest, keeper: Keeper) -> Iterator[NspawnMachine]:
    """A fork of the golden, which is provisioned."""
    made = golden.ensure(keeper, choose(request.config.getoption("--mailserver")), print)
    machine = NspawnMachine(keeper, "p", made.name, made.login, made.facts, golden.USER)
    try:
        machine.start()
        machine.wait_until_up()
        yield machine
    finally:
        assert machine.destroy() == []


def provisioned(machine: BaseMachine) -> list[str]:
    """Provision a machine; what was said of it."""
    said: list[str] = []
    golden.provision(machine, said.append)
    return said


def refused(machine: BaseMachine) -> MachineError:
    """Provision a machine that this must fail on."""
    with pytest.raises(MachineError) as caught:
        golden.provision(machine, lambda line: None)
    return caught.value


def offer(machine: BaseMachine, *packages: str) -> None:
    """Make a folder of empty packages, version 99, all that apt knows of."""
    machine.succeed(
        f"rm -rf {REPOSITORY} && mkdir -p {REPOSITORY} && cd {REPOSITORY} && touch Packages\n"
        f"for name in {' '.join(packages)}; do\n"
        "    mkdir -p $name/DEBIAN\n"
        "    printf 'Package: %s\\nVersion: 99\\nArchitecture: all\\nMaintainer: nobody\\n"
        "Description: empty\\n' $name > $name/DEBIAN/control\n"
        "    dpkg-deb --build $name $name.deb > /dev/null\n"
        "    { cat $name/DEBIAN/control; printf 'Filename: ./%s.deb\\nSize: %s\\nSHA256: %s\\n\\n'"
        " $name $(stat -c %s $name.deb) $(sha256sum $name.deb | cut -d' ' -f1); } >> Packages\n"
        "done\n"
        "rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*\n"
        f"echo 'deb [trusted=yes] file:{REPOSITORY} ./' > /etc/apt/sources.list"
    )


def test_a_provisioned_machine_stays_as_it_is(machine: NspawnMachine) -> None:
    before = wait_for(leaks.look(machine))
    files = files_on(machine, *CHANGED)
    began = time.monotonic()
    assert provisioned(machine) == []
    took = time.monotonic() - began
    assert files_on(machine, *CHANGED) == files
    after = wait_for(leaks.look(machine))
    assert leaks.left_behind(before, after) == []
    assert leaks.left_behind(after, before) == [], "gone"
    assert took < QUICK


def test_what_a_machine_lost_is_put_back(machine: NspawnMachine) -> None:
    key = machine.shell.login.public_key
    machine.succeed(
        "systemctl disable --now podman.socket firewalld.service 2>&1\n"
        "systemctl --global disable podman.socket 2>&1\n"
        "systemctl enable --now docker-registry.service 2>&1\n"
        "rm /etc/systemd/system/multi-user.target.wants/network-online.target\n"
        "sed -i s/^DefaultZone=.*/DefaultZone=trusted/ /etc/firewalld/firewalld.conf\n"
        "echo 'vagrant:100000:65536' | tee /etc/subuid > /etc/subgid\n"
        f"printf 'ssh-ed25519 AAAA another' > ~{machine.user}/.ssh/authorized_keys"
    )
    assert provisioned(machine) == []
    units = "podman.socket firewalld.service ssh.service"
    assert set(machine.succeed(f"systemctl is-enabled {units}").split()) == {"enabled"}
    assert set(machine.succeed(f"systemctl is-active {units}").split()) == {"active"}
    assert machine.succeed("systemctl --global is-enabled podman.socket").strip() == "enabled"
    registry = machine.run(
        "systemctl is-enabled docker-registry; systemctl is-active docker-registry"
    )
    assert registry.stdout.split() == ["disabled", "inactive"]
    wants = machine.succeed("systemctl show --value -p Wants multi-user.target").split()
    assert "network-online.target" in wants
    assert machine.succeed("firewall-cmd --get-default-zone").strip() == "public"
    for name in ("subuid", "subgid"):
        ranges = machine.succeed(f"cat /etc/{name}").splitlines()
        assert ranges == ["vagrant:100000:65536", f"{machine.user}:165536:65536"]
    keys = machine.succeed(f"cat ~{machine.user}/.ssh/authorized_keys").splitlines()
    assert keys == ["ssh-ed25519 AAAA another", key]


def test_only_what_is_missing_is_installed(machine: NspawnMachine) -> None:
    offer(machine, "iperf3", "curl")
    machine.succeed("dpkg --purge --force-depends iperf3 2>&1")
    assert provisioned(machine) == ["machine: installing iperf3"]
    shown = machine.succeed("dpkg-query -W -f '${Package} ${Version}\\n' iperf3 curl").splitlines()
    assert shown[1] == "iperf3 99"
    assert shown[0] != "curl 99", "what was there is to stay as it is"
    assert provisioned(machine) == []


def test_what_cannot_be_installed_is_named_with_the_remedy(machine: NspawnMachine) -> None:
    machine.succeed("dpkg --purge --force-depends iperf3 2>&1")
    offer(machine, "curl")
    error = refused(machine)
    assert error.message == (
        f"{machine.name} cannot be provisioned: Debian GNU/Linux 13 (trixie) has no package iperf3"
    )
    assert "table of packages" in error.hint

    machine.write_file("/etc/apt/sources.list", "deb [trusted=yes] http://127.0.0.1:9/debian ./\n")
    error = refused(machine)
    assert error.message.startswith(
        f"{machine.name} cannot be provisioned: cannot install iperf3: "
    )
    assert "127.0.0.1" in error.message
    assert "\n" not in error.message
    assert "mirror" in error.hint


def test_a_host_that_has_a_user_already_is_said(machine: NspawnMachine) -> None:
    user = machine.user
    machine.succeed(f"userdel --force --remove {user} 2>&1; useradd --uid 1000 vagrant")
    assert provisioned(machine) == [
        f"machine: {user} is user 1001, as 1000 is vagrant: what scenarios say of the ids 1000 and"
        " 100000 does not hold here"
    ]
    assert machine.succeed("id -un", user).strip() == user
    for name in ("subuid", "subgid"):
        ranges = machine.succeed(f"cat /etc/{name}").splitlines()
        assert ranges == ["vagrant:100000:65536", f"{user}:165536:65536"]
    assert provisioned(machine) == []


def test_another_distribution_is_refused(machine: NspawnMachine) -> None:
    machine.succeed("rm /etc/os-release")
    machine.write_file("/etc/os-release", 'ID=arch\nPRETTY_NAME="Arch Linux"\n')
    assert "Arch Linux is neither" in refused(machine).message
