"""What this computer needs for virtual machines, and what to do where it lacks something."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from typing import Final

from harness import doctor
from harness.doctor import Finding
from harness.machines.vagrant.accelerator import kvm_boots
from harness.machines.vagrant.trouble import explain

PROVIDERS: Final = ("libvirt", "virtualbox", "qemu")
"""In the order in which they are taken where none is asked for."""
HYPERVISOR: Final = {"libvirt": "virsh", "virtualbox": "VBoxManage", "qemu": "qemu-system-x86_64"}
"""The command that is there where a provider's own software is."""
ASKED_WITHIN: Final = 60.0
"""Seconds that Vagrant or libvirt may take to answer a question."""


def _ask(*command: str) -> tuple[int, str]:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=ASKED_WITHIN, check=False
        )
    except FileNotFoundError:
        return 127, f"{command[0]} is not installed"
    except subprocess.TimeoutExpired:
        return 124, f"{' '.join(command)} does not answer within {ASKED_WITHIN:.0f} s"
    return done.returncode, (done.stdout + done.stderr).strip()


def _vagrant() -> Finding:
    there = shutil.which("vagrant") is not None
    install = "apt-get install vagrant vagrant-libvirt libvirt-daemon-system qemu-system-x86"
    if shutil.which("apt-get") is None:
        install = "dnf install vagrant vagrant-libvirt @virtualization"
    return Finding("vagrant", there, "there" if there else "not installed", install)


def installed_plugins() -> set[str]:
    """The providers beside VirtualBox that Vagrant has plugins for, the distribution's included."""
    _, said = _ask("vagrant", "plugin", "list")
    return {name for name in PROVIDERS if f"vagrant-{name}" in said}


def choose_provider(asked_for: str) -> str:
    """The provider that is asked for, or the first whose own software is here; libvirt if none."""
    if asked_for:
        return asked_for
    return next((name for name in PROVIDERS if shutil.which(HYPERVISOR[name])), PROVIDERS[0])


def _provider(provider: str) -> Iterator[Finding]:
    if provider not in PROVIDERS:
        yield Finding(
            "provider", False, f"{provider}: unknown", f"it is one of {', '.join(PROVIDERS)}"
        )
        return
    tool = HYPERVISOR[provider]
    if shutil.which(tool) is None:
        yield Finding(provider, False, f"{tool} is not installed", f"install {provider}")
        return
    if provider != "virtualbox":
        there = provider in installed_plugins()
        yield Finding(
            f"vagrant-{provider}",
            there,
            "there" if there else "Vagrant has no such plugin",
            f"your distribution's package vagrant-{provider}, or: vagrant plugin install"
            f" vagrant-{provider}",
        )
    if provider == "libvirt":
        status, said = _ask("virsh", "--connect", "qemu:///system", "uri")
        meaning, remedy = explain(f"virConnectOpen failed: {said}") or (said, "")
        yield Finding("libvirt", status == 0, "answers" if status == 0 else meaning, remedy)


def examine(provider: str) -> Iterator[Finding]:
    """Look at everything that virtual machines need, in the order in which it is needed.

    Args:
        provider: the one that was asked for, or empty.
    """
    yield from doctor.examine_for_vm()
    vagrant = _vagrant()
    yield vagrant
    if vagrant.good:
        yield from _provider(choose_provider(provider))


def accelerator() -> Finding:
    """Whether virtual machines are fast here; without they work, slowly."""
    boots, seen = kvm_boots()
    return Finding("KVM", boots, seen, "none needed: it works without, about ten times as slowly")
