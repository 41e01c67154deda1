"""What is missing on this computer is said in one line, with the remedy."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness import cache, doctor
from harness.errors import HostError
from harness.machines import fedora
from harness.machines.choice import choose_machine
from harness.machines.distros import find
from harness.machines.options import MachineOptions


def found(what: str) -> doctor.Finding:
    return next(finding for finding in doctor.examine() if finding.what == what)


def test_missing_tools_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    which = shutil.which

    def without(tool: str, path: str | None = None) -> str | None:
        return None if tool in ("mmdebstrap", "btrfs") else which(tool, path=path)

    monkeypatch.setattr(doctor.shutil, "which", without)
    finding = found("tools")
    assert not finding.good
    assert finding.seen == "missing: mmdebstrap, btrfs"
    assert "mmdebstrap btrfs-progs" in finding.remedy


def test_old_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.platform, "release", lambda: "5.10.0-30-amd64")
    finding = found("kernel")
    assert not finding.good
    assert "5.14" in finding.remedy


def test_missing_device(tmp_path: Path) -> None:
    finding = doctor._device(str(tmp_path / "fuse"), "fuse")()
    assert (finding.good, finding.remedy) == (False, "modprobe fuse")


def test_user_namespaces_are_for_everybody() -> None:
    assert found("user namespaces").good


@pytest.mark.parametrize(
    ("value", "remedy"),
    [("1\n", "sysctl kernel.apparmor_restrict_unprivileged_userns=0"), ("0\n", "what forbids")],
)
def test_user_namespaces_without_rights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, remedy: str
) -> None:
    for tool in ("setpriv", "unshare"):
        refusing = tmp_path / tool
        refusing.write_text("#!/bin/sh\necho unshare: Permission denied >&2; exit 1\n")
        refusing.chmod(0o755)
    monkeypatch.setattr(doctor, "_PATH", str(tmp_path))
    (tmp_path / "kernel").mkdir()
    name = "kernel.apparmor_restrict_unprivileged_userns"
    (tmp_path / name.replace(".", "/")).write_text(value)
    monkeypatch.setattr(doctor, "SYSCTLS", tmp_path)
    finding = found("user namespaces")
    assert not finding.good
    assert finding.seen == "not for ordinary users: unshare: Permission denied"
    assert remedy in finding.remedy


def test_full_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(cache.ENVIRONMENT, str(tmp_path))
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 0))
    finding = found("disk")
    assert not finding.good
    assert str(tmp_path) in finding.seen
    assert cache.ENVIRONMENT in finding.remedy


def test_cache_that_cannot_be_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(cache.ENVIRONMENT, str(tmp_path / "file" / "cache"))
    assert not found("cache").good


def test_mirror_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "MIRROR", "http://127.0.0.1:9/debian")
    finding = doctor._mirror()
    assert not finding.good
    assert "refused" in finding.seen
    assert "DMS_HARNESS_MIRROR" in finding.remedy


def test_what_fedora_takes_is_looked_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(fedora, "MIRROR", "http://127.0.0.1:9/fedora")
    findings = {each.what: each for each in doctor.examine(True, find("fedora-44"))}
    assert not findings["dnf"].good
    assert "apt-get install dnf" in findings["dnf"].remedy
    mirror = findings["package mirror"]
    assert not mirror.good
    assert "http://127.0.0.1:9/fedora/releases/44/" in mirror.seen
    assert "DMS_HARNESS_FEDORA_MIRROR" in mirror.remedy
    assert "dnf" not in {each.what for each in doctor.examine()}


def test_run_names_every_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = doctor.Finding("/dev/fuse", False, "missing", "modprobe fuse")
    monkeypatch.setattr(doctor, "problems", lambda: [problem])
    with pytest.raises(HostError, match="/dev/fuse: missing → modprobe fuse"):
        choose_machine(MachineOptions())


def test_command_line_tells_problems_by_its_status() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "harness.cli", "doctor"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == done.stdout.count("PROBLEM")
    assert "kernel" in done.stdout


def test_wrong_image_source_is_one_clear_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "harness.cli", "setup", "--mailserver", "standin"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("dms-harness: --mailserver standin: no such source")
    assert "did you mean stand-in" in done.stderr
