"""Nothing gets from a machine to the computer's networks, nor from one machine to another."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from support import HAPPENS_WITHIN, NEEDS_ROOT, Run, left_on_computer, pytest_words, started, until

from harness import addresses, cache
from harness.keeper.client import Keeper
from harness.loop import wait_for
from harness.machines import golden
from harness.machines.nspawn import NspawnMachine
from harness.mailserver.choose import choose
from harness.vantage import Family

pytestmark = NEEDS_ROOT

ETH_P_ALL = 3
FAMILIES: tuple[Family, Family] = (4, 6)
AF = {4: socket.AF_INET, 6: socket.AF_INET6}
NEVER = [
    *("192.0.2.2", "198.18.0.1", "240.0.0.1"),
    *("224.0.0.1", "233.252.0.1", "255.255.255.255", "203.0.113.255"),
    *("2001:2::1", "2001:db8:1234::1", "ff05::1:3"),
    *(f"{address}%{addresses.INTERFACE}" for address in ("ff02::1", "ff02::fb", "fe80::1")),
]
"""Where a machine's packets could get to: hosts behind routers, neighbours, groups. All from
ranges for documentation and benchmarks: should the isolation fail, nobody is there."""

# Run in a machine: sends to every target in every way; prints what could be sent or connected to.
SENDER = """
import errno, json, select, socket, sys
nonce, port, targets = sys.argv[1].encode(), int(sys.argv[2]), sys.argv[3:]
sent, waiting = [], []
for target in targets:
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    echo = (b"\\x80" if family == socket.AF_INET6 else b"\\x08") + bytes(7) + nonce
    icmp = socket.IPPROTO_ICMPV6 if family == socket.AF_INET6 else socket.IPPROTO_ICMP
    for kind, protocol, data in (
        (socket.SOCK_DGRAM, 0, nonce), (socket.SOCK_RAW, icmp, echo), (socket.SOCK_RAW, 253, nonce)
    ):
        with socket.socket(family, kind, protocol) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 64)
            else:
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 64)
            where = socket.getaddrinfo(target, 53 if kind == socket.SOCK_DGRAM else 0, family)[0][4]
            try:
                sock.sendto(data, where)
            except OSError:
                continue
            sent.append(f"{kind.name} {protocol} {target}")
    for number in (25, 53, port):
        sock = socket.socket(family)
        sock.settimeout(0)
        if sock.connect_ex(socket.getaddrinfo(target, number, family)[0][4]) == errno.EINPROGRESS:
            waiting.append((sock, f"{target} port {number}"))
