"""Run as root on a host that is somebody's own: changes it, and changes it back.

    guard.py FOLDER            follow the orders on standard input
    guard.py FOLDER --undo     change everything back that is noted, and say what

Every change is noted with what undoes it, on the disk, before it is made. When the orders end,
whatever the reason (the other side was killed, the network is cut, nothing came for `PATIENCE`
seconds), everything is undone, the last change first. What cannot be undone stays noted.

Orders are JSON objects, one a line, each with a `number` that its answer has as well:

    {"do": "change", "what": …, "run": …, "undo": …, "input": …}    → {"status": 0, "output": …}
    {"do": "run", "run": …, "input": …}                             → likewise; nothing to undo
    {"do": "undo", "keep": N}     all changes but the first N       → {"undone": […], "stuck": […]}
    {"do": "count"}                                                 → {"count": N}
    {"do": "beat"}                                                  no answer

Standard library only, for every Python since 3.9.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

PATIENCE = 120.0
"""Seconds without a word after which the other side is taken for dead."""
WITHIN = 600.0
"""Seconds that a change may take."""


class Undo:
    """The changes that were made, each with what undoes it.

    Args:
        folder: where they are noted; must survive a reboot.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / "undo.jsonl"
        self.changes: list[dict[str, str]] = []
        if self.file.exists():
            for line in self.file.read_text(encoding="utf-8").splitlines():
                # A half line is a change that was not made: it is noted before.
                with contextlib.suppress(ValueError):
                    self.changes.append(json.loads(line))

    def note(self, what: str, undo: str) -> None:
        """Note a change that is about to be made."""
        self.changes.append({"what": what, "undo": undo})
        self._write()

    def _write(self) -> None:
        fresh = self.file.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(change) + "\n" for change in self.changes)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.file)

    def back_to(self, keep: int) -> dict[str, list[str]]:
        """Undo all but the first changes; what cannot be undone stays noted."""
        undone: list[str] = []
        stuck: list[str] = []
        kept: list[dict[str, str]] = []
        while len(self.changes) > keep:
            change = self.changes.pop()
            ended = run(change["undo"])
            if ended["status"] == 0:
                undone.append(change["what"])
            else:
                stuck.append(f"{change['what']}: {ended['output'].strip()}")
                kept.insert(0, {**change, "why": ended["output"]})
            # So that nothing is undone twice where this process ends now.
            self.changes += kept
            self._write()
            del self.changes[len(self.changes) - len(kept) :]
        self.changes += kept
        return {"undone": undone, "stuck": stuck}


def run(script: str, given: str | None = None) -> dict[str, Any]:
    """Run a script of root's; its exit status and all that it wrote."""
    try:
        ended = subprocess.run(
            ["/bin/sh", "-c", script],
            input=(given or "").encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=WITHIN,
            check=False,
            cwd="/",
        )
    except subprocess.TimeoutExpired as error:
        output = (error.stdout or b"").decode(errors="replace")
        return {"status": 124, "output": f"{output}\nnot done after {WITHIN:.0f} s"}
    return {"status": ended.returncode, "output": ended.stdout.decode(errors="replace")}


def obey(undo: Undo, order: dict[str, Any]) -> dict[str, Any]:
    """Do what one order says."""
    if order["do"] == "undo":
        return dict(undo.back_to(order["keep"]))
    if order["do"] == "count":
        return {"count": len(undo.changes)}
    if order["do"] == "change":
        undo.note(order["what"], order["undo"])
    return run(order["run"], order.get("input"))


def say(**what: object) -> None:
    """Tell the other side, where there still is one."""
    with contextlib.suppress(OSError):
        os.write(1, json.dumps(what).encode() + b"\n")


def follow(undo: Undo, patience: float) -> None:
    """Follow the orders until they end."""
    received = b""
    while select.select([0], [], [], patience)[0]:
        chunk = os.read(0, 1 << 16)
        if not chunk:
            return
        *lines, received = (received + chunk).split(b"\n")
        for line in lines:
            order = json.loads(line)
            if order["do"] != "beat":
                say(number=order["number"], **obey(undo, order))


def finish(folder: Path, undo: Undo) -> dict[str, list[str]]:
    """Undo everything, and be gone where everything is undone."""
    done = undo.back_to(0)
    if not undo.changes:
        shutil.rmtree(folder, ignore_errors=True)
    return done


def main(folder: Path, only_undo: bool, patience: float = PATIENCE) -> int:
    """Change back what a dead run left; then follow orders, where any are wanted."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(error="another run is using this host")
            return 3
        # Whoever ends this process wants the host back, and not only a part of it.
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: sys.exit(0))
        undo = Undo(folder)
        if only_undo:
            done = finish(folder, undo)
            say(**done)
            return 1 if done["stuck"] else 0
        try:
            say(**undo.back_to(0))
            follow(undo, patience)
        finally:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            done = finish(folder, undo)
            say(**done)
    return 1 if done["stuck"] else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), "--undo" in sys.argv))
