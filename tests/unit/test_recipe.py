"""A checkout's recipe in words that podman's builder knows."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness.mailserver.recipe import UMASK, applied, for_podman


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name, mode in (("plain", 0o644), ("other", 0o600), ("program", 0o755), ("like it", 0o755)):
        (tmp_path / name).write_text(name)
        (tmp_path / name).chmod(mode)
    (tmp_path / "setuid").touch()
    (tmp_path / "setuid").chmod(0o4755)
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("plain")
    return tmp_path


def written(checkout: Path, line: str) -> str:
    (checkout / "Dockerfile").write_text(f"FROM scratch\n{line}\nRUN last\n")
    text, changed = for_podman(checkout)
    before, _, after = text.partition("FROM scratch\n")
    assert (before, after[-9:]) == ("", "RUN last\n")
    assert bool(changed) is (after != f"{line}\nRUN last\n")
    return after[:-10]


@pytest.mark.parametrize("mode", [0o644, 0o600, 0o755, 0o751, 0o000])
@pytest.mark.parametrize(
    "symbolic",
    [
        *(
            "+x",
            "a+x",
            "u+x",
            "-x",
            "+w",
            "a+w",
            "=r",
            "u=rwx",
            "go-rwx",
            "u=rwX,go=rX",
            "a+rX,go-w",
        ),
        *("u+r-w", "ugo=", "+X", "o=x", "ug-x,o+r"),
    ],
)
def test_words_mean_what_they_do_to_chmod(tmp_path: Path, symbolic: str, mode: int) -> None:
    file = tmp_path / "file"
    file.touch()
    file.chmod(mode)
    done = subprocess.run(
        ["sh", "-c", f'umask {UMASK:o} && chmod -- "$1" "$2"', "sh", symbolic, str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    if "new permissions are" not in done.stderr:  # chmod's own warning where the umask mattered
        assert done.returncode == 0, done.stderr
    seen = applied(symbolic, mode)
    assert seen is not None
    assert f"{seen:04o}" == f"{file.stat().st_mode & 0o7777:04o}"


@pytest.mark.parametrize("symbolic", ["x", "", "u", "+t", "755", "+x,", "u=g"])
def test_other_words_mean_nothing(symbolic: str) -> None:
    assert applied(symbolic, 0o644) is None


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("COPY --chmod=+x plain /bin/plain", "COPY --chmod=0755 plain /bin/plain"),
        ("COPY --link --chmod=u=rwx,go=rx ./plain /", "COPY --link --chmod=0755 ./plain /"),
        ("add --chmod='a+x' /plain program /", "add --chmod=0755 /plain program /"),
        ('COPY --chmod=+x program "like it" /', 'COPY --chmod=0755 program "like it" /'),
        ('COPY --chmod=+x ["plain", "/bin/plain"]', 'COPY --chmod=0755 ["plain", "/bin/plain"]'),
        (
            "COPY --chown=1 \\\n  --chmod=+x \\\n  plain \\\n  /bin/",
            "COPY --chown=1 \\\n  --chmod=0755 \\\n  plain \\\n  /bin/",
        ),
        ("COPY --chmod=+x other /", "COPY --chmod=0711 other /"),
        (
            "COPY --chmod=+x plain /\nCOPY --chmod=go-r plain /",
            "COPY --chmod=0755 plain /\nCOPY --chmod=0600 plain /",
        ),
    ],
)
def test_mode_of_the_checkouts_own_files_becomes_octal(
    checkout: Path, line: str, expected: str
) -> None:
    assert written(checkout, line) == expected


@pytest.mark.parametrize(
    "line",
    [
        "COPY --chmod=0755 plain /",
        "COPY --chmod=755 plain /",
        "COPY --chmod=+x plain other /",
        "COPY --chmod=+x folder /",
        "COPY --chmod=+x pl* /",
        "COPY --chmod=+x link /",
        "COPY --chmod=+x --from=stage plain /",
        "COPY --chmod=+x missing /",
        "COPY --chmod=+s plain /",
        "COPY --chmod=+x plain' /",
        "COPY --chmod=+x plain",
        'COPY --chmod=+x ["plain", "/"',
        "COPY --chmod=+x [p]lain /",
        "COPY --chmod=+x setuid /",
        "COPY plain /--chmod=+x",
        "RUN chmod --chmod=+x plain",
        "# COPY --chmod=+x plain /",
        "ADD --chmod=+x https://mirror.example/plain /",
    ],
)
def test_everything_else_is_left_to_podman(checkout: Path, line: str) -> None:
    assert written(checkout, line) == line


def test_what_is_written_otherwise_is_said(checkout: Path) -> None:
    (checkout / "Containerfile").write_text("COPY --chmod=+x plain /\nCOPY --chmod=u=x other /\n")
    (checkout / "Dockerfile").write_text("COPY --chmod=-r plain /\n")
    assert for_podman(checkout)[1] == ["+x → 0755", "u=x → 0100"]
