"""Reads archives in memory: nothing is unpacked to a disk, so nothing can be unpacked elsewhere.

Names that lead out and members that are no plain files are refused all the same, by name: what
somebody else would unpack by hand should be warned of.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
import zlib
from pathlib import PurePosixPath

from harness.reproduce import limits
from harness.reproduce.intake import Files, ReportError, bad_name

UNPACKED = limits.ALL + limits.ENTRIES * 1024
"""Bytes that a compressed archive may unpack to: its files, and what tar writes around each."""


def read_archive(name: str, content: bytes, files: Files) -> None:
    """Take in the plain files of an archive.

    Args:
        name: the archive's, by which its sort is told.
        content: its bytes.
        files: where they go; what is refused is said there.

    Raises:
        ReportError: it is no archive of its sort, or unpacks to more than is read.
    """
    lower = name.lower()
    try:
        if lower.endswith(".zip"):
            _zip(content, files)
        else:
            _tar(_unpacked(lower, name, content), files)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, OSError) as error:
        raise ReportError(f"{name} cannot be unpacked: {error}", "is it a whole archive?") from None
    _without_common_folder(files)


def _unpacked(lower: str, name: str, content: bytes) -> bytes:
    """A tar archive as it is before it is compressed; no more of it than is read is unpacked."""
    if lower.endswith((".zst", ".tzst")):
        import zstandard

        decompressor = zstandard.ZstdDecompressor(max_window_size=1 << 23)
        try:
            with decompressor.stream_reader(io.BytesIO(content)) as stream:
                plain = stream.read(UNPACKED + 1)
        except zstandard.ZstdError as error:
            raise ReportError(f"{name} cannot be unpacked: {error}", "is it whole?") from None
    elif lower.endswith((".gz", ".tgz")):
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as packed:
            plain = packed.read(UNPACKED + 1)
    else:
        plain = content
    if len(plain) > UNPACKED:
        raise ReportError(
            f"{name} unpacks to more than {UNPACKED >> 20} MB", "send only what matters of it"
        )
    return plain


def _tar(plain: bytes, files: Files) -> None:
    with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as archive:
        for count, member in enumerate(archive):
            if count >= limits.ENTRIES:
                files.notes.add("refused", "…", f"more than {limits.ENTRIES} members")
                return
            name = member.name.removeprefix("./")
            if member.isdir() or name in ("", "."):
                continue
            if problem := bad_name(member.name):
                files.notes.add("refused", member.name, problem)
            elif member.issym() or member.islnk():
                files.notes.add("refused", name, f"a link, to {member.linkname}")
            elif member.sparse is not None or not member.isreg():
                files.notes.add("refused", name, "no plain file")
            elif files.room_for(name, member.size):
                opened = archive.extractfile(member)
                assert opened is not None
                files.add(name, opened.read(limits.FILE + 1))


def _zip(content: bytes, files: Files) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        if len(members) > limits.ENTRIES:
            raise ReportError(
                f"the archive has more than {limits.ENTRIES} members", "send only what matters"
            )
        for member in members:
            # `filename` is cut at a NUL and has slashes only; what was written is shown.
            name = member.orig_filename
            kind = (member.external_attr >> 16) & 0o170000
            if member.is_dir():
                continue
            if problem := bad_name(name):
                files.notes.add("refused", name, problem)
            elif kind not in (0, 0o100000):
                files.notes.add("refused", name, "no plain file")
            elif member.flag_bits & 1:
                files.notes.add("refused", name, "encrypted")
            elif files.room_for(name, member.file_size):
                _zipped(archive, member, name, files)


def _zipped(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str, files: Files) -> None:
    try:
        with archive.open(member) as opened:
            # What the table says of its size need not be true.
            content = opened.read(limits.FILE + 1)
    except (NotImplementedError, RuntimeError) as error:
        files.notes.add("refused", name, str(error))
        return
    files.add(name, content)


def _without_common_folder(files: Files) -> None:
    """Take away the folder that everything is in, as archives of a folder have one."""
    tops = {PurePosixPath(name).parts[0] for name in files.data}
    if len(tops) == 1 and all("/" in name for name in files.data):
        files.data = {name.partition("/")[2]: content for name, content in files.data.items()}
