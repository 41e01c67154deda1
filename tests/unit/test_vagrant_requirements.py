"""What virtual machines need of this computer; what it lacks is told with the remedy."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness import doctor
from harness.errors import HostError
from harness.machines.choice import choose_machine
from harness.machines.options import MachineOptions
from harness.machines.vagrant import accelerator, requirements


def stub(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)


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
