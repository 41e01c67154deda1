"""What puts somebody's own host back, on folders of this computer and with a made-up podman."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

RESTORE = Path(__file__).parents[2] / "harness" / "machines" / "guest" / "restore.py"


@pytest.fixture
def restore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("restore", RESTORE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "store").mkdir()
    monkeypatch.setattr(module, "store", tmp_path / "store")
    return module


def listing(folder: Path) -> str:
    """All of a folder that a reader can see."""
    shown = (
        "find . -printf '%P %y %m %U %G %T@ %l\\n' | sort; find . -type f | sort | xargs sha256sum"
    )
    return subprocess.run(
        ["sh", "-c", shown], cwd=folder, capture_output=True, text=True, check=True
    ).stdout


def test_folders_are_put_back_to_the_letter(
    restore: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    etc, new, home = tmp_path / "etc", tmp_path / "new", tmp_path / "home"
    (etc / "sub" / "deep").mkdir(parents=True)
    (etc / "changed").write_text("mine")
    (etc / "removed").write_text("mine")
    (etc / "removed").chmod(0o640)
    (etc / "sub" / "deep" / "kept").write_text("mine")
    (etc / "link").symlink_to("changed")
    home.mkdir()
    (home / "mine").touch()
    monkeypatch.setattr(restore, "FOLDERS", (str(etc), str(new)))
    monkeypatch.setattr(restore, "PLACES", (str(home),))
    before = listing(etc)
    kept = restore.keep_files()
    (etc / "changed").write_text("other")
    (etc / "changed").chmod(0o600)
    (etc / "removed").unlink()
    (etc / "link").unlink()
    (etc / "link").symlink_to("sub")
    (etc / "sub" / "more" / "and more").mkdir(parents=True)
    (etc / "sub" / "more" / "and more" / "file").touch()
    for path in sorted((etc / "sub" / "deep").iterdir()):
        path.unlink()
    (etc / "sub" / "deep").rmdir()
    (new / "inside").mkdir(parents=True)
    (home / "mailserver").mkdir()
    (home / ".history").touch()
    assert [each for each in restore.put_back_files(kept) if each] == []
    assert listing(etc) == before
    assert not new.exists()
    assert {path.name for path in home.iterdir()} == {".history", "mine"}


class Podman:
    """Lists what it is told to, and notes what it is asked to do."""

    def __init__(self, **there: list[str]) -> None:
        self.there = {
            sort: there.get(sort, [])
            for sort in ("containers", "volumes", "networks", "images", "running")
        }


def asked_of(
    restore: ModuleType, monkeypatch: pytest.MonkeyPatch, before: Podman, after: Podman
) -> list[str]:
    done: list[str] = []

    def do(*words: str) -> str:
        done.append(" ".join(words))
        return ""

    monkeypatch.setattr(restore, "do", do)
    monkeypatch.setattr(restore, "keep_podman", lambda: after.there)
    restore.put_back_podman(before.there)
    return done


def test_containers_of_somebodys_own_stay(
    restore: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Podman(containers=["mine"], volumes=["mine"], networks=["podman"])
    after = Podman(
        containers=["mine", "new"], volumes=["mine", "v"], networks=["podman", "mailserver_default"]
    )
    assert asked_of(restore, monkeypatch, before, after) == [
        "podman rm --force --ignore --time 0 --volumes new",
        "podman volume rm --force v",
        "podman network rm --force mailserver_default",
    ]


def test_an_image_that_was_there_gets_its_name_back(
    restore: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    dms = "docker.io/mailserver/docker-mailserver:latest"
    before = Podman(images=[f"aaa {dms}", "ccc my/image:1"])
    after = Podman(images=["aaa <none>:<none>", f"bbb {dms}", "ccc my/image:1"])
    assert asked_of(restore, monkeypatch, before, after) == [
        "podman rmi --force bbb",
        f"podman tag aaa {dms}",
    ]


def test_an_image_of_somebodys_own_loses_the_name_that_the_run_gave_it(
    restore: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Podman(images=["aaa registry/mine:15"])
    after = Podman(images=["aaa docker.io/mailserver/docker-mailserver:latest"])
    assert asked_of(restore, monkeypatch, before, after) == [
        "podman untag aaa docker.io/mailserver/docker-mailserver:latest",
        "podman tag aaa registry/mine:15",
    ]


@pytest.mark.parametrize(
    ("before", "after", "done"),
    [
        ("ssh", "imap smtp ssh", ["remove imap", "remove smtp"]),
        ("smtp ssh", "ssh", ["add smtp"]),
        ("ssh", "ssh", []),
    ],
)
def test_the_firewalls_openings_are_put_back_in_both_directions(
    restore: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    before: str,
    after: str,
    done: list[str],
) -> None:
    def state(services: str) -> dict[str, Any]:
        zone = dict.fromkeys(restore.ZONE, "") | {"services": services}
        return {
            "firewalld": "running",
            "zone": zone,
            "direct": [],
            "tables": [],
            "rules": "",
            "is permanent": True,
        }

    asked: list[str] = []
    monkeypatch.setattr(restore, "keep_firewall", lambda: state(after))
    monkeypatch.setattr(restore, "podman", lambda *_: [])
    monkeypatch.setattr(restore, "do", lambda *words: asked.append(" ".join(words)) or "")
    restore.put_back_firewall(state(before))
    expected = [each.split() for each in done]
    assert asked == [f"firewall-cmd --quiet --{verb}-service={name}" for verb, name in expected]


@pytest.mark.parametrize(("permanent", "done"), [(True, True), (False, False)])
def test_the_firewall_is_not_reloaded_where_something_is_for_the_time_being(
    restore: ModuleType, monkeypatch: pytest.MonkeyPatch, permanent: bool, done: bool
) -> None:
    kept = {"firewalld": "running", "zone": dict.fromkeys(restore.ZONE, ""), "direct": []}
    kept |= {"tables": ["table inet firewalld"], "rules": "before", "is permanent": permanent}
    now = kept | {"tables": [*kept["tables"], "table inet netavark"], "rules": "after"}
    asked: list[str] = []
    monkeypatch.setattr(restore, "keep_firewall", lambda: now)
    monkeypatch.setattr(restore, "podman", lambda *_: [])
    monkeypatch.setattr(restore, "do", lambda *words: asked.append(" ".join(words)) or "")
    restore.put_back_firewall(kept)
    assert asked == ["nft delete table inet netavark"] + ["firewall-cmd --quiet --reload"] * done


def test_what_is_gone_already_cannot_be_named_and_need_not_be(
    restore: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Podman(images=["aaa docker.io/mailserver/docker-mailserver:latest"])
    assert asked_of(restore, monkeypatch, before, Podman()) == []


@pytest.mark.parametrize(
    ("before", "then", "after"),
    [(True, True, True), (False, True, False), (False, False, False), (True, False, False)],
)
def test_a_folder_for_network_namespaces_stays_where_it_was(
    restore: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    before: bool,
    then: bool,
    after: bool,
) -> None:
    """Such as where the host is the computer that the run is on, whose keeper makes it."""
    folder = tmp_path / "netns"
    monkeypatch.setattr(restore, "NETNS", folder)
    monkeypatch.setattr(restore, "RUNTIME", ())
    monkeypatch.setattr(restore, "podman", lambda *words: [])
    if before:
        folder.mkdir()
    kept = restore.keep_runtime()
    if then:
        folder.mkdir(exist_ok=True)
    elif before:
        folder.rmdir()
    assert restore.put_back_runtime(kept) == []
    assert folder.exists() == after


def test_a_namespace_that_somebody_made_meanwhile_stays(
    restore: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "netns"
    monkeypatch.setattr(restore, "NETNS", folder)
    monkeypatch.setattr(restore, "RUNTIME", ())
    monkeypatch.setattr(restore, "podman", lambda *words: [])
    kept = restore.keep_runtime()
    folder.mkdir()
    (folder / "somebody's").touch()
    assert restore.put_back_runtime(kept) == []
    assert folder.exists()
