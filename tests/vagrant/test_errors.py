"""What goes wrong with virtual machines is one clear error, and leaves nothing: real ones."""

from __future__ import annotations

import shlex

import pytest
from computer import PROJECT, Computer

from harness.machines.execution import Completed

pytestmark = pytest.mark.integration

SCENARIO = "rootless_pasta_quadlet-permit_unset"
ERROR_WITHIN = 600.0
LAST_WORDS = "nothing to boot here"
# For the 8086: ds = 0; each byte of the text to the first serial port; halt.
SECTOR = bytes.fromhex("31c0 8ed8 fc baf803 be167c ac 84c0 7403 ee ebf8 f4 ebfd") + (
    LAST_WORDS.encode() + b"\r\n\0"
)
METADATA = '{"provider": "libvirt", "format": "qcow2", "virtual_size": 1}'


def failing(computer: Computer, words: str) -> Completed:
    done = computer.pytest(f"-k {SCENARIO} --runs={PROJECT}/errors {words}", ERROR_WITHIN)
    assert done.status == 4, done.stdout + done.stderr  # pytest's own: nothing was tested
    return done


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            "--vagrant-box nonesuch/box",
            ["the box", "vagrant box add FILE"],
        ),
        (
            "--vagrant-memory 9999999",
            ["there is not enough memory for the virtual machine", "--vagrant-memory 1536"],
        ),
        (
            "--vagrant-accelerator kvm",
            ["this computer has no KVM that works", "--vagrant-accelerator tcg"],
        ),
        ("--vagrant-provider virtualbox", ["VBoxManage is not installed"]),
        ("--vagrant-accelerator warp", ["it takes auto, kvm or tcg"]),
    ],
)
def test_what_cannot_work_is_told_with_the_remedy(
    computer: Computer, words: str, told: list[str]
) -> None:
    said = failing(computer, words)
    text = said.stdout + said.stderr
    assert [each for each in told if each not in text] == [], text


def test_without_libvirt_it_says_what_to_start(computer: Computer) -> None:
    units = "libvirtd.service libvirtd.socket"
    computer.machine.succeed(f"systemctl stop {units}")
    try:
        said = failing(computer, "")
    finally:
        computer.machine.succeed("systemctl start libvirtd.socket")
    assert "libvirt: libvirt does not answer" in said.stderr
    assert "systemctl start libvirtd" in said.stderr


def test_a_machine_that_never_gets_an_address_shows_its_console(computer: Computer) -> None:
    """A box that boots, says one thing on its serial console, and nothing more ever."""
    folder = "/root/empty"
    computer.machine.succeed(
        f"mkdir -p {folder} && cd {folder} && cat > sector"
        " && qemu-img convert -f raw -O qcow2 sector box.img"
        f" && echo {shlex.quote(METADATA)} > metadata.json",
        stdin=SECTOR.ljust(510, b"\0") + b"\x55\xaa",
    )
    computer.machine.succeed(f"cd {folder} && tar -cf ../empty.box metadata.json box.img")
    limited = (
        "import sys, pytest, harness.machines.vagrant.stock as stock;"
        " stock.UP_WITHIN = 45; sys.exit(pytest.main(sys.argv[1:]))"
    )
    done = computer.run(
        f"python3 -c {shlex.quote(limited)} -p harness.plugin -p no:cacheprovider -k {SCENARIO}"
        f" --runs={PROJECT}/errors --machine vagrant --vagrant-box /root/empty.box"
        " --mailserver stand-in",
        ERROR_WITHIN,
    )
    text = done.stdout + done.stderr
    assert done.status == 4, text
    assert "the virtual machine did not come up, or never got an address" in text
    assert f"the end of its console:\n{LAST_WORDS}" in text
    computer.machine.succeed(
        f"rm -r {folder} /root/empty.box; vagrant box remove --force dms-harness-empty"
    )
