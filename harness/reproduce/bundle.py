"""Packs a reproduction, to be attached to a thread: the same bytes for the same contents.

It is looked through before it is written: what still has anything of the reporter's is left out.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from harness.reproduce.scrub import Scrubber

TOP: Final = "reproduction"
MOST: Final = 1 << 20
"""Bytes of one member: as much as is read of one in a report, so that a bundle is one."""
TOLD: Final = "left-out.txt"


def checked(members: Mapping[str, str], scrub: Scrubber) -> tuple[dict[str, str], dict[str, str]]:
    """Separate what may leave from what may not.

    Args:
        members: path within the bundle → text.
        scrub: what must not occur.

    Returns:
        What may leave; and path → why, for what may not.
    """
    clean: dict[str, str] = {}
    dirty: dict[str, str] = {}
    for name, text in members.items():
        left = scrub.left_in([name, text])
        if left:
            dirty[name] = f"it still had {', '.join(left)} of the reporter's"
        elif len(text.encode()) > MOST:
            dirty[name] = f"larger than {MOST >> 20} MB"
        else:
            clean[name] = text
    return clean, dirty


def write_bundle(path: Path, members: Mapping[str, str]) -> None:
    """Write members into a `.tar.zst`: in order, of nobody, of no time."""
    import zstandard

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(members):
            data = members[name].encode()
            member = tarfile.TarInfo(f"{TOP}/{name}")
            member.size = len(data)
            member.mode = 0o644
            archive.addfile(member, io.BytesIO(data))
    path.write_bytes(zstandard.ZstdCompressor(level=12).compress(buffer.getvalue()))


def texts_in(folder: Path, prefix: str) -> dict[str, str]:
    """The texts below a folder, by the names that they have in a bundle."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            name = f"{prefix}/{path.relative_to(folder).as_posix()}"
            found[name] = path.read_text(encoding="utf-8", errors="replace")
    return found
