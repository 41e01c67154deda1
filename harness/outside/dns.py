"""The outside world's DNS: one authoritative server for everything, over UDP and TCP.

The deployed mail server uses it as its resolver. It knows the machine, the outside domains and
the clients' addresses; everything else does not exist, so no lookup waits for a time-out and
none leaves the run's own network.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

TTL = 60
"""Seconds. Short, so that nothing outlives a scenario in a cache."""
UDP_PLAIN_SIZE = 512
"""Bytes that a client without EDNS can take (RFC 1035, 4.2.1)."""
SOA = "ns.outside.test. hostmaster.outside.test. 1 3600 600 86400 60"


@dataclass(frozen=True, slots=True)
class Query:
    """One question that was asked: when (seconds since the epoch), what, and by whom."""

    at: float
    name: str
    type: str
    client: str


@dataclass
class Zone:
    """All records there are, and the names that have a zone of their own.

    Attributes:
        records: absolute name → record type (`A`, `MX`, …) → record data as in a zone file.
        origins: the zones' own names, for the SOA record of a negative answer; the root is
            always one of them.
    """

    records: dict[dns.name.Name, dict[str, list[str]]] = field(default_factory=dict)
    origins: set[dns.name.Name] = field(default_factory=lambda: {dns.name.root})

    def add(self, name: str, type: str, *data: str) -> None:  # noqa: A002 - the field's term
        """Add records; names need no final dot."""
        of_name = self.records.setdefault(_name(name), {}).setdefault(type.upper(), [])
        of_name.extend(one for one in data if one not in of_name)

    def origin(self, name: str, nameserver: str) -> None:
        """Make `name` the top of a zone: gives it SOA and NS records."""
        self.origins.add(_name(name))
        self.add(name, "SOA", SOA)
        self.add(name, "NS", _absolute(nameserver))

    def exists(self, name: dns.name.Name) -> bool:
        """Whether a name has records or lies above one that has (RFC 8020)."""
        return name in self.records or any(known.is_subdomain(name) for known in self.records)

    def rrset(self, name: dns.name.Name, type: str) -> dns.rrset.RRset | None:  # noqa: A002
        """The records of one type at a name, or None."""
        data = self.records.get(name, {}).get(type)
        return dns.rrset.from_text_list(name, TTL, "IN", type, data) if data else None

    def enclosing(self, name: dns.name.Name) -> dns.name.Name:
        """The closest zone above a name."""
        return max((top for top in self.origins if name.is_subdomain(top)), key=len)


def _name(text: str) -> dns.name.Name:
    return dns.name.from_text(text.lower())


def _absolute(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def reverse_name(address: str) -> str:
    """The name under in-addr.arpa or ip6.arpa that an address's PTR record has."""
    return ipaddress.ip_address(address).reverse_pointer


def outside_world(
    *,
    hostname: str,
    domain: str,
    addresses: Sequence[str],
    outside_domains: Iterable[str],
    sink_hostname: str,
    sink_addresses: Sequence[str],
    clients: Mapping[str, str | None] | None = None,
    hosts: Mapping[str, Sequence[str]] | None = None,
) -> Zone:
    """The record set of the outside world.

    Args:
        hostname: the mail server's own name.
        domain: the mail domain that it is responsible for; its MX points to `hostname`.
        addresses: the machine's addresses, IPv4 and IPv6; they get PTR records too.
        outside_domains: domains whose mail exchanger is the sink.
        sink_hostname: the sink's name.
        sink_addresses: the sink's addresses.
        clients: a client's address → its name, forward-confirmed by an A or AAAA record; a
            name that ends in `!` gets a PTR record but no forward one, None gets nothing.
        hosts: other computers' names → their addresses, which get PTR records too.
    """
    zone = Zone()
    clients = clients or {}

    def host(name: str, address: str, *, forward: bool = True) -> None:
        zone.add(reverse_name(address), "PTR", _absolute(name))
        if forward:
            zone.add(name, "AAAA" if ":" in address else "A", address)

    zone.origin(domain, hostname)
    zone.add(domain, "MX", f"10 {_absolute(hostname)}")
    zone.add(domain, "TXT", '"v=spf1 mx ~all"')
    for address in addresses:
        host(hostname, address)
    for outside in outside_domains:
        zone.origin(outside, sink_hostname)
        zone.add(outside, "MX", f"10 {_absolute(sink_hostname)}")
        # `~all`: a client whose address a forwarder replaced must still be heard; which
        # address SPF saw is read from the headers.
        allowed = [f"ip{6 if ':' in one else 4}:{one}" for one in (*sink_addresses, *clients)]
        zone.add(outside, "TXT", _txt(" ".join(["v=spf1", *allowed, "~all"])))
    for name, of_name in {sink_hostname: sink_addresses, **(hosts or {})}.items():
        for address in of_name:
            host(name, address)
    for address, client in clients.items():
        if client is not None:
            host(client.rstrip("!"), address, forward=not client.endswith("!"))
    return zone


