from __future__ import annotations

from ipaddress import ip_address, ip_interface, ip_network
from typing import get_args

from harness import addresses
from harness.vantage import Family

FAMILIES: tuple[Family, ...] = get_args(Family)
DOCUMENTATION = [
    ip_network(text)
    for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
]


def lan(family: Family) -> object:
    return ip_interface(f"{addresses.MACHINE[family]}/{addresses.PREFIX[family]}").network


def all_addresses(family: Family) -> list[str]:
    return [
        addresses.MACHINE[family],
        addresses.GATEWAY[family],
        addresses.DNS[family],
        addresses.EXCHANGER[family],
        addresses.SMART_HOST[family],
        addresses.SECOND[family],
        addresses.SECOND_NEIGHBOUR[family],
        *(client.addresses[family] for client in addresses.CLIENTS),
    ]


def test_every_address_is_for_documentation_of_its_family_and_used_once() -> None:
    for family in FAMILIES:
        used = [ip_address(text) for text in all_addresses(family)]
        assert len(set(used)) == len(used)
        for address in used:
            assert address.version == family
            assert any(address in network for network in DOCUMENTATION)


def test_exactly_the_clients_of_the_lan_share_the_machines_network() -> None:
    for family in FAMILIES:
        network = lan(family)
        assert ip_address(addresses.GATEWAY[family]) in network  # type: ignore[operator]
        for client in addresses.CLIENTS:
            inside = ip_address(client.addresses[family]) in network  # type: ignore[operator]
            assert inside == client.on_lan, client
        for far in (
            addresses.DNS[family],
            addresses.EXCHANGER[family],
            addresses.SMART_HOST[family],
        ):
            assert ip_address(far) not in network  # type: ignore[operator]


def test_the_second_network_is_apart_from_the_machines_own_and_from_the_far_addresses() -> None:
    for family in FAMILIES:
        second = ip_interface(f"{addresses.SECOND[family]}/{addresses.SECOND_PREFIX[family]}")
        on_it = {text for text in all_addresses(family) if ip_address(text) in second.network}
        assert on_it == {addresses.SECOND[family], addresses.SECOND_NEIGHBOUR[family]}


def test_a_client_beyond_the_lan_is_beyond_the_sixteen_bits_that_permit_host_trusts() -> None:
    wide = ip_network(f"{addresses.MACHINE[4]}/16", strict=False)
    far = [client for client in addresses.CLIENTS if client.place == "outside_far"]
    assert far
    assert not any(ip_address(client.addresses[4]) in wide for client in far)


def test_places_have_distinct_names_that_say_outside() -> None:
    places = [client.place for client in addresses.CLIENTS]
    assert len(set(places)) == len(places)
    assert all(place.startswith("outside") for place in places)
    assert sum(client.on_lan for client in addresses.CLIENTS) >= 2  # two clients tell apart


def test_an_interfaces_name_fits_the_kernel() -> None:
    assert 0 < len(addresses.INTERFACE) < 16
