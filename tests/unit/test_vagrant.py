"""Virtual machines, as far as no virtual machine is needed."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness import doctor
from harness.errors import HostError
from harness.keeper.vm import OutsideSpec, remove_link
from harness.machines.choice import choose_machine
from harness.machines.options import CONSENT, MachineOptions, words_of
from harness.machines.stock import Network
from harness.machines.vagrant import accelerator, network, requirements
from harness.machines.vagrant.box import PREFIX, find_box
from harness.machines.vagrant.command import ssh_settings
from harness.machines.vagrant.trouble import explain

NOBODY: Any = None
MAC = "52:54:00:12:34:56"


def stub(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)


# -- which kind of machine ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked_for", "told"),
    [
        ("vagrnt", "did you mean vagrant"),
        ("docker", "it takes auto, nspawn, vagrant, ssh"),
        ("ssh:", "which host"),
        ("ssh", "which host"),
        ("ssh:me@mail.example.com", CONSENT),
    ],
)
def test_a_machine_that_cannot_be_meant_is_one_clear_error(asked_for: str, told: str) -> None:
    with pytest.raises(HostError) as error:
        choose_machine(MachineOptions(machine=asked_for))
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("nspawn", "vagrant", "kvm", "kind"),
    [
        (True, True, True, "nspawn"),
        (True, False, False, "nspawn"),
        (False, True, True, "vagrant"),
        # Ten times as slow is nothing that one gets without having asked for it.
        (False, True, False, None),
        (False, False, True, None),
    ],
)
def test_auto_takes_what_can_run_and_is_quick(
    monkeypatch: pytest.MonkeyPatch, nspawn: bool, vagrant: bool, kvm: bool, kind: str | None
) -> None:
    in_the_way = doctor.Finding("btrfs", False, "not in the kernel", "another kernel")
    monkeypatch.setattr(doctor, "problems", lambda: [] if nspawn else [in_the_way])
    monkeypatch.setattr(requirements, "examine", lambda _: iter([] if vagrant else [in_the_way]))
    monkeypatch.setattr(
        requirements, "accelerator", lambda: doctor.Finding("KVM", kvm, "tried", "none")
    )
    if kind is None:
        with pytest.raises(HostError, match="btrfs: not in the kernel → another kernel"):
            choose_machine(MachineOptions())
    else:
        chosen = choose_machine(MachineOptions())
        assert chosen.kind == kind
        assert kind == "nspawn" or "btrfs: not in the kernel" in chosen.why


def test_a_missing_vagrant_is_told_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    stub(tmp_path, "apt-get", "")
    monkeypatch.setattr(doctor, "FOR_VM", ())
    with pytest.raises(HostError) as error:
        choose_machine(MachineOptions(machine="vagrant"))
    assert "vagrant: not installed → apt-get install vagrant vagrant-libvirt" in str(error.value)


@pytest.mark.parametrize(
    ("plugins", "virsh", "told"),
    [
        ("vagrant-qemu (0.3.1)", "exit 0", "vagrant-libvirt: Vagrant has no such plugin"),
        (
            "vagrant-libvirt (0.12.2, system)",
            "echo 'error: authentication unavailable: no polkit agent' >&2; exit 1",
            "libvirt does not let this user in → become a member of its group",
        ),
        (
            "vagrant-libvirt (0.12.2, system)",
            "echo \"error: Failed to connect socket to '/var/run/libvirt/libvirt-sock':"
            ' No such file or directory" >&2; exit 1',
            "libvirt does not answer → start it",
        ),
    ],
)
def test_what_libvirt_lacks_is_told_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, plugins: str, virsh: str, told: str
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(doctor, "FOR_VM", ())
    stub(tmp_path, "vagrant", f"echo '{plugins}'")
    stub(tmp_path, "virsh", virsh)
    with pytest.raises(HostError) as error:
        choose_machine(MachineOptions(machine="vagrant"))
    assert told in str(error.value)


def test_where_nothing_is_missing_vagrant_is_chosen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(doctor, "FOR_VM", ())
    stub(tmp_path, "vagrant", "echo 'vagrant-libvirt (0.12.2, system)'")
    stub(tmp_path, "virsh", "echo qemu:///system")
    assert choose_machine(MachineOptions(machine="vagrant")).kind == "vagrant"


def test_a_provider_that_does_not_exist_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "FOR_VM", ())
    monkeypatch.setattr(requirements, "_vagrant", lambda: doctor.Finding("vagrant", True, "there"))
    found = [each for each in requirements.examine("vmware") if not each.good]
    assert [(each.what, each.seen) for each in found] == [("provider", "vmware: unknown")]


# -- KVM ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "boots", "told"),
    [
        (f"exit {accelerator._STATUS}", True, "KVM boots"),
        # What QEMU says where the device is there and cannot be used.
        (
            "echo 'failed to initialize kvm: Permission denied' >&2; exit 1",
            False,
            "does not boot: failed to initialize kvm: Permission denied",
        ),
        ("exit 0", False, "QEMU ended with status 0"),
    ],
)
def test_kvm_is_what_boots(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, boots: bool, told: str
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    stub(tmp_path, "qemu-system-x86_64", script)
    seen, said = accelerator._boots("qemu-system-x86_64")
    assert (seen, told in said) == (boots, True)


def test_what_never_boots_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(accelerator, "_BOOTED_WITHIN", 0.2)
    stub(tmp_path, "qemu-system-x86_64", "exec sleep 60")
    assert accelerator._boots("qemu-system-x86_64") == (
        False,
        "/dev/kvm is there, but nothing boots within 0 s",
    )


# -- boxes and Vagrant's words -----------------------------------------------------------------


def test_a_box_file_has_a_name_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.box"
    file.touch()
    box = find_box(str(file), NOBODY, NOBODY, print)
    assert (box.name, box.url, box.is_here) == (f"{PREFIX}mine", file.as_uri(), True)


def test_a_box_file_that_is_not_there_is_told() -> None:
    with pytest.raises(HostError, match=r"--vagrant-box ./none.box: no such file"):
        find_box("./none.box", NOBODY, NOBODY, print)


@pytest.mark.parametrize(
    ("said", "meaning", "remedy"),
    [
        (
            "The provider 'libvirt' could not be found, but was requested to\nback the machine",
            "Vagrant has no provider libvirt",
            "vagrant plugin install vagrant-libvirt",
        ),
        (
            "Error while connecting to Libvirt: Error making a connection to libvirt URI"
            " qemu:///system:\nCall to virConnectOpen failed: Failed to connect socket to"
            " '/var/run/libvirt/libvirt-sock': Permission denied",
            "libvirt does not let this user in",
            "usermod -aG libvirt",
        ),
        (
            "Call to virConnectOpen failed: Failed to connect socket to"
            " '/var/run/libvirt/libvirt-sock': No such file or directory",
            "libvirt does not answer",
            "systemctl start libvirtd",
        ),
        (
            "The box 'nonesuch/box' could not be found or\ncould not be accessed in the remote"
            " catalog.",
            "the box nonesuch/box is neither here nor in Vagrant's catalog",
            "vagrant box add FILE",
        ),
        (
            "An error occurred while downloading the remote file. The error\nmessage, if any, is"
            " reproduced below.\n\nCould not resolve host: download.fedoraproject.org",
            "the box cannot be downloaded",
            "--vagrant-box debian-13",
        ),
        (
            "Call to virDomainCreateWithFlags failed: internal error: process exited while"
            " connecting to monitor: qemu-system-x86_64: cannot set up guest memory 'pc.ram':"
            " Cannot allocate memory",
            "there is not enough memory",
            "--vagrant-memory",
        ),
        (
            "Call to virDomainDefineXML failed: unsupported configuration: Emulator"
            " '/usr/bin/qemu-system-x86_64' does not support virt type 'kvm'",
            "this computer has no KVM that works",
            "--vagrant-accelerator tcg",
        ),
        (
            "qemu-system-x86_64: failed to initialize kvm: No such device",
            "this computer has no KVM that works",
            "--vagrant-accelerator tcg",
        ),
        ("write: No space left on device", "the disk is full", "/var/lib/libvirt/images"),
        (
            "vagrant up did not end within 900 s",
            "did not come up, or never got an address",
            "its console says why",
        ),
    ],
)
def test_what_vagrant_says_is_explained(said: str, meaning: str, remedy: str) -> None:
    explained = explain(said)
    assert explained is not None
    assert meaning in explained[0]
    assert remedy in explained[1]


def test_what_is_not_known_is_not_explained() -> None:
    assert explain("vagrant ended with status 1: Something else altogether") is None


def test_both_keys_of_a_newer_vagrant_are_tried() -> None:
    settings = ssh_settings(
        [
            "Host vm",
            "  HostName 192.168.121.5",
            "  IdentityFile /a.ed25519",
            "  IdentityFile /b.rsa",
        ]
    )
    assert settings["HostName"] == "192.168.121.5"
    assert settings["IdentityFile"].splitlines() == ["/a.ed25519", "/b.rsa"]


# -- the network -------------------------------------------------------------------------------


def test_names_of_links_fit_the_kernel() -> None:
    spec = OutsideSpec("machine-run-1234567-abcd-vm", [], [])
    assert len(f"{spec.bridge}p") <= 15
    assert spec.bridge != OutsideSpec("machine-run-1234567-abce-vm", [], []).bridge


def test_a_link_that_is_not_there_is_not_removed() -> None:
    assert remove_link("dms-nonesuch") is False


@pytest.mark.parametrize(
    ("asked_for", "has", "has_not"),
    [
        (Network(), ["203.0.113.10/25", "2001:db8:0:1::10/64", "name enp1s0"], ["macvlan"]),
        (Network(families=(4,)), ["203.0.113.10/25"], ["2001:db8", "nodad"]),
        (Network(families=(6,)), ["2001:db8:0:1::10/64"], ["203.0.113", "198.51.100"]),
        (
            Network("eth7", (4, 6), "eth8"),
            ["name eth7", "link eth7 name eth8 type macvlan", "192.0.2.10/24 dev eth8"],
            ["enp1s0"],
        ),
    ],
)
def test_a_machine_gets_the_network_that_is_asked_for(
    asked_for: Network, has: list[str], has_not: list[str]
) -> None:
    script = network.script(asked_for, MAC)
    subprocess.run(["sh", "-n"], input=script, text=True, check=True)
    assert [text for text in has if text not in script] == []
    assert [text for text in has_not if text in script] == []
    assert f"= {MAC} ]" in script


@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
def test_the_script_gives_an_interface_its_name_and_addresses(tmp_path: Path) -> None:
    """In a namespace, where the two interfaces are veths and /sys is a folder of the test's."""
    here = tmp_path / "net"
    for name, mac in (("lan0", MAC), ("mgmt", "52:54:00:00:00:01")):
        (here / name / "device").mkdir(parents=True)
        (here / name / "address").write_text(f"{mac}\n", encoding="ascii")
    resolv = tmp_path / "resolv.conf"
    script = (
        network.script(Network("enp1s0", (4, 6), "enp2s0"), MAC)
        .replace("/sys/class/net", str(here))
        .replace("/etc/resolv.conf", str(resolv))
        .replace("type macvlan mode bridge", "type veth peer name other2")
    )
    setup = (
        "ip link add lan0 type veth peer name other0; ip link set other0 up;"
        " ip link add mgmt type veth peer name other1; ip link set mgmt up;"
        " ip addr add 10.9.9.9/24 dev mgmt;"
    )
    done = subprocess.run(
        [
            *("unshare", "--net", "sh", "-euc"),
            f"{setup} sh -s; ip -brief address; ip route; ip -6 route",
        ],
        input=script,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = {line.split()[0].partition("@")[0]: line for line in done.stdout.splitlines()}
    assert "203.0.113.10/25" in lines["enp1s0"]
    assert "2001:db8:0:1::10/64" in lines["enp1s0"]
    assert "192.0.2.10/24" in lines["enp2s0"]
    assert "DOWN" in lines["vagrant0"]
    assert "default via 203.0.113.1 dev enp1s0" in done.stdout
    assert "10.9.9.9" not in done.stdout.partition("default")[2]
    assert "nameserver 198.51.100.53" in resolv.read_text(encoding="ascii")
    assert stat.S_ISREG(resolv.stat().st_mode)


def test_a_line_to_paste_says_what_was_asked_for() -> None:
    assert words_of(MachineOptions()) == []
    assert words_of(MachineOptions(machine="vagrant", box="debian-13", memory=4096)) == [
        "--machine=vagrant",
        "--vagrant-box=debian-13",
        "--vagrant-memory=4096",
    ]
    assert words_of(MachineOptions(machine="ssh:me@host", consent=True)) == [
        "--machine=ssh:me@host",
        CONSENT,
    ]