def _txt(text: str) -> str:
    """A TXT record's data: quoted strings of at most 255 bytes (RFC 1035, 3.3.14)."""
    return " ".join(f'"{text[at : at + 255]}"' for at in range(0, len(text), 255))


class Dns:
    """The server. Answers from a `Zone`, which may be changed while it serves.

    Attributes:
        zone: the records.
        queries: every question that was asked, oldest first.
    """

    def __init__(self, zone: Zone) -> None:
        self.zone = zone
        self.queries: list[Query] = []
        self._transports: list[asyncio.DatagramTransport] = []
        self._servers: list[asyncio.Server] = []
        self._clients: set[asyncio.StreamWriter] = set()

    async def serve(self, *sockets: socket.socket) -> None:
        """Answer on bound UDP and listening TCP sockets, in the running loop, until `close`."""
        loop = asyncio.get_running_loop()
        for bound in sockets:
            bound.setblocking(False)
            if bound.type == socket.SOCK_DGRAM:
                transport, _ = await loop.create_datagram_endpoint(lambda: _Udp(self), sock=bound)
                self._transports.append(transport)
            else:
                self._servers.append(await asyncio.start_server(self._tcp, sock=bound))

    def answer(self, wire: bytes, client: str, *, max_size: int | None = None) -> bytes | None:
        """The answer to one message in wire format, or None for what is no question.

        Args:
            wire: the message as it came.
            client: who sent it, for the record.
            max_size: bytes that the answer may have without EDNS; None for TCP.
        """
        try:
            query = dns.message.from_wire(wire)
        except (dns.exception.DNSException, ValueError):
            return None
        if query.flags & dns.flags.QR or len(query.question) != 1:
            return None
        response = dns.message.make_response(query, recursion_available=True)
        question = query.question[0]
        if query.opcode() != dns.opcode.QUERY:
            response.set_rcode(dns.rcode.NOTIMP)
        elif question.rdclass != dns.rdataclass.IN:
            response.set_rcode(dns.rcode.REFUSED)
        else:
            kind = dns.rdatatype.to_text(question.rdtype)
            name = question.name.to_text(omit_final_dot=True).lower()
            self.queries.append(Query(time.time(), name, kind, client))
            self._look_up(response, question.name, kind)
        if max_size is None:
            return response.to_wire()
        limit = max(query.payload, max_size) if query.edns >= 0 else max_size
        try:
            return response.to_wire(max_size=limit)
        except dns.exception.TooBig:
            truncated = dns.message.make_response(query, recursion_available=True)
            truncated.flags |= dns.flags.TC | dns.flags.AA
            return truncated.to_wire()

    def _look_up(self, response: dns.message.Message, asked: dns.name.Name, kind: str) -> None:
        response.flags |= dns.flags.AA
        name = dns.name.from_text(asked.to_text().lower())
        if found := self.zone.rrset(name, kind):
            response.answer.append(found)
            return
        if kind != "CNAME" and (alias := self.zone.rrset(name, "CNAME")):
            response.answer.append(alias)
            if target := self.zone.rrset(alias[0].target, kind):
                response.answer.append(target)
            return
        if not self.zone.exists(name):
            response.set_rcode(dns.rcode.NXDOMAIN)
        top = self.zone.enclosing(name)
        response.authority.append(dns.rrset.from_text(top, TTL, "IN", "SOA", SOA))

    async def _tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        peer = writer.get_extra_info("peername")
        try:
            # A client that goes away, or sends half a message, has said enough.
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    length = int.from_bytes(await reader.readexactly(2))
                    wire = await reader.readexactly(length)
                    answer = self.answer(wire, str(peer[0]) if peer else "")
                    if answer is None:
                        break
                    writer.write(len(answer).to_bytes(2) + answer)
                    await writer.drain()
        finally:
            self._clients.discard(writer)
            writer.close()

    async def close(self) -> None:
        """Stop answering and drop every connection."""
        for transport in self._transports:
            transport.close()
        for server in self._servers:
            server.close()
        for writer in tuple(self._clients):
            writer.transport.abort()
        for server in self._servers:
            await server.wait_closed()
        self._transports.clear()
        self._servers.clear()


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: Dns) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not an instance of DatagramTransport in Python 3.11, though it is one in all but name.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        answer = self._server.answer(data, address[0], max_size=UDP_PLAIN_SIZE)
        if answer is not None and self._transport is not None:
            self._transport.sendto(answer, address)
