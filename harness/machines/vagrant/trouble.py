"""What Vagrant's and libvirt's messages mean, and what to do about them."""

from __future__ import annotations

import re
from typing import Final

KNOWN: Final[tuple[tuple[str, str, str], ...]] = (
    (
        r"The provider '(\S+)' could not be found|provider '(\S+)' that was requested",
        "Vagrant has no provider {0}",
        "vagrant plugin install vagrant-{0}, or your distribution's package vagrant-{0}",
    ),
    (
        r"virConnectOpen failed.*(Permission denied|authentication)|authentication unavailable"
        r"|access denied by policy",
        "libvirt does not let this user in",
        "become a member of its group, and log in again: sudo usermod -aG libvirt $USER",
    ),
    (
        r"virConnectOpen failed|Failed to connect socket to|Cannot recv data",
        "libvirt does not answer",
        "start it: sudo systemctl start libvirtd (or virtqemud.socket virtnetworkd.socket"
        " virtstoraged.socket)",
    ),
    (
        r"The box '([^']+)' could not be found|could not be accessed in the remote catalog",
        "the box {0} is neither here nor in Vagrant's catalog",
        "check --vagrant-box; without a network, add a box by hand: vagrant box add FILE",
    ),
    (
        r"An error occurred while downloading the remote file|Couldn't open file (\S+)",
        "the box cannot be downloaded",
        "is the network there? or build one from packages: --vagrant-box debian-13",
    ),
    (
        r"[Cc]annot set up guest memory|Cannot allocate memory|failed to allocate memory",
        "there is not enough memory for the virtual machine",
        "free some, or give it less: --vagrant-memory 1536",
    ),
    (
        r"[Cc]ould not access KVM kernel module|failed to initialize kvm|KVM is not available"
        r"|invalid argument: could not find capabilities for domaintype=kvm"
        r"|does not support (?:domain type kvm|virt(?:ualization)? type 'kvm')",
        "this computer has no KVM that works",
        "--vagrant-accelerator tcg works without, slowly",
    ),
    (
        r"[Nn]o space left on device|There is not enough space",
        "the disk is full",
        "free some space where libvirt keeps its images (/var/lib/libvirt/images)",
    ),
    (
        r"Kernel panic",
        "the virtual machine's kernel gave up while it booted",
        "its console says why; another box? --vagrant-box",
    ),
    (
        r"The specified wait_for timeout|Timed out while waiting for the machine to boot"
        r"|error occurred while.*IP address|did not end within",
        "the virtual machine did not come up, or never got an address",
        "its console says why",
    ),
    (
        r"Another process is already executing an action|locked by another",
        "another Vagrant works on this machine",
        "wait for it, or end it",
    ),
)
"""Pattern, what it means, and the remedy; `{0}` is what the pattern's group matched."""


def explain(said: str) -> tuple[str, str] | None:
    """What a failure means and the remedy, where it is one of the known ones.

    Args:
        said: the last lines of Vagrant's output.
    """
    for pattern, meaning, remedy in KNOWN:
        found = re.search(pattern, said)
        if found:
            word = next((group for group in found.groups() if group), "")
            return meaning.format(word), remedy.format(word)
    return None
