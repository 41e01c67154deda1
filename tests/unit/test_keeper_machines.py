"""A machine as the keeper makes and removes it: its snapshot, its sockets, its network."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from keeper_support import ROOT_ONLY, end_without_a_trace, machine_of, store_of

from harness.addresses import GATEWAY, SECOND_NEIGHBOUR
from harness.keeper import cgroups
from harness.keeper.client import Keeper
from harness.machines.nspawn import Network

pytestmark = ROOT_ONLY


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    keeper = Keeper(tmp_path / "cache", "t")
    yield keeper
    end_without_a_trace(keeper)


def test_a_removed_machine_leaves_nothing_and_its_name_can_be_used_again(keeper: Keeper) -> None:
    for _ in range(2):
        machine = machine_of(keeper)
        machine.start()
        own = f"machine-{keeper.owner}-m1"
        assert (store_of(keeper) / own).is_dir()
        assert cgroups.path_of(own).is_dir()
        assert keeper.call("wait_halted", name="m1")["status"] != 0
        assert machine.destroy() == []
        assert not (store_of(keeper) / own).exists()
        assert not cgroups.path_of(own).exists()


def test_a_socket_of_a_machine_is_in_its_namespace_and_not_in_this_one(keeper: Keeper) -> None:
    machine = machine_of(keeper)
    machine.start()
    with keeper.open_socket(
        "m1", socket.AF_INET, socket.SOCK_STREAM, ("198.51.100.7", 25), listen=True
    ) as listener:
        assert listener.getsockname() == ("198.51.100.7", 25)
        assert not listener.getblocking()
        assert not listener.get_inheritable()
        with pytest.raises(OSError, match="Cannot assign"), socket.socket() as here:
            here.bind(("198.51.100.7", 25))
        with keeper.open_socket("m1", socket.AF_INET6, socket.SOCK_STREAM) as other:
            other.setblocking(True)
            with pytest.raises(OSError, match="unreachable"):
                other.connect(("2001:4860:4860::8888", 53))
        with pytest.raises(OSError, match="in use"):
            keeper.open_socket(
                "m1", socket.AF_INET, socket.SOCK_STREAM, ("198.51.100.7", 25), listen=True
            )
    with pytest.raises(OSError, match="Cannot assign"):
        keeper.open_socket("m1", socket.AF_INET, socket.SOCK_STREAM, ("192.0.2.77", 0))
    assert machine.destroy() == []


def test_a_second_interface_is_on_a_network_of_its_own(keeper: Keeper) -> None:
    network = Network(second="enp2s0")
    alone, both = machine_of(keeper), machine_of(keeper, "m2", network)
    for machine in (alone, both):
        machine.start()
    for neighbour in SECOND_NEIGHBOUR.values():
        family = socket.AF_INET6 if ":" in neighbour else socket.AF_INET
        with keeper.open_socket("m2", family, socket.SOCK_STREAM, (neighbour, 0)) as there:
            assert there.getsockname()[0] == neighbour
        with pytest.raises(OSError, match="Cannot assign"):
            keeper.open_socket("m1", family, socket.SOCK_STREAM, (neighbour, 0))
    for machine in (alone, both):
        assert machine.destroy() == []


def test_a_machine_has_addresses_of_its_ip_versions_only(keeper: Keeper) -> None:
    for family, other in ((4, 6), (6, 4)):
        machine = machine_of(keeper, f"m{family}", Network(families=(family,)))
        machine.start()
        for version in (4, 6):
            kind = socket.AF_INET6 if version == 6 else socket.AF_INET
            gateway = (GATEWAY[version], 0)
            if version == other:
                with pytest.raises(OSError, match="Cannot assign"):
                    keeper.open_socket(machine.name, kind, socket.SOCK_STREAM, gateway)
            else:
                keeper.open_socket(machine.name, kind, socket.SOCK_STREAM, gateway).close()
        assert machine.destroy() == []
