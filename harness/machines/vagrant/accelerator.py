"""Whether KVM works here: found out by booting something with it.

`/dev/kvm` can be there, and even open, where nothing boots: in containers, and in virtual machines
whose own host does not nest.
"""

from __future__ import annotations

import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Final, Literal

Accelerator = Literal["kvm", "tcg"]

_EXIT_PORT: Final = 0xF4
_VALUE: Final = 0x10
_STATUS: Final = _VALUE << 1 | 1
"""QEMU's exit status when that value is written to its isa-debug-exit device."""
_BOOTED_WITHIN: Final = 20.0
"""Seconds for the firmware and one sector; it takes less than one with KVM."""

# mov al, VALUE; out PORT, al; hlt; and back to the hlt.
_SECTOR: Final = (
    bytes([0xB0, _VALUE, 0xE6, _EXIT_PORT, 0xF4, 0xEB, 0xFD]).ljust(510, b"\0") + b"\x55\xaa"
)
QEMU: Final = ("qemu-system-x86_64", "/usr/libexec/qemu-kvm")


@cache
def kvm_boots() -> tuple[bool, str]:
    """Whether QEMU boots a sector of ours with KVM; and what was seen, in words."""
    if not Path("/dev/kvm").is_char_device():
        return False, "there is no /dev/kvm"
    for qemu in QEMU:
        try:
            return _boots(qemu)
        except FileNotFoundError:
            continue
    return False, "QEMU is not installed"


def _boots(qemu: str) -> tuple[bool, str]:
    with tempfile.NamedTemporaryFile(prefix="dms-kvm-") as disk:
        disk.write(_SECTOR)
        disk.flush()
        command = [
            *(qemu, "-accel", "kvm", "-M", "q35", "-m", "32", "-display", "none", "-nodefaults"),
            *("-device", f"isa-debug-exit,iobase={_EXIT_PORT:#x},iosize=1"),
            *("-drive", f"file={disk.name},format=raw,if=ide,readonly=off"),
        ]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=_BOOTED_WITHIN,
                check=False,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired:
            return False, f"/dev/kvm is there, but nothing boots within {_BOOTED_WITHIN:.0f} s"
    if done.returncode == _STATUS:
        return True, "KVM boots"
    said = (done.stderr.strip().splitlines() or [f"QEMU ended with status {done.returncode}"])[-1]
    return False, f"/dev/kvm is there, but does not boot: {said}"
