"""The box: which one is meant, what its disk begins with, and what it is made of."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from harness.errors import HostError
from harness.machines.vagrant.box import BUILT_WITH, PREFIX, find_box
from harness.machines.vagrant_box import (
    PARTITION,
    SECTOR,
    WITH,
    boot_sectors,
    bootstrap,
    ingredients,
)

GIGABYTE = (1 << 30) // SECTOR
NOBODY: Any = None


def test_a_box_file_has_a_name_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.box"
    file.touch()
    box = find_box(str(file), NOBODY, NOBODY, print)
    assert (box.name, box.url, box.is_here) == (f"{PREFIX}mine", file.as_uri(), True)


def test_a_box_file_that_is_not_there_is_told() -> None:
    with pytest.raises(HostError, match=r"--vagrant-box ./none.box: no such file"):
        find_box("./none.box", NOBODY, NOBODY, print)


def test_the_disk_has_one_linux_partition_that_reaches_its_end() -> None:
    boot = bytes(range(256)) * 2
    disk = boot_sectors(boot, b"core", GIGABYTE)
    active, kind, first, sectors = struct.unpack("<B3xB3xII", disk[446:462])
    assert (active, kind) == (0x80, 0x83)
    assert (first, first + sectors) == (PARTITION, GIGABYTE)
    assert not any(disk[462:510])


def test_the_boot_sector_keeps_its_code_and_loads_the_next_sector() -> None:
    boot = bytes(range(256)) * 2
    disk = boot_sectors(boot, b"core", GIGABYTE)
    assert disk[:440] == boot[:440]
    assert disk[510:] == b"\x55\xaacore"


def test_a_boot_loader_that_would_reach_into_the_partition_is_refused() -> None:
    most = (PARTITION - 1) * SECTOR
    assert len(boot_sectors(bytes(512), bytes(most), GIGABYTE)) == PARTITION * SECTOR
    with pytest.raises(ValueError, match="does not fit"):
        boot_sectors(bytes(512), bytes(most + 1), GIGABYTE)


def test_the_box_has_what_other_machines_have_and_a_kernel() -> None:
    command = bootstrap("trixie", Path("/root-folder"), Path("/work"))
    included = next(word for word in command if word.startswith("--include=")).split("=")[1]
    assert {"podman", "firewalld", "linux-image-cloud-amd64"} <= set(included.split(","))


def test_all_that_a_box_is_made_of_is_there() -> None:
    assert all(path.exists() for path in ingredients())


def test_a_box_with_selinux_has_its_policy_and_tells_the_kernel() -> None:
    folders = Path("/root-folder"), Path("/work")
    plain, command = bootstrap("trixie", *folders), bootstrap("trixie", *folders, ["selinux"])
    included = next(word for word in command if word.startswith("--include=")).split("=")[1]
    assert "selinux-policy-default" in included.split(",")
    assert not any("selinux" in word for word in plain)
    own, beside = (word for word in command if word.startswith("--customize-hook="))
    # The boot loader's words are made by the first, which gets those of the kernel.
    assert own.endswith(' /work "lsm=landlock,yama,selinux selinux=1 enforcing=0"')
    assert "/with/selinux/customize.sh" in beside


def test_every_box_that_is_made_here_has_only_what_there_is() -> None:
    for extras in BUILT_WITH.values():
        for extra in extras:
            names = {path.name for path in (WITH / extra).iterdir()}
            assert {"packages", "kernel", "customize.sh", "finish.sh"} <= names
