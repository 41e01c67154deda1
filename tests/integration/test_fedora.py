"""A machine made by this computer's dnf, as far as it goes without Fedora; needs root and dnf.

The mirror has signed packages with Fedora's names: one with a small system of Debian's that says it
is Fedora, and empty ones. What Fedora's own need, and whether such a machine boots, it cannot show.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from pathlib import Path

import pytest
from fedora_packages import LIST, MACHINE, say_fedora, spec
from support import NEEDS_ROOT

from harness import cache
from harness.errors import HostError
from harness.keeper.client import Keeper
from harness.machines import fedora, golden
from harness.machines.distros import find
from harness.machines.nspawn import NspawnMachine
from harness.machines.rootfs import ensure_rootfs, rootfs_name

pytestmark = NEEDS_ROOT

FEDORA = find("fedora-44")
ARCHITECTURE = platform.machine()
RELEASE = f"releases/44/Everything/{ARCHITECTURE}/os"
UPDATES = f"updates/44/Everything/{ARCHITECTURE}"
SYSTEM = """\
%global __os_install_post %{nil}
%global _build_id_links none
%global _binaries_in_noarch_packages_terminate_build 0
%global _binary_payload w1.zstdio
Name: system
Version: 44
Release: 1
Summary: -
License: none
BuildArch: noarch
AutoReqProv: no
Provides: /bin/sh
%description
-
%install
tar -C / --one-file-system --exclude=./srv --exclude=./root --exclude=./tmp \\
    --exclude=./usr/lib/sysimage/rpm --exclude=./var/tmp --exclude=./var/lib/rpm \\
    --exclude=./var/lib/apt --exclude=./var/cache -cf - . |
    tar -C %{buildroot} -xf -
%post
test -c /dev/null && : </dev/null && test -e /proc/self/status && test -e /sys/kernel &&
    echo yes >/etc/script-had-all
%files -f /root/files
"""
"""A recipe for a package that has all of the machine it is built on."""
LISTED = """\
# Debian's rpm has its database elsewhere than Fedora's.
mkdir -p /etc/rpm && echo '%_dbpath /usr/lib/sysimage/rpm' >/etc/rpm/macros.fedora
cd / && find . -xdev \\( -path ./srv -o -path ./root -o -path ./tmp \\
    -o -path ./usr/lib/sysimage/rpm -o -path ./var/tmp -o -path ./var/lib/rpm \\
    -o -path ./var/lib/apt -o -path ./var/cache \\) -prune -o -mindepth 1 \\
    \\( -type d -printf '%%dir "/%P"\\n' -o -printf '"/%P"\\n' \\) |
    grep -v -e '^%dir "/\\(proc\\|sys\\|dev\\|run\\)"$' >/root/files
"""
SIGNED = """\
set -e
gpg --batch --passphrase '' --quick-gen-key packager rsa2048 sign never
mkdir -p {mirror}/{release} {mirror}/{updates} {worse}/{release}
gpg --armor --export packager >{mirror}/key
cd /srv/packages/noarch
cp tar-44-1.noarch.rpm {worse}/{release}
rpmsign --define '_gpg_name packager' --addsign *.rpm
mv *.rpm {mirror}/{release}
createrepo_c -q {mirror}/{updates}
cp -n {mirror}/{release}/*.rpm {worse}/{release}
cp -r {mirror}/updates {mirror}/key {worse}
createrepo_c -q {mirror}/{release}
createrepo_c -q {worse}/{release}
"""
"""What makes a mirror, and a worse one with a package that nobody has signed."""


@pytest.fixture(scope="module")
def keeper() -> Iterator[Keeper]:
    keeper = Keeper(cache.folder(), "fedora")
    yield keeper
    assert keeper.close() == ""


@pytest.fixture(scope="module")
def mirrors(keeper: Keeper, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folders like a mirror of Fedora's, with the key that their packages are signed with."""
    login = cache.login(keeper.cache)
    rootfs = ensure_rootfs(keeper, login, print, MACHINE)
    machine = NspawnMachine(keeper, "builder", rootfs, login, {}, golden.USER)
    local = tmp_path_factory.mktemp("fedora")
    try:
        machine.start()
        machine.wait_until_up()
        say_fedora(machine)
        needs = ("%package -n systemd\n", "%package -n systemd\nRequires: system\n")
        machine.write_file("/root/stand-in.spec", spec([*LIST, *FEDORA.more]).replace(*needs))
        machine.write_file("/root/system.spec", SYSTEM)
        machine.succeed(LISTED)
        for recipe in ("stand-in", "system"):
            machine.succeed(
                f"rpmbuild -bb --define '_rpmdir /srv/packages' /root/{recipe}.spec", within=300
            )
        mirrors = {"mirror": "/srv/mirrors/good", "worse": "/srv/mirrors/worse"}
        machine.succeed(SIGNED.format(release=RELEASE, updates=UPDATES, **mirrors), within=120)
        machine.copy_from("/srv/mirrors", local)
    finally:
        assert machine.destroy() == []
    return local / "mirrors"


def take(monkeypatch: pytest.MonkeyPatch, mirror: Path) -> None:
    """Have Fedora's packages come from there."""
    monkeypatch.setattr(fedora, "MIRROR", f"file://{mirror}")
    monkeypatch.setattr(fedora, "KEYS", f"file://{mirror}/key")


def test_machine_has_its_packages_and_boots(
    keeper: Keeper, mirrors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(monkeypatch, mirrors / "good")
    login = cache.login(keeper.cache)
    said: list[str] = []
    name = ensure_rootfs(keeper, login, said.append, distro=FEDORA)
    machine = NspawnMachine(keeper, "f", name, login, {}, golden.USER)
    try:
        assert keeper.call("stamp", name=name)["stamp"]["distro"] == "fedora-44"
        machine.start()
        machine.wait_until_up()
        installed = machine.succeed("rpm -qa --qf '%{NAME}\\n'").split()
        assert sorted(set(installed) - {"gpg-pubkey"}) == sorted([*LIST, *FEDORA.more, "system"])
        assert machine.succeed("cat /etc/script-had-all").strip() == "yes"
        # It would wait a minute for a firewall that is none here.
        waits = "/etc/systemd/system/network-online.target.wants/network-after-firewall.service"
        machine.succeed(f"rm {waits} && systemctl daemon-reload")
        before = list(said)
        golden.provision(machine, said.append)
        assert said == before, "all packages are there"
        assert machine.succeed("id -u", machine.user).strip() == "1000"
    finally:
        assert machine.destroy() == []
        keeper.call("discard", name=name)


def test_package_that_is_not_signed_is_refused(
    keeper: Keeper, mirrors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(monkeypatch, mirrors / "worse")
    login = cache.login(keeper.cache)
    with pytest.raises(HostError, match="the packages of fedora-44 cannot be installed") as raised:
        ensure_rootfs(keeper, login, print, distro=FEDORA)
    assert "tar-44-1.noarch" in raised.value.message
    assert "not signed" in raised.value.message
    assert keeper.call("stamp", name=rootfs_name(login, distro=FEDORA))["stamp"] is None


def test_mirror_that_does_not_answer_is_said(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fedora, "MIRROR", "http://127.0.0.1:9/fedora")
    with pytest.raises(HostError, match="the packages of fedora-44 cannot be installed") as raised:
        ensure_rootfs(keeper, cache.login(keeper.cache), print, distro=FEDORA)
    assert "127.0.0.1:9" in raised.value.message
    assert "DMS_HARNESS_FEDORA_MIRROR" in raised.value.hint
