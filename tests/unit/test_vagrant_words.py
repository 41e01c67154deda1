"""What Vagrant says, and what is understood of it."""

from __future__ import annotations

import pytest

from harness.machines.vagrant.command import ssh_settings
from harness.machines.vagrant.trouble import explain


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
