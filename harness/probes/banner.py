"""The first line that a server says, and nothing more: the quickest look whether it is there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.vantage import Vantage


async def banner(vantage: Vantage, port: int, within: float) -> tuple[str, str]:
    """An SMTP server's first line, or nothing; and then the error.

    Args:
        vantage: from where.
        port: the machine's port.
        within: seconds for the connection and the line; postscreen begins its own at once.
    """
    waited_for = "connection"
    try:
        async with asyncio.timeout(within):
            sock = await vantage.connect(port)
            waited_for = "banner on an open connection"
            reader, writer = await asyncio.open_connection(sock=sock)
            try:
                line = (await reader.readline()).decode(errors="replace").strip()
                if line:
                    # The server's log need not show a client that broke off.
                    writer.write(b"QUIT\r\n")
                    await writer.drain()
            finally:
                writer.close()
    except TimeoutError:
        return "", f"no {waited_for} within {within:g} s"
    except OSError as error:
        return "", str(error)
    return (line, "") if line.startswith("220") else ("", line or "closed without a word")
