"""Which distributions there are, how they are asked for, and what their root file systems are."""

from __future__ import annotations

import dataclasses
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from harness import doctor
from harness.errors import HostError
from harness.machines import choice, distros, fedora, golden, rootfs
from harness.machines.choice import choose_machine
from harness.machines.debian import package_list
from harness.machines.distros import DEBIAN_12, DEBIAN_13, DEBIAN_FORKY, DEFAULT, find
from harness.machines.execution import Completed
from harness.machines.golden import RUNTIME
from harness.machines.options import MachineOptions, words_of
from harness.machines.rootfs import PACKAGES, rootfs_name
from harness.machines.shell import Login
from harness.machines.stock import ROOTFUL
from harness.machines.vagrant import requirements


@pytest.fixture
def login(tmp_path: Path) -> Login:
    (tmp_path / "key.pub").write_text("ssh-ed25519 AAAA dms-harness\n")
    return Login(tmp_path / "key", None)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder that looks like the root file system of a container image: it has no systemd."""
    folder = tmp_path / "own"
    os_release = folder / "etc" / "os-release"
    os_release.parent.mkdir(parents=True)
    os_release.write_text("ID=debian\n")
    return folder


def test_names_and_the_default() -> None:
    assert find("") is DEFAULT is DEBIAN_13
    assert {name: find(name) for name in distros.KNOWN} == dict(distros.KNOWN)
    for each in distros.KNOWN.values():
        assert each.about
        assert all([*each.more.values(), *each.apt.values()]), "a difference has its reason"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("debian12", "did you mean debian-12?"),
        ("debian-frky", "did you mean debian-forky?"),
        ("windows", "it takes debian-12, debian-13, debian-forky, fedora-44, rootfs:PATH"),
        ("fedora", "did you mean fedora-44?"),
        ("fedora-rawhide", "did you mean fedora-44?"),
        ("rootfs:", "a tar file or a folder"),
        ("rootfs:/nowhere", "a tar file or a folder"),
        ("/", "did you mean rootfs:/?"),
    ],
)
def test_what_does_not_exist_is_one_clear_error(name: str, says: str) -> None:
    with pytest.raises(HostError) as raised:
        choose_machine(MachineOptions(machine="nspawn", distro=name))
    assert f"--distro {name}: no such" in raised.value.message
    assert "\n" not in raised.value.message
    assert says in raised.value.hint


@pytest.mark.parametrize("machine", ["vagrant", "ssh:me@host"])
def test_other_kinds_name_their_own_option(machine: str) -> None:
    with pytest.raises(HostError, match="--distro debian-12") as raised:
        choose_machine(MachineOptions(machine=machine, distro="debian-12", consent=True))
    assert "--vagrant-box" in raised.value.hint


def test_a_distribution_that_was_asked_for_is_no_virtual_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lacking = doctor.Finding("btrfs", False, "not in the kernel", "another kernel")
    monkeypatch.setattr(doctor, "problems", lambda: [lacking])
    monkeypatch.setattr(choice, "_vagrant_problems", lambda _: [])
    kvm = doctor.Finding("KVM", True, "it boots")
    monkeypatch.setattr(requirements, "accelerator", lambda: kvm)
    assert choose_machine(MachineOptions()).kind == "vagrant"
    with pytest.raises(HostError, match="embedded machine cannot run"):
        choose_machine(MachineOptions(distro="debian-12"))


def test_command_line_carries_it() -> None:
    assert words_of(MachineOptions(distro="debian-12")) == ["--distro=debian-12"]
    asked = MachineOptions(machine="nspawn", distro="rootfs:/a b")
    assert words_of(asked) == ["--machine=nspawn", "--distro=rootfs:/a b"]


def test_each_has_a_root_file_system_of_its_own(login: Login) -> None:
    names = {rootfs_name(login, distro=each) for each in distros.KNOWN.values()}
    assert len(names) == len(distros.KNOWN)
    assert rootfs_name(login) == rootfs_name(login, distro=DEFAULT)
    later = dataclasses.replace(DEFAULT, release="duke")
    assert rootfs_name(login, distro=later) != rootfs_name(login)


def test_differences_reach_the_package_manager(login: Login) -> None:
    def command(distro: distros.Distro) -> list[str]:
        return rootfs._of_packages(distro, login, None)

    for distro in (DEBIAN_12, DEBIAN_13, DEBIAN_FORKY):
        words = command(distro)
        assert words[words.index("{target}") - 1] == distro.release
        (included,) = (word for word in words if word.startswith("--include="))
        assert ("runc" in included.split(",")) is (distro is DEBIAN_12)
        assert ("--aptopt=Acquire::Check-Valid-Until false" in words) is (distro is DEBIAN_FORKY)


def test_any_release_of_fedora_is_one(login: Login) -> None:
    assert find("fedora-44") == distros.KNOWN["fedora-44"]
    later = find("fedora-45")
    assert (later.name, later.release, later.how) == ("fedora-45", "45", "dnf")
    words = rootfs._COMMANDS[later.how](later, login, None)
    at = words.index(str(fedora.INSTALL))
    target, release, sources, *packages = words[at + 1 :]
    assert (target, release) == ("{target}", "45")
    assert packages == [*package_list(PACKAGES, "fedora"), *later.more]
    assert "docker-distribution" in packages
    assert sources.count("gpgcheck=1") == sources.count("metalink=https://") == 2


def test_packages_of_fedora_come_from_the_mirror_that_is_named(
    login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    suggested = rootfs_name(login, distro=distros.fedora(44))
    monkeypatch.setattr(fedora, "MIRROR", "https://mirror.example/fedora/linux/")
    sources = fedora.repositories()
    assert "metalink" not in sources
    folder = "https://mirror.example/fedora/linux"
    assert f"baseurl={folder}/releases/$releasever/Everything/$basearch/os/" in sources
    assert f"baseurl={folder}/updates/$releasever/Everything/$basearch/" in sources
    assert fedora.index("44").startswith(f"{folder}/releases/44/Everything/")
    assert rootfs_name(login, distro=distros.fedora(44)) != suggested


def test_fedora_without_dnf_is_one_clear_error(
    login: Login, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    keeper = SimpleNamespace(cache=tmp_path, call=lambda *_, **__: {"stamp": None})
    with pytest.raises(HostError, match="fedora-44 is made by dnf and rpmkeys: missing") as raised:
        rootfs.ensure_rootfs(cast("Any", keeper), login, print, distro=distros.fedora(44))
    assert "apt-get install dnf rpm" in raised.value.hint


def test_an_own_one_is_made_again_when_a_file_of_it_changes(login: Login, own: Path) -> None:
    def name() -> str:
        return rootfs_name(login, distro=find(f"rootfs:{own}"))

    first = name()
    assert name() == first
    file = own / "etc" / "os-release"
    file.write_text("ID=debian \n")
    second = name()
    assert second != first
    file.write_text("ID=fedora \n")  # of the same length
    os.utime(file, ns=(1, 1))
    assert name() != second


def unpacked(source: Path, target: Path, *then: str) -> Any:
    """What is done to a user's root file system, with a hook that writes down what it is given."""
    target.mkdir()
    hook = target.parent / "hook"
    hook.write_text('#!/bin/sh\nprintf "%s|" "$@" >"$1/hooked"\n')
    hook.chmod(0o755)
    return subprocess.run(
        ["sh", "-euc", rootfs._UNPACK, "unpack", source, target, hook, "the key", "units", *then],
        capture_output=True,
        text=True,
        check=False,
    )


