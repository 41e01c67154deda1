from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dns.asyncquery
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest
from probes_support import listening

from harness.outside.dns import Dns, Zone, outside_world

ZONE = outside_world(
    hostname="mail.example.com",
    domain="example.com",
    addresses=["192.0.2.10", "2001:db8::10"],
    outside_domains=["outside.test", "far.test"],
    sink_hostname="mx.outside.test",
    sink_addresses=["192.0.2.25", "2001:db8::25"],
    clients={
        "192.0.2.1": "a.lan.test",
        "2001:db8::1": "a.lan.test",
        "198.51.100.7": "liar.test!",
        "203.0.113.9": None,
    },
)


@asynccontextmanager
async def serving(zone: Zone = ZONE) -> AsyncIterator[tuple[Dns, int, int]]:
    server = Dns(zone)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    tcp = listening()
    ports = udp.getsockname()[1], tcp.getsockname()[1]
    await server.serve(udp, tcp)
    try:
        yield server, *ports
    finally:
        await server.close()


async def answers(port: int, name: str, kind: str) -> tuple[str, list[str], bool]:
    """(rcode, record data, whether an SOA is in the authority section)."""
    query = dns.message.make_query(name, kind)
    response = await dns.asyncquery.udp(query, "127.0.0.1", port=port, timeout=2)
    assert response.flags & dns.flags.AA
    assert response.flags & dns.flags.RA
    data = [rdata.to_text() for rrset in response.answer for rdata in rrset]
    negative = any(rrset.rdtype == dns.rdatatype.SOA for rrset in response.authority)
    return dns.rcode.to_text(response.rcode()), sorted(data), negative


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("example.com", "MX", ["10 mail.example.com."]),
        ("mail.example.com", "A", ["192.0.2.10"]),
        ("MAIL.Example.COM", "AAAA", ["2001:db8::10"]),
        ("outside.test", "MX", ["10 mx.outside.test."]),
        ("far.test", "MX", ["10 mx.outside.test."]),
        ("mx.outside.test", "AAAA", ["2001:db8::25"]),
        ("1.2.0.192.in-addr.arpa", "PTR", ["a.lan.test."]),
        ("a.lan.test", "A", ["192.0.2.1"]),
        ("10.2.0.192.in-addr.arpa", "PTR", ["mail.example.com."]),
        ("7.100.51.198.in-addr.arpa", "PTR", ["liar.test."]),
        ("outside.test", "NS", ["mx.outside.test."]),
    ],
)
def test_what_exists(name: str, kind: str, expected: list[str]) -> None:
    async def run() -> None:
        async with serving() as (_, udp, _):
            assert await answers(udp, name, kind) == ("NOERROR", expected, False)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("name", "kind", "rcode"),
    [
        ("nowhere.test", "A", "NXDOMAIN"),
        ("liar.test", "A", "NXDOMAIN"),
        ("9.113.0.203.in-addr.arpa", "PTR", "NXDOMAIN"),
        ("outside.test", "A", "NOERROR"),  # exists, but not this type
        ("lan.test", "A", "NOERROR"),  # only names below it exist
        ("mail.example.com", "TXT", "NOERROR"),
    ],
)
def test_what_does_not(name: str, kind: str, rcode: str) -> None:
    async def run() -> None:
        async with serving() as (_, udp, _):
            assert await answers(udp, name, kind) == (rcode, [], True)

    asyncio.run(run())


def test_every_query_is_recorded() -> None:
    async def run() -> None:
        async with serving() as (server, udp, _):
            await answers(udp, "Example.com", "MX")
            (query,) = server.queries
            assert (query.name, query.type, query.client) == ("example.com", "MX", "127.0.0.1")

    asyncio.run(run())


def test_long_answers_are_cut_over_udp_and_whole_over_tcp() -> None:
    zone = Zone()
    zone.add("long.test", "TXT", *(f'"{number:0200}"' for number in range(10)))

    async def run() -> None:
        async with serving(zone) as (_, udp, tcp):
            query = dns.message.make_query("long.test", "TXT")
            cut = await dns.asyncquery.udp(query, "127.0.0.1", port=udp, timeout=2)
            assert cut.flags & dns.flags.TC
            whole = await dns.asyncquery.tcp(query, "127.0.0.1", port=tcp, timeout=2)
            assert len(whole.answer[0]) == 10
            query.use_edns(payload=4096)
            edns = await dns.asyncquery.udp(query, "127.0.0.1", port=udp, timeout=2)
            assert edns.edns == 0
            assert len(edns.answer[0]) == 10

    asyncio.run(run())


def test_an_alias_is_followed() -> None:
    zone = Zone()
    zone.add("www.test", "CNAME", "host.test.")
    zone.add("host.test", "A", "192.0.2.1")

    async def run() -> None:
        async with serving(zone) as (_, udp, _):
            assert await answers(udp, "www.test", "A") == (
                "NOERROR",
                ["192.0.2.1", "host.test."],
                False,
            )

    asyncio.run(run())


def test_malformed_packets_do_no_harm() -> None:
    async def run() -> None:
        async with serving() as (server, udp, tcp):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                for junk in (b"", b"\0", b"junk" * 10, b"\xff" * 12, bytes(12)):
                    sock.sendto(junk, ("127.0.0.1", udp))
                reply = dns.message.make_response(dns.message.make_query("a.test", "A"))
                sock.sendto(reply.to_wire(), ("127.0.0.1", udp))
            reader, writer = await asyncio.open_connection("127.0.0.1", tcp)
            writer.write(struct.pack("!H", 4) + b"junk")
            assert await reader.read() == b""
            writer.close()
            assert (await answers(udp, "example.com", "MX"))[0] == "NOERROR"
            assert len(server.queries) == 1

    asyncio.run(run())


def test_other_opcodes_and_classes() -> None:
    server = Dns(ZONE)
    chaos = dns.message.make_query("version.bind", "TXT", "CH")
    answer = server.answer(chaos.to_wire(), "192.0.2.1")
    assert answer is not None
    assert dns.message.from_wire(answer).rcode() == dns.rcode.REFUSED
