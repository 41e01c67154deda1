"""A machine does what every machine must, and nothing to the computer; needs root."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support import NEEDS_ROOT, read, store_of, until

from harness import addresses, cache
from harness.errors import CommandError, HarnessError, MachineError
from harness.keeper import cgroups
from harness.keeper.client import Keeper
from harness.keeper.server import RUNTIME
from harness.loop import wait_for
from harness.machines import golden
from harness.machines.golden import Golden
from harness.machines.nspawn import NspawnMachine
from harness.mailserver.choose import choose
from harness.mailserver.image import NAME
from harness.outside.world import EXCHANGER, World
from harness.podman_api import podman_of
from harness.vantage import Family

pytestmark = NEEDS_ROOT

MEMORY = 300 << 20
"""Bytes that a machine may take before anything is deployed on it."""
FAMILIES: tuple[Family, Family] = (4, 6)
FOLDER_MODES = {"": 0o750, "script": 0o755, "secret": 0o600, "below": 0o700, "below/plain": 0o644}
# What changes by itself: counters, random numbers, and what belongs to a network namespace.
VOLATILE = (
    "/proc/sys/net/",
    "/proc/sys/kernel/random/",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/kernel/pty/nr",
    "/proc/sys/kernel/perf_event_max_sample_rate",
    "/proc/sys/fs/aio-nr",
    "/proc/sys/fs/dentry-state",
    "/proc/sys/fs/file-nr",
    "/proc/sys/fs/inode-",
    "/proc/sys/fs/quota/",
)
NETWORK = (
    "/proc/sys/net/ipv4/ip_forward",
    "/proc/sys/net/ipv4/ip_unprivileged_port_start",
    "/proc/sys/net/ipv6/conf/all/forwarding",
    "/proc/sys/net/ipv6/conf/default/dad_transmits",
)


def settings_of_the_computer() -> dict[str, Any]:
    """What a machine shares with the computer, or could reach of it, and must leave alone."""
    state: dict[str, Any] = {}
    for folder, _, names in os.walk("/proc/sys"):
        for name in names:
            path = f"{folder}/{name}"
            if path in NETWORK or not path.startswith(VOLATILE):
                state[path] = read(Path(path))
    for device in ("fuse", "net/tun", "null", "zero", "tty", "console", "ptmx", "kmsg", "kvm"):
        path = Path("/dev") / device
        if path.exists():
            shown = path.stat()
            state[f"device {path}"] = (oct(shown.st_mode), shown.st_uid, shown.st_gid)
    for name in ("hostname", "hosts", "resolv.conf", "machine-id", "localtime", "timezone"):
        state[f"/etc/{name}"] = (Path("/etc") / name).exists() and (
            Path("/etc") / name
        ).read_bytes()
    state["host name"] = socket.gethostname()
    state["time zone"] = time.strftime("%Z %z")
    state["links"] = sorted(path.name for path in Path("/sys/class/net").iterdir())
    state["mounts"] = sorted(
        line.split()[4] for line in read(Path("/proc/1/mountinfo")).split("\n")[:-1]
    )
    root = cgroups.v2_root()
    assert root is not None
    state["controllers"] = read(root / "cgroup.subtree_control")
    state["namespaces"] = {
        kind: (Path("/proc/self/ns") / kind).readlink() for kind in ("net", "mnt", "uts", "pid")
    }
    return state


@pytest.fixture(scope="module")
def untouched() -> dict[str, Any]:
    """The computer as it was before the first machine."""
    return settings_of_the_computer()


@pytest.fixture(scope="module")
def keeper(untouched: dict[str, Any]) -> Iterator[Keeper]:
    keeper = Keeper(cache.folder(), "machine")
    yield keeper
    assert keeper.close() == ""


@pytest.fixture(scope="module")
def made(request: pytest.FixtureRequest, keeper: Keeper) -> Golden:
    return golden.ensure(keeper, choose(request.config.getoption("--mailserver")), print)


@pytest.fixture(scope="module")
def machine(made: Golden, keeper: Keeper) -> Iterator[NspawnMachine]:
    machine = made.fork("m")
    try:
        machine.start()
        machine.wait_until_up()
        yield machine
    finally:
        assert machine.destroy() == []


def users(machine: NspawnMachine) -> tuple[str, str]:
    return "root", machine.user


def full_name(machine: NspawnMachine) -> str:
    """The name of its cgroup and of its snapshot."""
    return f"machine-{machine.keeper.owner}-{machine.name}"


# -- a host as the guide's reader has it -------------------------------------------------------


def test_it_takes_little_memory_before_anything_is_deployed(machine: NspawnMachine) -> None:
    sizes = {}
    for pid in cgroups.processes(full_name(machine)):
        for line in read(Path(f"/proc/{pid}/smaps_rollup")).splitlines():
            if line.startswith("Pss:"):
                sizes[read(Path(f"/proc/{pid}/comm")).strip()] = int(line.split()[1]) << 10
    assert len(sizes) > 3
    assert sum(sizes.values()) < MEMORY, sizes


def test_everything_has_started(machine: NspawnMachine) -> None:
    assert machine.succeed("systemctl is-system-running") == "running\n"
    assert machine.succeed("systemctl --user is-system-running", machine.user) == "running\n"
    assert machine.succeed("hostname") == "mailhost\n"


def test_its_console_tells_what_it_did(machine: NspawnMachine) -> None:
    console = machine.console()
    assert "Welcome to" in console
    assert "\x1b" not in console
    assert "\n\n" not in console


def test_every_user_is_logged_in(machine: NspawnMachine) -> None:
    for user in users(machine):
        home = "/root" if user == "root" else f"/home/{user}"
        assert machine.succeed('echo "$(id -un) $HOME $PWD"', user) == f"{user} {home} {home}\n"
        runtime = machine.succeed('echo "$XDG_RUNTIME_DIR"', user).strip()
        assert machine.run(f"test -d '{runtime}'", user).status == 0
        sessions = machine.succeed("loginctl list-sessions --no-legend", user)
        assert f" {user} " in sessions


def test_podman_works_for_every_user_with_the_image_under_the_operators_name(
    machine: NspawnMachine, made: Golden
) -> None:
    for user in users(machine):
        driver = machine.succeed("podman info --format '{{.Store.GraphDriverName}}'", user)
        assert driver == "overlay\n"
        listed = machine.succeed("podman image ls --format '{{.Repository}}:{{.Tag}}'", user)
        assert NAME in listed.split()
        look = f"podman image inspect --format '{{{{.Id}}}} {{{{len .Labels}}}}' {NAME}"
        identifier, labels = machine.succeed(look, user).split()
        assert identifier == made.facts["image"]
        assert int(labels) > 0


def test_podman_answers_over_its_forwarded_socket(machine: NspawnMachine) -> None:
    for user in users(machine):
        with podman_of(machine, user) as client:
            assert client.ping()
            assert [image for image in client.images.list() if NAME in image.tags]
            assert client.containers.list(all=True) == []
            assert client.info()["host"]["security"]["rootless"] is (user != "root")


# -- verbs -------------------------------------------------------------------------------------


def test_commands_tell_how_they_ended(machine: NspawnMachine) -> None:
    done = machine.run("echo out; echo err >&2; exit 7")
    assert (done.stdout, done.stderr, done.status) == ("out\n", "err\n", 7)
    assert machine.succeed("cat", machine.user, stdin=b"given") == "given"
    assert "no-such-command" in machine.fail("no-such-command", machine.user)
    with pytest.raises(CommandError, match=r"m: as root: echo why; exit 3 .*status 3:\nwhy"):
        machine.succeed("echo why; exit 3")
    with pytest.raises(CommandError, match="as root: true succeeded, and should not have"):
        machine.fail("true")
    with pytest.raises(CommandError, match=r"did not end within 1 s\n.*begun"):
        machine.run("echo begun; exec sleep 60", within=1.0)


def unit(command: str, *more: str) -> str:
    return "\n".join(["[Service]", f"ExecStart=/bin/sh -c '{command}'", *more, ""])


def tells(machine: NspawnMachine, user: str, of: str, words: str) -> bool:
    return words in machine.journal(of, user)


def test_units_are_waited_for(machine: NspawnMachine) -> None:
    for user in users(machine):
        folder = "/etc/systemd/system" if user == "root" else "~/.config/systemd/user"
        systemctl = "systemctl" if user == "root" else "systemctl --user"
        runtime = "/run" if user == "root" else "$XDG_RUNTIME_DIR"
        slow = unit(
            "until [ -e %t/told ]; do sleep 0.1; done; systemd-notify --ready; sleep 600",
            *("Type=notify", "NotifyAccess=all"),
        )
        machine.write_file(f"{folder}/slow.service", slow, user)
        machine.write_file(f"{folder}/broken.service", unit("echo told why; exit 4"), user)
        machine.succeed(f"{systemctl} daemon-reload", user)
        machine.succeed(f"{systemctl} start --no-block slow broken", user)
        # It is "inactive" as long as nobody has begun with it.
        begun = f'until [ "$({systemctl} is-active slow)" = activating ]; do sleep 0.1; done'
        machine.succeed(begun, user, within=10)
        machine.succeed(f"(sleep 0.5; touch {runtime}/told) >/dev/null 2>&1 &", user)
        machine.wait_for_unit("slow", user, within=20)
        # What a process wrote may come into the journal after word of its end.
        assert until(partial(tells, machine, user, "broken", "told why"), 10)
        with pytest.raises(CommandError, match=r"broken failed:\n(.*\n)*.*told why"):
            machine.wait_for_unit("broken", user)
        with pytest.raises(CommandError, match="never is not active after 0 s"):
            machine.wait_for_unit("never", user, within=0.2)
        assert "told why" in machine.journal("broken", user)
        assert machine.journal("broken", user, lines=1).count("\n") == 1
        machine.succeed(f"{systemctl} stop slow && {systemctl} reset-failed", user)


def test_a_units_last_words_are_found_when_the_journal_comes_too_late(
    machine: NspawnMachine,
) -> None:
    for user in users(machine):
        folder = "/etc/systemd/system" if user == "root" else "~/.config/systemd/user"
        systemctl = "systemctl" if user == "root" else "systemctl --user"
        machine.write_file(f"{folder}/gone.service", unit("echo too late; exit 4"), user)
        machine.write_file(f"{folder}/other.service", unit("echo mine; exec sleep 600"), user)
        machine.succeed(f"{systemctl} daemon-reload && {systemctl} start other", user)
        journald = machine.succeed("systemctl show -P MainPID systemd-journald").strip()
        machine.succeed(f"kill -STOP {journald}")
        try:
            ended = f'until [ "$({systemctl} is-active gone)" = failed ]; do sleep 0.1; done'
            machine.succeed(f"{systemctl} start --no-block gone && {ended}", user, within=10)
        finally:
            machine.succeed(f"kill -CONT {journald}")
        assert until(partial(tells, machine, user, "gone", "too late"), 10)
        assert until(partial(tells, machine, user, "gone", "Failed with result 'exit-code'"), 10)
        assert until(partial(tells, machine, user, "other", "mine"), 10)
        assert "mine" not in machine.journal("gone", user)
        assert machine.journal("gone", user, lines=1).count("\n") == 1
        machine.succeed(f"{systemctl} stop other && {systemctl} reset-failed", user)


def test_the_network_is_not_online_before_the_firewall_has_its_rules(
    machine: NspawnMachine,
) -> None:
    target, network = "network-online.target", "network-after-firewall.service"
    firewall = machine.succeed("systemctl show -P MainPID firewalld").strip()
    machine.succeed(f"systemctl stop {target} {network}; kill -STOP {firewall}")
    try:
        # It would take a moment only: that it is still waited for is what is to be seen.
        assert machine.run(f"timeout 2 systemctl start {target}").status == 124
        assert machine.run(f"systemctl is-active {network}").stdout == "activating\n"
    finally:
        machine.succeed(f"kill -CONT {firewall}")
    machine.wait_for_unit(network)
    machine.succeed(f"systemctl start {target}", within=10)


def test_ports_are_waited_for(machine: NspawnMachine) -> None:
    for host in ("127.0.0.1", "::1", addresses.MACHINE[4], addresses.MACHINE[6]):
        machine.wait_for_port(22, host)
    with pytest.raises(CommandError, match="nothing listens on ::1 port 4321"):
        machine.wait_for_port(4321, "::1", within=0.2)
    # It is told at once, and still waited for when it comes.
    machine.succeed(
        "systemd-run -q --unit later"
        " sh -c 'sleep 0.5; exec systemd-socket-activate --accept -l 4321 cat'"
    )
    machine.wait_for_port(4321)
    machine.succeed("systemctl stop later")


def test_folders_are_copied_with_their_modes(machine: NspawnMachine, tmp_path: Path) -> None:
    there = tmp_path / "sent"
    (there / "below").mkdir(parents=True)
    for name in ("script", "secret", "below/plain"):
        (there / name).write_bytes(os.urandom(100_000))
    for name, mode in FOLDER_MODES.items():
        (there / name).chmod(mode)
    for user in users(machine):
        machine.copy_to(there, "sent", user)
        owner = machine.succeed("stat -c %U sent/below/plain", user)
        assert owner == f"{user}\n"
        back = tmp_path / f"back to {user}"
        machine.copy_from("sent", back, user)
        for name, mode in FOLDER_MODES.items():
            assert stat.S_IMODE((back / name).stat().st_mode) == mode
            if (there / name).is_file():
                assert (back / name).read_bytes() == (there / name).read_bytes()
    with pytest.raises(CommandError, match=rf"m: cannot copy .* as {machine.user}: "):
        machine.copy_to(there / "script", "/etc/not-allowed", machine.user)


def test_files_are_written_with_their_folders(machine: NspawnMachine) -> None:
    content = 'line\n\'"$HOME" \\ ünï\n'
    for user in users(machine):
        machine.write_file("~/new folder/a file", content, user)
        assert machine.succeed("cat 'new folder/a file'", user) == content
    with pytest.raises(CommandError, match="Permission denied"):
        machine.write_file("/etc/not-allowed", "", machine.user)


# -- its network -------------------------------------------------------------------------------


def test_every_client_outside_reaches_it_with_its_own_address(machine: NspawnMachine) -> None:
    async def seen(family: Family, source: str) -> tuple[str, str]:
        """What its SSH server says to a client outside, and whom the machine sees meanwhile."""
        async with asyncio.timeout(20):
            sock = await machine.outside.connect(addresses.MACHINE[family], 22, source)
            with sock:
                greeting = await asyncio.get_running_loop().sock_recv(sock, 100)
                shown = await machine.run_async("ss -Htn state established 'sport = :22'")
                return greeting.decode(), shown.stdout

    for client in addresses.CLIENTS:
        for family in FAMILIES:
            greeting, peers = wait_for(seen(family, client.addresses[family]))
            assert greeting.startswith("SSH-2.0")
            literal = {4: "{}:", 6: "[{}]:"}[family].format(client.addresses[family])
            assert f" {literal}" in peers


def test_it_has_its_own_addresses_and_no_others(machine: NspawnMachine) -> None:
    shown = machine.succeed(f"ip -brief addr show {addresses.INTERFACE} scope global").split()
    assert shown[0].partition("@")[0] == addresses.INTERFACE
    assert set(shown[2:]) == {f"{addresses.MACHINE[f]}/{addresses.PREFIX[f]}" for f in FAMILIES}
    links = machine.succeed("ip -brief link").splitlines()
    assert len(links) == 2  # lo
    for family in FAMILIES:
        route = machine.succeed(f"ip -{family} route show default").split()
        assert route[:5] == [
            "default",
            "via",
            addresses.GATEWAY[family],
            "dev",
            addresses.INTERFACE,
        ]


@pytest.fixture(scope="module")
def world(machine: NspawnMachine) -> Iterator[World]:
    world = World(machine, "mail.example.com", "example.com")
    world.open()
    yield world
    world.close()


def test_it_reaches_the_outside_world(machine: NspawnMachine, world: World) -> None:
    greets = "exec 3<>/dev/tcp/{}/25 && head -n 1 <&3"
    for family in FAMILIES:
        found = machine.succeed(f"getent ahostsv{family} {EXCHANGER}")
        assert addresses.EXCHANGER[family] in found
        said = machine.succeed(f"bash -c '{greets.format(addresses.EXCHANGER[family])}'", within=10)
        assert said.startswith(f"220 {EXCHANGER}")
    assert any(query.name.rstrip(".") == EXCHANGER for query in world.dns.queries)


def test_after_a_reboot_everything_works_and_is_still_there(
    machine: NspawnMachine, world: World
) -> None:
    boot_id = "cat /proc/sys/kernel/random/boot_id"
    started = "systemctl show --value -p UserspaceTimestampMonotonic"
    machine.write_file("/var/lib/kept", "root's")
    machine.write_file("~/kept", "the user's", machine.user)
    machine.write_file("/run/lost", "")
    before = machine.succeed("stat -c %i /proc/self/ns/pid; stat -Lc %i /proc/1/ns/net")
    booted, uptime = machine.succeed(boot_id), machine.succeed(started)
    machine.reboot()
    machine.wait_until_up()
    assert machine.succeed(boot_id) != booted
    assert machine.succeed(started) != uptime
    assert machine.succeed("stat -c %i /proc/self/ns/pid; stat -Lc %i /proc/1/ns/net") != before
    assert machine.succeed("cat /var/lib/kept") == "root's"
    assert machine.succeed("cat kept", machine.user) == "the user's"
    assert machine.run("test -e /run/lost").status == 1
    test_it_has_its_own_addresses_and_no_others(machine)
    test_every_client_outside_reaches_it_with_its_own_address(machine)
    # These sockets were opened before it.
    asked = len(world.dns.queries)
    test_it_reaches_the_outside_world(machine, world)
    assert len(world.dns.queries) > asked
    assert machine.console().count("Welcome to") == 2


# -- forks -------------------------------------------------------------------------------------


def test_what_is_changed_on_a_fork_reaches_neither_the_golden_nor_another(
    machine: NspawnMachine, made: Golden, keeper: Keeper
) -> None:
    nonce = secrets.token_hex(8)
    machine.succeed(f"echo {nonce} | tee /etc/changed >> /etc/os-release; sync")
    store = store_of(keeper)
    assert nonce in read(store / full_name(machine) / "etc/changed")
    sister = made.fork("sister")
    sister.start()
    try:
        for name in (made.name, full_name(sister)):
            assert not (store / name / "etc/changed").exists()
            assert nonce not in read(store / name / "usr/lib/os-release")
    finally:
        assert sister.destroy() == []
    assert not (store / full_name(sister)).exists()
    assert keeper.call("stamp", name=made.name)["stamp"] is not None
    with pytest.raises(OSError, match="Read-only"):
        (store / made.name / "etc/changed").touch()


@pytest.mark.parametrize(
    ("init", "told"),
    [
        ("#!/bin/sh\necho cannot go on; exit 9\n", "cannot go on"),
        ("no program\n", "Exec format error"),
    ],
    ids=["that fails", "that is none"],
)
def test_a_broken_init_is_told_at_once_with_the_end_of_the_console(
    made: Golden, keeper: Keeper, monkeypatch: pytest.MonkeyPatch, init: str, told: str
) -> None:
    ask: Callable[..., dict[str, Any]] = keeper.call

    def with_broken_init(verb: str, **arguments: Any) -> dict[str, Any]:
        if verb == "start_machine":
            arguments["files"] |= {"/usr/lib/systemd/systemd": init, "/etc/init": init}
        return ask(verb, **arguments)

    monkeypatch.setattr(keeper, "call", with_broken_init)
    machine = made.fork("broken")
    began = time.monotonic()
    try:
        machine.start()
        with pytest.raises(MachineError) as raised:
            machine.wait_until_up(within=30)
    finally:
        assert machine.destroy() == []
    assert time.monotonic() - began < 15
    assert raised.value.message.startswith("broken does not run any more: systemd-nspawn ended")
    assert told in raised.value.hint
    assert not (store_of(keeper) / full_name(machine)).exists()
    assert not cgroups.path_of(full_name(machine)).exists()


def test_a_machine_that_hangs_is_given_up_in_time(
    made: Golden, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask: Callable[..., dict[str, Any]] = keeper.call
    init = "#!/bin/sh\necho waiting for ever; exec sleep 600\n"

    def with_endless_init(verb: str, **arguments: Any) -> dict[str, Any]:
        if verb == "start_machine":
            arguments["files"] |= {"/usr/lib/systemd/systemd": init}
        return ask(verb, **arguments)

    monkeypatch.setattr(keeper, "call", with_endless_init)
    machine = made.fork("endless")
    try:
        machine.start()
        with pytest.raises(MachineError) as raised:
            machine.wait_until_up(within=2)
    finally:
        assert machine.destroy() == []
    assert raised.value.message == "endless did not answer on SSH within 2 s"
    assert "waiting for ever" in raised.value.hint


def test_a_machine_that_was_taken_down_is_not_waited_for(made: Golden, keeper: Keeper) -> None:
    machine = made.fork("short")
    machine.start()
    errors: list[HarnessError] = []

    def wait() -> None:
        with pytest.raises(HarnessError) as raised:
            machine.wait_until_up(within=30)
        errors.append(raised.value)

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert machine.destroy() == []
    waiting.join(10)
    assert not waiting.is_alive()
    assert "was taken down" in errors[0].message
    with pytest.raises(MachineError, match="taken down before it was started"):
        machine.start()
    assert made.fork("never started").destroy() == []


def test_files_that_are_put_into_a_machine_stay_in_it(tmp_path: Path) -> None:
    """A link in a machine leads to a place in the machine, never to one of this computer."""
    here = tmp_path / "here"
    here.mkdir()
    (here / "file").write_text("mine")
    script = (
        'mkdir "$1/etc" && ln -s "$2/file" "$1/etc/absolute" && ln -s "$2" "$1/etc/folder"'
        ' && ln -s ../../../../../../../../../../../../"$2" "$1/etc/upward"'
    )
    keeper = Keeper(tmp_path / "cache", "links")
    try:
        keeper.call(
            "bootstrap",
            name="links",
            final="links",
            command=["sh", "-ec", script, "sh", "{target}", str(here)],
            notes={},
        )
        login = cache.login(tmp_path / "cache")
        machine = NspawnMachine(keeper, "m", "links", login, {}, "nobody")
        ask: Callable[..., dict[str, Any]] = keeper.call
        keeper.call(
            "start_machine",
            name="m",
            source="links",
            files={f"/etc/{name}": "yours" for name in ("absolute", "folder/new", "upward/new")},
            interface=addresses.INTERFACE,
            inside=[],
            gateways=[],
            lan=[],
            far=[],
        )
        root = store_of(keeper) / f"machine-{keeper.owner}-m"
        assert (root / "etc/absolute").read_text() == "yours"
        assert not (root / "etc/absolute").is_symlink()
        inside = root / str(here).lstrip("/")
        assert (inside / "new").read_text() == "yours"
        assert ask("remove_machine", name=machine.name)["left"] == []
    finally:
        assert keeper.close() == ""
    assert [path.name for path in here.iterdir()] == ["file"]
    assert (here / "file").read_text() == "mine"


# -- the computer around it --------------------------------------------------------------------


def test_booting_a_machine_changes_nothing_on_the_computer(
    machine: NspawnMachine, untouched: dict[str, Any]
) -> None:
    now = settings_of_the_computer()
    changed = {
        key: (untouched.get(key), value)
        for key, value in now.items()
        if key in untouched and untouched[key] != value
    }
    assert not changed
    assert not [key for key in untouched if key not in now]
    done = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True)
    assert full_name(machine) not in done.stdout
    with closing(socket.socket()) as sock, pytest.raises(OSError, match="assign"):
        sock.bind((addresses.MACHINE[4], 0))


def test_a_removed_machine_leaves_nothing(made: Golden, keeper: Keeper) -> None:
    machine = made.fork("gone")
    machine.start()
    machine.wait_until_up()
    pids = cgroups.processes(full_name(machine))
    assert machine.destroy() == []
    assert not cgroups.path_of(full_name(machine)).exists()
    assert not (store_of(keeper) / full_name(machine)).exists()
    assert until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), 5.0)
    ledger = read(cache.folder() / "ledger" / f"{keeper.owner}.jsonl").splitlines()
    assert sum(full_name(machine) in line for line in ledger) % 2 == 0
    assert (RUNTIME / keeper.owner).is_dir()