# Whatever has not answered by then is held against what was captured, not against this.
ready = select.select([], [sock for sock, _ in waiting], [], 1.5)[1]
connected = [
    name for sock, name in waiting
    if sock in ready and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
]
print(json.dumps({"sent": sent, "connected": connected}))
"""


class Capture:
    """All frames that pass a packet socket, and hold one of some words."""

    def __init__(self, sock: socket.socket, words: dict[str, bytes]) -> None:
        self._sock = sock
        self._words = words
        self._changed = threading.Condition()
        self.seen: list[tuple[str, str]] = []
        sock.setblocking(True)
        sock.settimeout(0.1)
        self._over = False
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        while not self._over:
            try:
                frame, address = self._sock.recvfrom(65536)
            except TimeoutError:
                continue
            for word, data in self._words.items():
                if data in frame:
                    with self._changed:
                        self.seen.append((str(address[0]), word))
                        self._changed.notify_all()

    def wait_for(self, word: str, within: float = 10.0) -> bool:
        """Wait until a frame with a word was seen."""
        with self._changed:
            return self._changed.wait_for(lambda: self.count(word), within) > 0

    def count(self, word: str) -> int:
        return sum(seen == word for _, seen in self.seen)

    def close(self) -> None:
        self._over = True
        self._thread.join()
        self._sock.close()


@pytest.fixture(scope="module")
def mailserver(request: pytest.FixtureRequest) -> str:
    option: str = request.config.getoption("--mailserver")
    return option


@pytest.fixture(scope="module")
def keeper() -> Iterator[Keeper]:
    keeper = Keeper(cache.folder(), "isolation")
    yield keeper
    assert keeper.close() == ""


@pytest.fixture(scope="module")
def machines(keeper: Keeper, mailserver: str) -> Iterator[list[NspawnMachine]]:
    """Two machines of one keeper, with the same addresses."""
    made = golden.ensure(keeper, choose(mailserver), print)
    both = [made.fork(name) for name in ("one", "two")]
    try:
        for machine in both:
            machine.start()
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(NspawnMachine.wait_until_up, both))
        yield both
    finally:
        assert [machine.destroy() for machine in both] == [[], []]


def ip(*words: str) -> list[dict[str, Any]]:
    told = subprocess.run(
        ["ip", "-json", *words], capture_output=True, text=True, check=True, timeout=10
    ).stdout
    parsed: list[dict[str, Any]] = json.loads(told or "[]")
    return parsed


def own_addresses() -> list[str]:
    """This computer's addresses on its real networks, and its routers'."""
    own = [
        address["local"]
        for link in ip("addr", "show")
        if link.get("ifname") != "lo"
        for address in link.get("addr_info", [])
        if address["scope"] == "global"
    ]
    routers = [route["gateway"] for route in ip("route", "show", "default") if "gateway" in route]
    return own + routers


def test_no_packet_of_a_machine_reaches_the_computers_networks(
    machines: list[NspawnMachine],
) -> None:
    machine = machines[0]
    nonce, control = secrets.token_hex(16), secrets.token_hex(16)
    words = {"nonce": nonce.encode(), "control": control.encode()} | {
        f"machine's v{family}": socket.inet_pton(AF[family], addresses.MACHINE[family])
        for family in FAMILIES
    }
    own = own_addresses()
    with closing(socket.create_server(("", 0))) as server, ExitStack() as open_captures:
        server.setblocking(False)
        port = server.getsockname()[1]
        here = Capture(
            socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)), words
        )
        open_captures.callback(here.close)
        there = Capture(
            machine.keeper.open_socket(
                machine.name, socket.AF_PACKET, socket.SOCK_RAW, ("ve-lan", ETH_P_ALL)
            ),
            words,
        )
        open_captures.callback(there.close)
        targets = [*NEVER, *own]
        machine.write_file("/run/sender.py", SENDER)
        told = json.loads(
            machine.succeed(" ".join(["python3 /run/sender.py", nonce, str(port), *targets]))
        )
        with pytest.raises(BlockingIOError):
            server.accept()
        # Both captures see what there is to see, and by now have seen all that came before.
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            for address in ["127.0.0.1", *[each for each in own if ":" not in each][:1]]:
                sock.sendto(control.encode(), (address, port))
        assert here.wait_for("control")
        machine.succeed(f"echo {control} > /dev/udp/{addresses.GATEWAY[4]}/9")
        assert there.wait_for("control")
    assert len(told["sent"]) > len(targets)
    assert told["connected"] == []
    assert there.count("nonce") >= len(NEVER)
    assert there.count("machine's v4")
    assert there.count("machine's v6")
    assert [seen for seen in here.seen if seen[1] != "control"] == []


def test_the_outside_has_no_way_out(machines: list[NspawnMachine]) -> None:
    keeper = machines[0].keeper
    for machine in machines:
        name = f"machine-{keeper.owner}-{machine.name}-out"

        def inside(*words: str, name: str = name) -> str:
            return subprocess.run(
                ["nsenter", f"--target={keeper._process.pid}", "--mount", *words[:1]]
                + (["-netns", name] if words[0] == "ip" else [])
                + list(words[1:]),
                capture_output=True,
                text=True,
                check=True,
                timeout=10,
            ).stdout

        links = json.loads(inside("ip", "-json", "link", "show"))
        assert {link["ifname"] for link in links} == {"lo", "ve-lan"}
        for family in ("-4", "-6"):
            routes = json.loads(inside("ip", "-json", family, "route", "show", "table", "all"))
            assert {route["dev"] for route in routes} <= {"lo", "ve-lan"}
            assert not [route for route in routes if route["dst"] == "default"]
            assert not [route for route in routes if "gateway" in route]
        with pytest.raises(OSError, match="unreachable"):
            wait_for(machine.outside.connect("198.18.0.1", 53, None))
        with pytest.raises(OSError, match="unreachable"):
            wait_for(machine.outside.connect("2001:2::1", 53, None))
    assert left_on_computer(keeper.cache) == []


def test_machines_with_the_same_addresses_do_not_see_each_other(
    machines: list[NspawnMachine],
) -> None:
    nonces = [secrets.token_hex(16) for _ in machines]
    for family in FAMILIES:
        socks = [
            machine.outside.open_socket(
                AF[family], socket.SOCK_DGRAM, (addresses.EXCHANGER[family], 9999)
            )
            for machine in machines
        ]
        with ExitStack() as stack:
            for sock in socks:
                stack.enter_context(sock)
                sock.settimeout(10)
            for machine, nonce in zip(machines, nonces, strict=True):
                machine.succeed(
                    f"bash -c 'echo {nonce} > /dev/udp/{addresses.EXCHANGER[family]}/9999'"
                )
            # In both, the machine's own is the first to arrive, and the only one.
            for sock, nonce in zip(socks, nonces, strict=True):
                data, sender = sock.recvfrom(100)
                assert (data.decode().strip(), sender[0]) == (nonce, addresses.MACHINE[family])
                sock.setblocking(False)
                with pytest.raises(BlockingIOError):
                    sock.recv(100)


def test_each_outside_leads_to_its_own_machine(machines: list[NspawnMachine]) -> None:
    port = 4323

    async def told(machine: NspawnMachine, family: Family, source: str) -> str:
        async with asyncio.timeout(10):
            sock = await machine.outside.connect(addresses.MACHINE[family], port, source)
            with sock:
                return (await asyncio.get_running_loop().sock_recv(sock, 100)).decode().strip()

    nonces = {machine.name: secrets.token_hex(16) for machine in machines}
    for machine in machines:
        machine.succeed(
            f"firewall-cmd -q --add-port={port}/tcp"
            " && systemd-run -q --unit teller systemd-socket-activate --inetd --accept"
            f" -l {port} echo {nonces[machine.name]}"
        )
        machine.wait_for_port(port)
    try:
        for machine in machines:
            for client in addresses.CLIENTS:
                for family in FAMILIES:
                    said = wait_for(told(machine, family, client.addresses[family]))
                    assert said == nonces[machine.name]
    finally:
        for machine in machines:
            machine.succeed(f"systemctl stop teller && firewall-cmd -q --remove-port={port}/tcp")


def test_machines_see_neither_each_others_processes_nor_the_computers(
    machines: list[NspawnMachine],
) -> None:
    nonce = f"1{secrets.randbelow(10**9):09}"
    machines[0].succeed(f"systemd-run -q --unit marked sleep {nonce}")
    try:
        assert until(lambda: nonce in machines[0].succeed("ps -eo args"), 10.0)
        seen = machines[1].succeed("ps -eo args")
        assert nonce not in seen
        assert "pytest" not in seen
        assert nonce not in machines[1].succeed("find /sys/fs/cgroup -name '*marked*'")
    finally:
        machines[0].succeed("systemctl stop marked")


def probes_run(run: Run) -> bool:
    return any(seen["vantage"] for seen in run.observed())


def test_runs_at_once_do_not_disturb_each_other_even_where_one_is_killed(
    keeper: Keeper, mailserver: str, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        runs = {
            variant: stack.enter_context(
                started(
                    pytest_words(
                        tmp_path / variant, f"rootless_pasta_quadlet-{variant}", mailserver
                    ),
                    tmp_path / variant,
                    cache.folder(),
                )
            )
            for variant in ("permit_none", "permit_unset", "permit_container")
        }
        # They start by turns, as cores allow: the last one may come when the first one is through.
        assert until(lambda: any(map(probes_run, runs.values())), HAPPENS_WITHIN)
        killed = runs.pop(next(name for name, run in runs.items() if probes_run(run)))
        killed.look()
        for run in runs.values():
            run.expect(run.machine, "machine")
        killed.kill_group()
        killed.end()
        killed.wait_until_gone(keeper)
        for run in runs.values():
            assert run.process.poll() is None, "it ended before the other was killed"
            assert run.left(keeper)
        for run in runs.values():
            assert run.end() == 0, run.output()[-3000:]
            run.wait_until_gone(keeper)
            assert " passed" in run.output().splitlines()[-1]
