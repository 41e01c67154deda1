"""Commands that tell strangers too much or let them do too much: VRFY and ETRN."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.probes.places import main_client
from harness.probes.smtp import session

if TYPE_CHECKING:
    from harness.probes.run import Run


async def observe_commands(run: Run) -> None:
    """Record kind `command`, subjects `VRFY` and `ETRN`; the outcome is the reply's code."""
    vantage = main_client(run.site)

    async def ask() -> None:
        async with session(run, vantage, "smtp") as opened:
            for line in (f"VRFY {run.site.recipient.address}", f"ETRN {run.site.outside_domain}"):
                reply = await opened.command(line)
                subject = line.partition(" ")[0]
                run.record("command", subject, str(reply.code), vantage.name, text=reply.text)

    await run.guarded("command", "VRFY and ETRN", vantage, ask())