INSTALLS = """\
cd "$0" && [ -e etc/os-release ] && [ ! -e hooked ]
install -D -m 755 /dev/null lib/systemd/systemd
echo "goes on"
"""
"""What installs systemd before the root file system is readied for its boot."""


@pytest.mark.parametrize("as_tar", [True, False])
def test_an_own_one_is_unpacked_completed_and_readied(
    own: Path, tmp_path: Path, as_tar: bool
) -> None:
    source, target = own, tmp_path / "target"
    if as_tar:
        source = tmp_path / "own.tar.gz"
        subprocess.run(["tar", "-C", own, "-czf", source, "."], check=True)
    done = unpacked(source, target, "sh", "-ec", INSTALLS, str(target))
    assert (done.returncode, done.stdout, done.stderr) == (0, "goes on\n", "")
    assert (target / "hooked").read_text() == f"{target}|the key|units|"


def test_one_that_still_has_no_systemd_is_named(own: Path, tmp_path: Path) -> None:
    done = unpacked(own, tmp_path / "target", "echo", "goes on")
    assert (done.returncode, done.stdout) == (1, "goes on\n")
    assert f"{own} has no usr/lib/systemd/systemd" in done.stderr
    assert not (tmp_path / "target" / "hooked").exists()


def test_what_is_no_root_file_system_is_named(own: Path, tmp_path: Path) -> None:
    (own / "etc" / "os-release").unlink()
    done = unpacked(own, tmp_path / "target", "echo", "goes on")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{own} has no etc/os-release: not a whole root file system" in done.stderr


