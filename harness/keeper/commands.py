"""Long commands of the keeper's, whose lines are passed on as they come."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

LAST = 30
"""Lines that are kept for whoever asked for the command."""
BACKTRACE = "\tfrom "
"""How the lines begin, after its first, with which a Ruby program shows where it failed; there may
be more of them than are kept."""


async def follow(
    progress: Callable[[str], Awaitable[None]],
    command: Sequence[str],
    environment: Mapping[str, str],
    shown: tuple[str, ...],
    called: str,
    log: Path | None = None,
) -> list[str]:
    """Run a command to its end; return the last lines that it wrote.

    Args:
        progress: takes the lines that begin with one of `shown`, without mmdebstrap's `I: `.
        command: what to run.
        environment: all of its variables.
        shown: how the lines begin that are worth telling.
        called: what the command is called in errors, whatever stands before it.
        log: a file that all lines are added to.

    Raises:
        OSError: it failed; the text holds its last lines.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment,
        limit=1 << 20,
    )
    assert process.stdout is not None
    last: deque[str] = deque(maxlen=LAST)
    try:
        with log.open("a", encoding="utf-8") if log else contextlib.nullcontext() as file:
            async for line in process.stdout:
                text = line.decode(errors="replace").rstrip()
                if not text.startswith(BACKTRACE):
                    last.append(text)
                if file is not None:
                    file.write(f"{text}\n")
                    file.flush()
                if text.startswith(shown):
                    await progress(text.removeprefix("I: "))
        status = await process.wait()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        raise
    if status != 0:
        raise OSError(f"{called} ended with status {status}:\n" + "\n".join(last))
    return list(last)
