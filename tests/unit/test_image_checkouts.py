"""A checkout that the image is built of, and the key that it has in each of its states."""

import shutil
import subprocess
from pathlib import Path

import pytest

from harness.errors import HostError
from harness.mailserver.choose import choose
from harness.mailserver.source import Checkout, state


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY hello /\n")
    (folder / "hello").write_text("hello")
    return folder


def git(folder: Path, *command: str) -> None:
    who = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
    subprocess.run(["git", *who, *command], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(checkout: Path) -> Path:
    git(checkout, "init", "--quiet")
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "--message", "Begin")
    git(checkout, "tag", "v1.0")
    return checkout


def test_folder_is_a_checkout(checkout, tmp_path):
    image = choose(str(checkout), tmp_path)
    assert isinstance(image, Checkout)
    assert image.label.source == "source"
    assert image.label.version.startswith("tree ")


def test_folder_without_a_recipe_is_refused(tmp_path):
    with pytest.raises(HostError, match="neither a Dockerfile nor a Containerfile"):
        choose(str(tmp_path), tmp_path)


def test_tree_has_another_key_after_each_change(checkout, tmp_path):
    keys = [state(checkout)]
    (checkout / "hello").write_text("hello there")
    keys.append(state(checkout))
    (checkout / "hello").chmod(0o755)
    keys.append(state(checkout))
    (checkout / "hello").rename(checkout / "there")
    keys.append(state(checkout))
    (checkout / "link").symlink_to("there")
    keys.append(state(checkout))
    (checkout / "link").unlink()
    (checkout / "link").symlink_to("elsewhere")
    keys.append(state(checkout))
    assert len(set(keys)) == 6


def test_tree_below_a_folder_of_gits_has_a_key_of_its_files(checkout, tmp_path):
    below = tmp_path / ".git" / "checkout"
    shutil.copytree(checkout, below)
    key = state(below)
    assert key == state(checkout)
    (below / "hello").write_text("hello there")
    assert state(below) != key


def test_repository_has_another_key_after_each_change(repository):
    keys = [state(repository)]
    assert keys[0][1] == "v1.0"
    (repository / "hello").write_text("hello there")
    keys.append(state(repository))
    assert keys[1][1] == "v1.0-dirty"
    (repository / "new").write_text("new")
    keys.append(state(repository))
    (repository / "new").write_text("newer")
    keys.append(state(repository))
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "--message", "Go on")
    keys.append(state(repository))
    assert keys[4][1].startswith("v1.0-1-g")
    assert len({digest for digest, _ in keys}) == 5


def test_repository_has_its_key_back_after_a_change_is_undone(repository):
    before = state(repository)
    (repository / "hello").write_text("hello there")
    (repository / "hello").write_text("hello")
    assert state(repository) == before


def test_folder_of_a_repository_goes_by_its_own_tree(repository):
    inner = repository / "inner"
    inner.mkdir()
    (inner / "Dockerfile").write_text("FROM scratch\n")
    before = state(inner)
    assert before[1].startswith("tree ")
    (repository / "hello").write_text("hello there")
    assert state(inner) == before
