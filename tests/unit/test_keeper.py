from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from keeper_support import ROOT_ONLY, child, left_of, loop_devices, store_of, until

from harness.addresses import GATEWAY, SECOND_NEIGHBOUR
from harness.errors import HostError
from harness.keeper import cgroups, client
from harness.keeper.client import Keeper
from harness.machines.nspawn import Network, NspawnMachine
from harness.machines.shell import Login

pytestmark = ROOT_ONLY

# Ends only when it is killed, and has a child of its own.
ENDLESS = ["sh", "-c", 'touch "$1"; echo I: begun; sleep 600 & sleep 600', "sh", "{target}"]
# A run that is in the middle of everything: its keeper builds a subvolume and a file.
RUN = f"""
import signal, sys, threading, time
from pathlib import Path
from harness.keeper.client import Keeper
# A shell has its background jobs ignore Ctrl-C, and they pass that on.
signal.signal(signal.SIGINT, signal.default_int_handler)
keeper = Keeper(Path(sys.argv[1]), "t")
begun = threading.Barrier(3)
def ask(verb, **arguments):
    try:
        keeper.call(verb, lambda _: begun.wait(), command={ENDLESS!r}, **arguments)
    except Exception:
        pass
asked = [("bootstrap", dict(name="b", final="f", notes={{}})),
         ("make_file", dict(name="m", path=sys.argv[1] + "/made"))]
for verb, arguments in asked:
    threading.Thread(target=ask, args=(verb,), kwargs=arguments, daemon=True).start()
begun.wait()
print(keeper.owner, flush=True)
time.sleep(600)
"""


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    keeper = Keeper(tmp_path / "cache", "t")
    yield keeper
    try:
        if keeper._process.returncode is None:
            assert keeper.close() == ""
        assert until(lambda: not left_of(keeper.owner, keeper.cache)), left_of(
            keeper.owner, keeper.cache
        )
    finally:  # whatever is broken: nothing stays on the computer
        keeper._process.kill()
        for cgroup in cgroups.path_of("x").parent.glob(f"*{keeper.owner}*"):
            cgroups.remove(cgroup.name)
        shutil.rmtree(f"/run/dms-harness/{keeper.owner}", ignore_errors=True)


@contextlib.contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[None]:
    """Kill a process at the end of a block, however that ends: else it would be waited for."""
    try:
        yield
    finally:
        process.kill()


def swept_by_next(cache: Path) -> list[str]:
    """What the next keeper finds left; nothing may be left after that one."""
    keeper = Keeper(cache, "t")
    hello = keeper.call("hello")
    assert hello["stuck"] == []
    temporary = [p.name for p in store_of(keeper).iterdir() if p.name.startswith(("b", "m"))]
    assert temporary == []
    assert keeper.close() == ""
    assert until(lambda: not left_of(keeper.owner, cache)), left_of(keeper.owner, cache)
    assert list((cache / "ledger").iterdir()) == []
    swept: list[str] = hello["swept"]
    return swept


def busy(keeper: Keeper) -> list[threading.Thread]:
    """Have a keeper build a subvolume and a file for ever."""
    begun = threading.Barrier(3)

    def ask(verb: str, **arguments: object) -> None:
        with pytest.raises((OSError, HostError)):
            keeper.call(verb, lambda _: bool(begun.wait()), command=ENDLESS, **arguments)

    threads = [
        threading.Thread(
            target=ask, args=("bootstrap",), kwargs={"name": "b", "final": "f", "notes": {}}
        ),
        threading.Thread(
            target=ask,
            args=("make_file",),
            kwargs={"name": "m", "path": str(keeper.cache / "made")},
        ),
    ]
    for thread in threads:
        thread.start()
    begun.wait(30)
    return threads


def machine_of(keeper: Keeper, name: str = "m1", network: Network | None = None) -> NspawnMachine:
    """A machine of an empty subvolume: it has all that a machine has, and ends at once."""
    if keeper.call("stamp", name="empty")["stamp"] is None:
        keeper.call("bootstrap", name="e", final="empty", command=["true"], notes={})
    return NspawnMachine(keeper, name, "empty", Login(Path("none"), None), {}, "nobody", network)


