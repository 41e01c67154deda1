"""Lists of packages, and what of them a root file system is named by."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.machines import rootfs
from harness.machines.debian import Family, package_list
from harness.machines.shell import Login


@pytest.fixture
def login(tmp_path: Path) -> Login:
    (tmp_path / "key.pub").write_text("ssh-ed25519 AAAA dms-harness\n")
    return Login(tmp_path / "key", None)


@pytest.mark.parametrize("family", ["debian", "fedora"])
def test_the_table_has_each_package_once(family: Family) -> None:
    names = package_list(rootfs.PACKAGES, family)
    assert "podman" in names
    assert sorted(set(names)) == sorted(names)


def test_the_table_has_two_columns_throughout() -> None:
    rows = [line.split("#")[0].split() for line in rootfs.PACKAGES.read_text().splitlines()]
    assert [row for row in rows if row and len(row) != 2] == []
    assert ["-", "-"] not in rows


def test_a_list_of_one_column_is_debians(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text("# a comment\n\npostfix\ndovecot-imapd # IMAP\n")
    assert package_list(path) == ["postfix", "dovecot-imapd"]


def test_a_dash_is_no_package(tmp_path: Path) -> None:
    path = tmp_path / "table"
    path.write_text("uidmap shadow-utils\npasswd -\n- passt-selinux # a policy\n")
    assert package_list(path) == ["uidmap", "passwd"]
    assert package_list(path, "fedora") == ["shadow-utils", "passt-selinux"]


def test_only_debians_column_names_a_root_file_system(
    login: Login, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "packages"
    names = []
    for table in ("a x\n", "# why\na y\n", "a y\nb -\n"):
        path.write_text(table)
        monkeypatch.setattr(rootfs, "PACKAGES", path)
        names.append(rootfs.rootfs_name(login))
    assert names[0] == names[1] != names[2]
    assert rootfs.rootfs_name(login, ["a", "b"]) == names[2]
    assert rootfs.rootfs_name(login, ["a"]) == names[0]
