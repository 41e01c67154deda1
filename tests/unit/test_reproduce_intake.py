"""What is no plain file, or leads out of its archive, is refused by name and not opened."""

from __future__ import annotations

import io
import os
import socket
import stat
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from reproduce_support import ALL, SERVICE, planned, said

from harness.reproduce import limits, match
from harness.reproduce.intake import ReportError, read_report
from harness.reproduce.notes import Notes


@pytest.fixture(autouse=True)
def _scenarios_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(match, "load_all", ALL)


def _link_out(folder: Path) -> None:
    (folder / "mailserver.env").symlink_to("/etc/passwd")


def _link_to_folder(folder: Path) -> None:
    (folder / "config").symlink_to("/etc")


def _fifo(folder: Path) -> None:
    os.mkfifo(folder / "mailserver.env")


def _socket(folder: Path) -> None:
    here = Path.cwd()
    os.chdir(folder)  # the path of a socket may not be long
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind("mailserver.env")
    finally:
        os.chdir(here)


def _device(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make a device")
    os.mknod(folder / "mailserver.env", stat.S_IFCHR | 0o666, os.makedev(1, 5))


def _huge(folder: Path) -> None:
    with (folder / "mailserver.env").open("wb") as file:
        file.truncate(1 << 40)


def _many(folder: Path) -> None:
    for number in range(limits.FILES + 5):
        (folder / f"note-{number:04}.txt").write_text("x")


def _deep(folder: Path) -> None:
    (folder / "/".join("d" * (limits.DEPTH + 2) for _ in range(1))).mkdir()
    deep = folder.joinpath(*(["d"] * (limits.DEPTH + 3)))
    deep.mkdir(parents=True)


def _odd_name(folder: Path) -> None:
    (folder / "a\x1b[31m.cf").write_text("x")


def _not_unicode(folder: Path) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe.cf")).write_text("x")


@pytest.mark.parametrize(
    "make",
    [
        _link_out,
        _link_to_folder,
        _fifo,
        _socket,
        _device,
        _huge,
        _many,
        _deep,
        _odd_name,
        _not_unicode,
    ],
)
def test_what_is_no_plain_file_is_refused_by_name(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    (tmp_path / "compose.yaml").write_text(SERVICE)
    make(tmp_path)
    began = time.monotonic()
    notes = Notes()
    files = read_report(tmp_path, notes)
    assert time.monotonic() - began < 5
    assert notes.of("refused")
    assert len(files.data) <= limits.FILES
    assert "mailserver.env" not in files.data
    assert not any("root:" in content.decode() for content in files.data.values())


@pytest.mark.parametrize("name", ["fifo", "device"])
def test_a_path_that_is_no_file_is_an_error_and_is_not_opened(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "device":
        path = Path("/dev/zero")
    else:
        os.mkfifo(path)
    with pytest.raises(ReportError, match="is not opened"):
        read_report(path, Notes())


def _tar(*members: tuple[tarfile.TarInfo, bytes], mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = kind
    member.linkname = link
    return member


@pytest.mark.parametrize(
    "member",
    [
        _member("/etc/cron.d/trap"),
        _member("../../trap"),
        _member("a/../../trap"),
        _member("trap", tarfile.SYMTYPE, "/etc/passwd"),
        _member("trap", tarfile.LNKTYPE, "/etc/passwd"),
        _member("trap", tarfile.CHRTYPE),
        _member("trap", tarfile.FIFOTYPE),
        _member("trap\\..\\x"),
    ],
    ids=lambda member: f"{member.name}-{member.type.decode()}",
)
def test_a_tar_member_that_leads_out_is_refused(tmp_path: Path, member: tarfile.TarInfo) -> None:
    path = tmp_path / "report.tar"
    path.write_bytes(_tar((_member("compose.yaml"), SERVICE.encode()), (member, b"")))
    notes = Notes()
    files = read_report(path, notes)
    assert list(files.data) == ["compose.yaml"]
    assert "trap" in str(notes.of("refused")[0])
    assert [each.name for each in tmp_path.iterdir()] == ["report.tar"]


@pytest.mark.parametrize(
    "name", ["../../trap", "/etc/trap", "a/../../trap", "C:\\trap", "x\\..\\trap"]
)
def test_zip_slip_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "report.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("compose.yaml", SERVICE)
        info = zipfile.ZipInfo("x")
        info.filename = name
        archive.writestr(info, "x")
    notes = Notes()
    assert list(read_report(path, notes).data) == ["compose.yaml"]
    assert "trap" in str(notes.of("refused")[0])


@pytest.mark.parametrize("sort", ["zip", "tar.gz", "tar.zst"])
def test_a_bomb_in_an_archive_is_not_unpacked(tmp_path: Path, sort: str) -> None:
    import gzip

    import zstandard

    path = tmp_path / f"report.{sort}"
    zeros = bytes(64 << 20)
    if sort == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("mailserver.env", zeros)
    else:
        plain = _tar((_member("mailserver.env"), zeros))
        packed = gzip.compress(plain, 1) if sort == "tar.gz" else zstandard.compress(plain)
        path.write_bytes(packed)
    with pytest.raises(ReportError, match=r"more than|larger than"):
        read_report(path, Notes())


def test_what_a_zip_says_of_a_files_size_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "report.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mailserver.env", bytes(8 << 20))
    data = path.read_bytes()
    path.write_bytes(data.replace((8 << 20).to_bytes(4, "little"), (9).to_bytes(4, "little")))
    with pytest.raises(ReportError):
        read_report(path, Notes())


@pytest.mark.parametrize("name", ["report.tar", "report.zip", "report.tar.gz", "report.tar.zst"])
def test_what_is_no_archive_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"nothing of the sort" * 100)
    with pytest.raises(ReportError, match="cannot be unpacked"):
        read_report(tmp_path / name, Notes())


@pytest.mark.parametrize(
    ("content", "good"),
    [
        (SERVICE.encode("utf-16"), True),
        (b"\xef\xbb\xbf" + SERVICE.encode(), True),
        (SERVICE.replace("\n", "\r\n").encode(), True),
        (SERVICE.encode() + b"\x00", False),
        (SERVICE.encode() + b"# \xff\xfe\xfd", False),
        (SERVICE.encode() + b"# \x1b[2J", False),
        (SERVICE.encode() + "# \u202e".encode(), False),
    ],
)
def test_encodings(tmp_path: Path, content: bytes, good: bool) -> None:
    (tmp_path / "compose.yaml").write_bytes(content)
    made = planned(tmp_path)
    assert bool(made.table) is good
    assert good or "neither UTF-8 nor UTF-16" in said(made, "refused")