def raw(keeper: Keeper, data: bytes) -> bytes:
    """What a keeper answers to some bytes."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(30)
        line.connect(str(keeper.socket))
        line.sendall(data)
        line.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := line.recv(65536):
            answer += chunk
        return answer


# -- life ------------------------------------------------------------------------------------------


def test_a_keeper_is_ready_in_less_than_a_second(tmp_path: Path) -> None:
    seconds = []
    for _ in range(8):  # the best of some, for a computer that is busy with other tests
        started = time.monotonic()
        keeper = Keeper(tmp_path, "t")
        seconds.append(time.monotonic() - started)
        keeper.close()
        if seconds[-1] < 1:
            return
    pytest.fail(f"{seconds} s")


def test_a_keeper_that_is_closed_leaves_nothing(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path, "t")
    owner = keeper.owner
    assert any("process" in each for each in left_of(owner, tmp_path))
    assert any("runtime" in each for each in left_of(owner, tmp_path))
    assert any("loop device" in each for each in left_of(owner, tmp_path))
    assert any("file" in each for each in left_of(owner, tmp_path))  # its ledger
    assert keeper.close() == ""
    assert until(lambda: not left_of(owner, tmp_path)), left_of(owner, tmp_path)
    assert swept_by_next(tmp_path) == []


def test_closing_ends_builds_that_are_under_way(keeper: Keeper) -> None:
    threads = busy(keeper)
    there = " ".join(left_of(keeper.owner, keeper.cache))
    assert f"cgroup {cgroups.path_of(f'build-{keeper.owner}-b')}" in there
    assert (store_of(keeper) / f"build-{keeper.owner}-b").is_dir()
    assert keeper.close() == ""
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert until(lambda: not left_of(keeper.owner, keeper.cache))
    assert swept_by_next(keeper.cache) == []


@pytest.mark.parametrize(
    ("number", "group"),
    [
        (signal.SIGKILL, False),
        (signal.SIGTERM, False),
        # Ctrl-C goes to all processes of the terminal's foreground; the keeper is none of them.
        (signal.SIGINT, True),
        (signal.SIGKILL, True),
    ],
    ids=["SIGKILL", "SIGTERM", "Ctrl-C", "SIGKILL to the group"],
)
def test_nothing_outlives_a_run_that_is_killed(
    tmp_path: Path, number: signal.Signals, group: bool
) -> None:
    with child(RUN, tmp_path, new_session=True) as run, ended(run):
        assert run.stdout is not None
        owner = run.stdout.readline().strip()
        assert owner, run.stderr and run.stderr.read()
        there = " ".join(left_of(owner, tmp_path))
        for sort in ("process", "cgroup", "runtime", "file", "loop device", "sleep 600"):
            assert sort in there
        (os.killpg if group else os.kill)(run.pid, number)
        run.wait(30)
    assert until(lambda: not left_of(owner, tmp_path)), left_of(owner, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "ledger",
        "mount.lock",
        "store",
        "store.btrfs",
    ]
    assert swept_by_next(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_keeper_ends_it_in_order(keeper: Keeper, number: signal.Signals) -> None:
    threads = busy(keeper)
    keeper._process.send_signal(number)
    assert keeper._process.wait(30) == 0
    for thread in threads:
        thread.join(30)
    assert until(lambda: not left_of(keeper.owner, keeper.cache))
    assert swept_by_next(keeper.cache) == []


def test_what_a_killed_keeper_leaves_is_removed_and_named_by_the_next(keeper: Keeper) -> None:
    machine = machine_of(keeper)
    machine.start()
    threads = busy(keeper)
    own = keeper.owner
    keeper._process.kill()
    keeper._process.wait(30)
    for thread in threads:
        thread.join(30)
    # Processes die with it, those that they have started too; things stay.
    assert until(lambda: not any("sleep 600" in each for each in left_of(own, keeper.cache)))
    assert any("cgroup" in each for each in left_of(own, keeper.cache))
    assert sorted(swept_by_next(keeper.cache)) == sorted(
        [
            f"cgroup build-{own}-b",
            f"cgroup build-{own}-m",
            f"cgroup machine-{own}-m1",
            f"file {keeper.cache / f'{own}.made'}",
            f"folder /run/dms-harness/{own}",
            f"folder {keeper.cache / f'build-{own}-b.tmp'}",
            f"folder {keeper.cache / f'build-{own}-m.tmp'}",
            f"snapshot build-{own}-b",
            f"snapshot machine-{own}-m1",
        ]
    )


def test_a_keeper_that_does_not_come_to_an_end_is_named(keeper: Keeper) -> None:
    keeper._process.send_signal(signal.SIGSTOP)
    assert keeper.close(within=0.1) == (
        f"the keeper (process {keeper._process.pid}) still works after 0 s"
    )
    keeper._process.send_signal(signal.SIGCONT)
    assert keeper._process.wait(30) == 0


def test_snapshots_that_no_ledger_lists_are_removed_as_well(tmp_path: Path) -> None:
    # As after a crash of the computer, which may lose a ledger's last lines.
    first = Keeper(tmp_path, "t")
    machine_of(first).start()
    first._process.kill()
    first._process.wait(30)
    for ledger in (tmp_path / "ledger").iterdir():
        ledger.unlink()
    shutil.rmtree(f"/run/dms-harness/{first.owner}")
    cgroups.remove(f"machine-{first.owner}-m1")
    assert swept_by_next(tmp_path) == [f"snapshot machine-{first.owner}-m1"]


def test_a_keeper_leaves_what_belongs_to_its_neighbours(keeper: Keeper) -> None:
    threads = busy(keeper)
    neighbour = Keeper(keeper.cache, "t")
    assert neighbour.call("hello")["swept"] == []
    assert (store_of(neighbour) / f"build-{keeper.owner}-b").is_dir()
    assert neighbour.close() == ""
    assert cgroups.processes(f"build-{keeper.owner}-b") != []
    keeper.close()
    for thread in threads:
        thread.join(30)


@pytest.mark.parametrize("milliseconds", [0, 5, 15, 60])
def test_a_run_that_ends_while_a_machine_starts_leaves_nothing(
    milliseconds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A computer on which a snapshot takes its time.
    (btrfs := tmp_path / "btrfs").write_text(
        f'#!/bin/sh\n[ "$2" = snapshot ] && sleep 0.15\nexec {shutil.which("btrfs")} "$@"\n'
    )
    btrfs.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    keeper = Keeper(tmp_path / "cache", "t")
    machine = machine_of(keeper)

    def start() -> None:
        with contextlib.suppress(OSError, HostError):  # it may also be in time
            machine.start()

    starting = threading.Thread(target=start)
    starting.start()
    time.sleep(milliseconds / 1000)
    assert keeper.close() == ""
    starting.join(30)
    assert until(lambda: not left_of(keeper.owner, keeper.cache))
    assert swept_by_next(keeper.cache) == []


def test_an_owner_whose_run_was_killed_at_birth_is_swept(tmp_path: Path) -> None:
    # Only the first bytes of its ledger were written.
    (tmp_path / "ledger").mkdir()
    (tmp_path / "ledger" / "t-1-abcd.jsonl").write_text('["+", "fold')
    assert swept_by_next(tmp_path) == []


# -- asking ----------------------------------------------------------------------------------------


def test_asking_a_dead_keeper_is_an_error_with_a_hint(keeper: Keeper) -> None:
    keeper._process.kill()
    with pytest.raises(HostError, match="keeper") as raised:
        keeper.call("hello")
    assert "dms-harness clean" in raised.value.hint
    keeper._process.wait(30)
    with pytest.raises(HostError, match="the keeper is gone"):
        keeper.call("hello")
    assert "status -9" in keeper.close()
    swept_by_next(keeper.cache)


def test_asking_after_a_runtime_folder_was_removed_is_an_error_with_a_hint(keeper: Keeper) -> None:
    shutil.rmtree(f"/run/dms-harness/{keeper.owner}")
    with pytest.raises(HostError, match="the keeper is gone"):
        keeper.call("hello")


def test_a_keeper_that_dies_while_it_is_asked_is_named_with_the_question(keeper: Keeper) -> None:
    with pytest.raises(HostError, match="ended while it was asked for 'bootstrap'") as raised:
        keeper.call(
            "bootstrap",
            lambda _: keeper._process.kill(),
            name="b",
            final="f",
            notes={},
            command=ENDLESS,
        )
    assert "dms-harness clean" in raised.value.hint
    keeper._process.wait(30)
    swept_by_next(keeper.cache)


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (b"rubbish\n", "JSONDecodeError"),
        (b"\xff\xfe\n", "UnicodeDecodeError"),
        (b"[]\n", "TypeError"),
        (b"{}\n", "KeyError"),
        (b'{"verb": "nonsense"}\n', "do_nonsense"),
        (b'{"verb": "stamp"}\n', "missing 1 required"),
        (b'{"verb": "stamp", "name": 1, "more": 2}\n', "unexpected keyword"),
        (b'{"verb": "stamp", "name": []}\n', "stamp"),
        (b'{"verb": "machine", "name": "none"}\n', "KeyError: 'none'"),
        (b'{"verb": "socket", "name": "none", "family": 2, "kind": 1}\n', "missing"),
    ],
)
def test_a_malformed_request_is_answered_and_does_not_hurt(
    keeper: Keeper, request_: bytes, said: str
) -> None:
    answer = json.loads(raw(keeper, request_))["result"]
    if "error" not in answer:
        assert answer == {"stamp": None}
    else:
        assert said in answer["error"]
    assert keeper.call("hello")["swept"] == []


def test_clients_that_hang_up_at_any_moment_do_not_hurt(keeper: Keeper) -> None:
    assert raw(keeper, b"") == b""
    assert raw(keeper, b'{"verb": "hel') == b""
    for _ in range(50):
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(keeper.socket))
            line.sendall(b'{"verb": "hello"}\n')
    assert keeper.call("hello")["stuck"] == []


def test_what_an_unknown_verb_is_told_reaches_the_caller(keeper: Keeper) -> None:
    with pytest.raises(OSError, match="do_nonsense"):
        keeper.call("nonsense")


def test_errors_keep_their_number(keeper: Keeper) -> None:
    with pytest.raises(FileNotFoundError):
        keeper.call("make_file", name="m", path="/nowhere/at/all", command=["true"])


def test_many_questions_at_once_are_all_answered(keeper: Keeper) -> None:
    answers: list[dict[str, Any]] = []
    threads = [
        threading.Thread(target=lambda: answers.append(keeper.call("stamp", name="none")))
        for _ in range(40)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert answers == [{"stamp": None}] * 40


def test_a_file_of_the_cache_appears_when_it_is_complete(keeper: Keeper) -> None:
    path = keeper.cache / "made"
    script = 'echo half > "$1"; echo "I: half"; read -t 0.2 nothing < /dev/zero; echo done >> "$1"'
    seen = []
    keeper.call(
        "make_file",
        lambda line: seen.append((line, path.exists())),
        name="m",
        path=str(path),
        command=["bash", "-c", script, "bash", "{target}"],
    )
    assert seen == [("half", False)]
    assert path.read_text() == "half\ndone\n"


def test_a_file_whose_command_fails_does_not_appear_and_can_be_tried_again(keeper: Keeper) -> None:
    path = keeper.cache / "made"
    failing = ["sh", "-c", 'echo half > "$1"; echo why >&2; exit 4', "sh", "{target}"]
    with pytest.raises(OSError, match=r"(?s)sh ended with status 4:.*why"):
        keeper.call("make_file", name="m", path=str(path), command=failing)
    assert [each for each in keeper.cache.iterdir() if "made" in each.name] == []
    keeper.call("make_file", name="m", path=str(path), command=["cp", "/etc/hostname", "{target}"])
    assert path.exists()


def test_braces_in_a_command_are_its_own(keeper: Keeper) -> None:
    command = ["sh", "-c", "echo \"${HOME:+x} $1\" | awk '{print $1}' > $1", "sh", "{target}"]
    keeper.call("make_file", name="m", path=str(keeper.cache / "made"), command=command)


# -- machines --------------------------------------------------------------------------------------


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


# -- rights ----------------------------------------------------------------------------------------

# As sudo does: it stays as the parent, and keeps neither the environment nor open files.
SUDO = """#!/bin/sh
[ "$1" = -n ] && shift
[ "$1" = -- ] && shift
python3 -c 'import os, subprocess, sys
sys.exit(subprocess.run(sys.argv[1:], env={"PATH": os.environ["PATH"]}).returncode)' "$@"
"""


def test_an_ordinary_user_without_sudo_is_told_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(client, "ROOT", False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError, match="not root, and there is no sudo") as raised:
        Keeper(tmp_path / "cache", "t")
    assert "run as root, or install sudo" in raised.value.hint


def test_an_ordinary_user_whose_sudo_wants_a_password_is_told_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sudo = tmp_path / "sudo"
    sudo.write_text("#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n")
    sudo.chmod(0o755)
    monkeypatch.setattr(client, "ROOT", False)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(HostError, match="sudo asks for a password") as raised:
        Keeper(tmp_path / "cache", "t")
    assert "sudo -v" in raised.value.hint


def test_a_real_ordinary_user_is_no_root(tmp_path: Path) -> None:
    code = (
        "import os, sys; sys.path.insert(0, '.')\n"
        "import harness.keeper.client as client\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "client.ROOT = os.geteuid() == 0\n"
        "os.environ['PATH'] = '/nonexistent'\n"
        "try: client.privileged()\n"
        "except client.HostError as error: print(error)"
    )
    said, errors = child(code).communicate()
    assert errors == ""
    assert "not root" in said


def test_a_keeper_works_through_sudo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sudo = tmp_path / "bin" / "sudo"
    sudo.parent.mkdir()
    sudo.write_text(SUDO)
    sudo.chmod(0o755)
    monkeypatch.setattr(client, "ROOT", False)
    monkeypatch.setenv("PATH", str(sudo.parent), prepend=":")
    keeper = Keeper(tmp_path / "cache", "t")
    assert keeper.call("hello")["swept"] == []
    assert keeper.close() == ""
    assert until(lambda: not left_of(keeper.owner, keeper.cache))


def test_only_the_user_of_the_run_may_ask(keeper: Keeper) -> None:
    assert keeper.socket.stat().st_mode & 0o777 == 0o600
    code = (
        "import os, socket, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
    )
    asked = subprocess.run(
        [sys.executable, "-c", code, keeper.socket], capture_output=True, text=True, check=False
    )
    assert "PermissionError" in asked.stderr


def test_a_keeper_needs_the_standard_library_alone(tmp_path: Path) -> None:
    # It runs without site-packages, as another user, on computers that have only this Python.
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); sys.argv = ['keeper']\n"
        "import harness.keeper.server\n"
        "print([name for name in sys.modules if name in ('asyncssh', 'pydantic', 'pytest')])"
    )
    command = [sys.executable, "-I", "-S", "-c", code, str(Path(__file__).parents[2])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_the_store_is_nowhere_on_the_computer_when_all_is_over(tmp_path: Path) -> None:
    keepers = [Keeper(tmp_path, "t") for _ in range(3)]
    for keeper in keepers:
        assert keeper.close() == ""
    assert until(lambda: not loop_devices(tmp_path))
