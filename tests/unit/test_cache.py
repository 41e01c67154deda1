from __future__ import annotations

import os
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncssh
import pytest
from keeper_support import child

from harness import cache
from harness.errors import HostError

# -- digest ----------------------------------------------------------------------------------------


def recipe(base: Path) -> Path:
    path = base / "recipe"
    (path / "inner").mkdir(parents=True)
    (path / "a").write_text("alpha")
    (path / "inner" / "b").write_text("beta")
    for file in (path / "a", path / "inner" / "b"):
        file.chmod(0o644)
    return path


def test_a_digest_is_a_short_word_that_fits_into_a_name(tmp_path: Path) -> None:
    assert cache.digest("x", b"y", recipe(tmp_path)).isalnum()
    assert len(cache.digest("x")) == 16


def test_the_digest_of_the_same_is_the_same(tmp_path: Path) -> None:
    path = recipe(tmp_path)
    before = cache.digest("word", path, path / "a")
    os.utime(path / "a", (0, 0))
    (path / "a").chmod(0o600)  # who may read it is no part of the recipe; who may run it is
    (path / "empty").mkdir()
    assert cache.digest("word", path, path / "a") == before
    (tmp_path / "elsewhere").mkdir()
    copy = shutil.move(path, tmp_path / "elsewhere" / "recipe")
    assert cache.digest("word", copy, copy / "a") == before


@pytest.mark.parametrize(
    "change",
    [
        lambda path: (path / "a").write_text("Alpha"),
        lambda path: (path / "a").chmod(0o755),
        lambda path: (path / "a").rename(path / "c"),
        lambda path: (path / "inner" / "b").rename(path / "b"),
        lambda path: (path / "new").touch(),
        lambda path: (path / "a").unlink(),
    ],
    ids=["content", "mode", "name", "place", "more", "less"],
)
def test_the_digest_changes_with_every_change_of_a_recipe(tmp_path: Path, change: object) -> None:
    path = recipe(tmp_path)
    before = cache.digest(path)
    assert callable(change)
    change(path)
    assert cache.digest(path) != before


def test_the_digest_depends_on_words_their_order_and_their_borders(tmp_path: Path) -> None:
    digests = [
        cache.digest(*words)
        for words in ([], [""], ["a"], ["b"], ["ab"], ["a", "b"], ["b", "a"], ["a", "b", ""])
    ]
    assert len(set(digests)) == len(digests)
    assert cache.digest("a") == cache.digest(b"a")


def test_a_file_of_a_recipe_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        cache.digest("word", tmp_path / "mistyped")


# -- folder ----------------------------------------------------------------------------------------