def test_where_installing_fails_nothing_goes_on(own: Path, tmp_path: Path) -> None:
    done = unpacked(own, tmp_path / "target", "sh", "-c", "echo no mirror >&2; exit 3")
    assert (done.returncode, done.stderr) == (3, "no mirror\n")
    assert not (tmp_path / "target" / "hooked").exists()


def test_an_own_one_gets_the_packages_and_no_more(login: Login, own: Path) -> None:
    words = rootfs._of_own(find(f"rootfs:{own}"), login, None)
    assert words[:2] == ["sh", "-euc"]
    inside = words[words.index("systemd-nspawn") :]
    assert "--directory={target}" in inside
    assert inside[-4:] == ["-", "-", PACKAGES.read_text(), "packages"]


class Starts:
    """A machine whose root's containers are started by some programs only."""

    def __init__(self, *able: str, there: tuple[str, ...]) -> None:
        self.able, self.there = able, there
        self.files: dict[str, str] = {}

    def run(self, command: str) -> Completed:
        """Answers the two questions that are asked."""
        if command == "command -v runc":
            return Completed(command, "", "", 0 if "runc" in self.there else 1, 0.0)
        assert command == ROOTFUL
        usual = 'runtime = "runc"' not in self.files.get(RUNTIME, "")
        works = ("crun" if usual else "runc") in self.able
        return Completed(command, "yes\n" if works else "Error: setrlimit\n", "", 0, 0.0)

    def succeed(self, command: str) -> str:
        """Removes the file, or makes its folder."""
        if command == f"rm {RUNTIME}":
            del self.files[RUNTIME]
        return ""

    def write_file(self, remote: str, content: str) -> None:
        """Keeps it."""
        self.files[remote] = content


@pytest.mark.parametrize(
    ("machine", "by_runc"),
    [
        (Starts("crun", "runc", there=("crun", "runc")), False),
        (Starts("runc", there=("crun", "runc")), True),
        (Starts("runc", there=("crun",)), False),
        (Starts(there=("crun", "runc")), False),
    ],
    ids=["both do", "runc alone does", "runc is not there", "neither does"],
)
def test_another_runtime_is_taken_only_where_it_helps(machine: Starts, by_runc: bool) -> None:
    said: list[str] = []
    golden.settle_runtime(cast("Any", machine), said.append)
    assert (RUNTIME in machine.files) is by_runc
    assert bool(said) is by_runc
    assert all("setrlimit" in line for line in said)
