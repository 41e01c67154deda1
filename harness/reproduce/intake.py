"""Reads a report's files into memory: nothing but plain files, within limits, none executed.

A folder is walked without following any link. What is not a plain file (a FIFO would block its
reader, a device could be anything) is not opened; what is opened is asked again what it is, as it
may have been exchanged meanwhile.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from harness.errors import HarnessError
from harness.reproduce import limits
from harness.reproduce.notes import Notes, shown

ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.zst", ".tzst", ".zip")
"""How the names of archives end."""


class ReportError(HarnessError):
    """A report cannot be read at all: says which, and what would be right."""


@dataclass(slots=True)
class Files:
    """The files of a report.

    Attributes:
        notes: what is said of those that are not here.
        data: path within the report (`config/postfix-main.cf`) → content.
        size: bytes so far.
    """

    notes: Notes
    data: dict[str, bytes] = field(default_factory=dict)
    size: int = 0

    def room_for(self, name: str, size: int) -> bool:
        """Whether one more file may be read; says why not."""
        if size > limits.FILE:
            why = f"larger than {limits.FILE >> 20} MB"
        elif len(self.data) >= limits.FILES:
            why = f"more than {limits.FILES} files"
        elif self.size + size > limits.ALL:
            why = f"more than {limits.ALL >> 20} MB in all"
        else:
            return True
        self.notes.add("refused", name, why)
        return False

    def add(self, name: str, content: bytes) -> None:
        """Take a file in, where there is room for it."""
        if self.room_for(name, len(content)):
            self.data[name] = content
            self.size += len(content)


def read_report(path: Path, notes: Notes) -> Files:
    """The files of a report: a folder's, an archive's, or the one that was named.

    Args:
        path: what the user named. It may be a link; nothing in a folder may be followed.
        notes: takes what is refused, with the reason.

    Raises:
        ReportError: there is nothing there that could be read.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise ReportError(
            f"{path}: {error.strerror or error}", "name a folder, a file or an archive"
        ) from None
    files = Files(notes)
    if stat.S_ISDIR(mode):
        _walk(path, files)
    elif not stat.S_ISREG(mode):
        raise ReportError(
            f"{path} is {_called(mode)}, and is not opened", "name a folder, a file or an archive"
        )
    elif path.name.lower().endswith(ARCHIVES):
        from harness.reproduce.archives import read_archive

        content = _content(os.fspath(path), path.name, limits.PACKED, None)
        if content is None:
            raise ReportError(
                f"{path} is larger than {limits.PACKED >> 20} MB", "unpack what matters of it"
            )
        read_archive(path.name, content, files)
    else:
        content = _content(os.fspath(path), path.name, limits.FILE, None)
        if content is None:
            raise ReportError(f"{path} is larger than {limits.FILE >> 20} MB", "cut it down")
        files.add(path.name, content)
    if not files.data:
        raise ReportError(f"{path}: there is no file in it that could be read", _said(notes))
    return files


def _said(notes: Notes) -> str:
    refused = "; ".join(str(note) for note in notes.of("refused")[:5])
    return refused or "a report has at least a compose.yaml, a .container or a podman run line"


def _walk(folder: Path, files: Files) -> None:
    """Read a folder's plain files, by name and level by level."""
    entries = 0
    waiting = [PurePosixPath()]
    while waiting:
        below = waiting.pop(0)
        try:
            names = sorted(os.listdir(folder / below))  # noqa: PTH208 — names, in order
        except OSError as error:
            files.notes.add("refused", f"{below}/", f"cannot be read: {error.strerror}")
            continue
        for name in names:
            entries += 1
            if entries > limits.ENTRIES:
                files.notes.add("refused", f"{below}/…", f"more than {limits.ENTRIES} names")
                return
            _entry(folder, below / os.fsencode(name).decode(errors="replace"), name, files, waiting)


def _entry(
    folder: Path, path: PurePosixPath, name: str, files: Files, waiting: list[PurePosixPath]
) -> None:
    said = str(path)
    full = os.path.join(folder, path.parent, name)  # noqa: PTH118 — the bytes of the name as it is
    try:
        mode = os.lstat(full).st_mode
    except OSError as error:
        files.notes.add("refused", said, f"cannot be looked at: {error.strerror}")
        return
    if problem := bad_name(said):
        files.notes.add("refused", said, problem)
    elif stat.S_ISLNK(mode):
        files.notes.add("refused", said, "a link; where it leads is not looked at")
    elif stat.S_ISDIR(mode):
        if path.name.startswith(".") and path.name != ".config":
            files.notes.add("left out", f"{said}/", "a hidden folder")
        elif len(path.parts) >= limits.DEPTH:
            files.notes.add("refused", f"{said}/", f"more than {limits.DEPTH} folders deep")
        else:
            waiting.append(path)
    elif not stat.S_ISREG(mode):
        files.notes.add("refused", said, f"{_called(mode)}; it is not opened")
    else:
        _plain(full, said, files)


def _plain(full: str, said: str, files: Files) -> None:
    try:
        size = os.lstat(full).st_size
        if files.room_for(said, size) and (
            content := _content(full, said, limits.FILE, files.notes)
        ):
            files.add(said, content)
    except OSError as error:
        files.notes.add("refused", said, f"cannot be read: {error.strerror}")


def _content(full: str, said: str, most: int, notes: Notes | None) -> bytes | None:
    """A plain file's content, or None where it is larger, or no plain file any more."""
    follow = 0 if notes is None else os.O_NOFOLLOW  # what the user named may be a link
    handle = os.open(full, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY | follow)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            if notes is not None:
                notes.add("refused", said, "no plain file any more; it is not read")
            return None
        content = file.read(most + 1)
    return content if len(content) <= most else None


def bad_name(name: str) -> str:
    """Why a path within a report is not taken, or nothing."""
    path = PurePosixPath(name)
    if path.is_absolute() or name.startswith(("/", "\\")) or ":" in path.parts[:1]:
        return "an absolute path"
    if ".." in path.parts or "\\" in name:
        return "a path that leads out of the report"
    if len(name) > limits.NAME:
        return f"a name of more than {limits.NAME} characters"
    if shown(name, limits.NAME + 1) != name or "\ufffd" in name:
        return "a name with characters that no terminal should be sent"
    return ""


def _called(mode: int) -> str:
    for test, words in (
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISBLK, "a block device"),
        (stat.S_ISCHR, "a character device"),
    ):
        if test(mode):
            return words
    return "no plain file"