def test_the_cache_lies_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(cache.ENVIRONMENT, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.folder() == tmp_path / "xdg" / "dms-harness"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache.folder() == tmp_path / "home" / ".cache" / "dms-harness"
    monkeypatch.setenv(cache.ENVIRONMENT, str(tmp_path / "own"))
    assert cache.folder() == tmp_path / "own"
    assert cache.folder().is_dir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(cache.ENVIRONMENT, "relative")
    assert cache.folder() == tmp_path / "relative"


def test_a_cache_that_cannot_be_made_is_an_error_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(cache.ENVIRONMENT, str(tmp_path / "file" / "cache"))
    with pytest.raises(HostError, match="Not a directory") as raised:
        cache.folder()
    assert str(tmp_path / "file" / "cache") in raised.value.message
    assert cache.ENVIRONMENT in raised.value.hint


# -- exclusive -------------------------------------------------------------------------------------

HOLDER = """
import sys, time
from pathlib import Path
from harness import cache
with cache.exclusive(Path(sys.argv[1]), "work", lambda: print("waiting", flush=True)):
    print("held", time.monotonic_ns(), flush=True)
    input()
    print("let go", time.monotonic_ns(), flush=True)
"""


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def held(process: subprocess.Popen[str]) -> int:
    """When a process got the lock, by the clock that all processes share."""
    word, when = line(process).split()
    assert word == "held"
    return int(when)


def test_one_process_at_a_time_holds_a_lock_and_the_next_one_says_that_it_waits(
    tmp_path: Path,
) -> None:
    first = child(HOLDER, tmp_path)
    held(first)
    second = child(HOLDER, tmp_path)
    assert line(second) == "waiting"
    said, errors = first.communicate("\n")
    assert errors == ""
    assert held(second) > int(said.removeprefix("let go "))
    assert second.communicate("\n")[1] == ""


def test_sigkill_releases_a_lock(tmp_path: Path) -> None:
    first = child(HOLDER, tmp_path)
    held(first)
    second = child(HOLDER, tmp_path)
    assert line(second) == "waiting"
    killed = time.monotonic_ns()
    first.kill()
    assert held(second) > killed
    second.communicate("\n")
    first.communicate()


def test_locks_of_other_names_and_an_error_inside_do_not_block(tmp_path: Path) -> None:
    def waiting() -> None:
        pytest.fail("it is free")

    with cache.exclusive(tmp_path, "one", waiting), cache.exclusive(tmp_path, "two", waiting):
        pass
    with pytest.raises(KeyError), cache.exclusive(tmp_path, "one", waiting):
        raise KeyError
    with cache.exclusive(tmp_path, "one", waiting):
        pass


# -- login -----------------------------------------------------------------------------------------


def is_pair(private: Path) -> bool:
    public = asyncssh.read_public_key(private.with_suffix(".pub"))
    return asyncssh.read_private_key(private).convert_to_public() == public


def test_the_key_is_made_once_for_its_owner_alone_and_used_again(tmp_path: Path) -> None:
    login = cache.login(tmp_path)
    assert login.host_key is None
    assert login.private_key.stat().st_mode & 0o777 == 0o600
    assert login.private_key.parent.stat().st_mode & 0o777 == 0o700
    assert is_pair(login.private_key)
    before = login.private_key.read_bytes()
    assert cache.login(tmp_path) == login
    assert login.private_key.read_bytes() == before
    assert [path.name for path in sorted(login.private_key.parent.iterdir())] == [
        "id_ed25519",
        "id_ed25519.pub",
    ]


CRASHING = """
import os, sys
from pathlib import Path
from harness import cache
last, write = int(sys.argv[2]), Path.write_bytes
def step(count=[0]):
    if count[0] == last:
        os._exit(9)
    count[0] += 1
def crashing(path, data):
    step()
    write(path, data[:len(data) // 2])
    step()
    write(path, data)
    step()
Path.write_bytes = crashing
cache.login(Path(sys.argv[1]))
"""


def test_an_attempt_that_was_cut_off_anywhere_is_made_good_by_the_next(tmp_path: Path) -> None:
    attempts = [(tmp_path / str(step), step) for step in range(6)]
    for base, _ in attempts:
        base.mkdir()
    running = [child(CRASHING, base, step) for base, step in attempts]
    for process, (base, step) in zip(running, attempts, strict=True):
        assert process.wait(60) == 9, step
        process.communicate()
        login = cache.login(base)
        assert is_pair(login.private_key), step
        assert login.private_key.stat().st_mode & 0o777 == 0o600


def test_a_lost_half_is_made_anew_with_the_other(tmp_path: Path) -> None:
    private = cache.login(tmp_path).private_key
    for lost in (private, private.with_suffix(".pub")):
        lost.unlink()
        assert is_pair(cache.login(tmp_path).private_key)


def test_first_uses_at_the_same_time_agree_on_one_key(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from harness import cache\n"
    code += "import asyncssh, time; make = asyncssh.generate_private_key\n"
    code += (
        "def slow(*a, **k): time.sleep(0.1); return make(*a, **k)\n"  # all see that none is there
    )
    code += "asyncssh.generate_private_key = slow; input()\n"
    code += "print(cache.login(Path(sys.argv[1])).private_key.read_bytes())"
    users = [child(code, tmp_path) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        answers = set(pool.map(lambda user: user.communicate("\n"), users))
    assert len(answers) == 1
    assert is_pair(tmp_path / "ssh" / "id_ed25519")
