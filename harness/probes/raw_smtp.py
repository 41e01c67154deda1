"""Relay forms that no SMTP library may send: bytes before the greeting, and bare line feeds."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from harness.patience import patient
from harness.probes.messages import compose
from harness.probes.smtp import REPLY_WITHIN, Reply

if TYPE_CHECKING:
    from harness.probes.relay_forms import Form
    from harness.probes.run import Run
    from harness.vantage import Vantage


class Lines:
    """A bare SMTP conversation."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def reply(self, to: str) -> Reply:
        """Read one reply, all its lines.

        Raises:
            ConnectionError: the server hung up, or does not speak SMTP.
            TimeoutError: nothing came.
        """
        lines = []
        async with asyncio.timeout(patient(REPLY_WITHIN)):
            while True:
                line = (await self.reader.readline()).decode(errors="replace").rstrip("\r\n")
                if not line[:3].isdigit():
                    raise ConnectionError(f"{to}: no reply but {line!r}")
                lines.append(line)
                if line[3:4] != "-":
                    return Reply(int(line[:3]), "\n".join(one[4:] for one in lines), to)

    async def ask(self, line: str, to: str) -> Reply:
        """Send a line and read the reply."""
        self.writer.write(line.encode() + b"\r\n")
        return await self.reply(to)


async def send_early_line(
    run: Run, vantage: Vantage, form: Form, message: bytes
) -> tuple[list[Reply], str]:
    """Send a line before the greeting, then a transaction.

    Returns:
        The replies in order, the last one being what decided, and how the connection broke.
    """
    replies: list[Reply] = []
    async with run.answering(vantage, form.service) as port:
        reader, writer = await asyncio.open_connection(sock=await vantage.connect(port))
        lines = Lines(reader, writer)
        try:
            writer.write("".join(f"{line}\r\n" for line in form.before).encode())
            writer.write(f"EHLO {run.site.outside_domain}\r\n".encode())
            # A greeting, perhaps a complaint about the line, the answer to EHLO: the count differs.
            while not replies or replies[-1].code != 250:
                replies.append(await lines.reply("early line"))
                if replies[-1].code in (421, 521, 550, 554):
                    return replies, ""
            replies.append(await lines.ask(f"MAIL FROM:{form.sender}", "MAIL FROM"))
            if replies[-1].positive:
                replies.append(await lines.ask(f"RCPT TO:{form.recipient}", "RCPT TO"))
            if replies[-1].positive:
                replies.append(await lines.ask("DATA", "DATA"))
            if replies[-1].code == 354:
                replies.append(await lines.ask(message.decode() + ".", "DATA"))
        except (ConnectionError, TimeoutError) as broken:
            return replies, f"{broken}"
        else:
            return replies, ""
        finally:
            await _leave(writer)


async def send_smuggled(
    run: Run, vantage: Vantage, form: Form, message: bytes, outer: str
) -> tuple[list[Reply], str]:
    """Put a second transaction into the text of a message to a mailbox, after a false end.

    A careful server answers once to all of it. One that takes the false end answers to the
    smuggled commands too; then its answer to the smuggled RCPT or message decides.
    """
    replies: list[Reply] = []
    recipient = run.site.recipient.address
    async with run.answering(vantage, form.service) as port:
        reader, writer = await asyncio.open_connection(sock=await vantage.connect(port))
        lines = Lines(reader, writer)
        try:
            await lines.reply("greeting")
            await lines.ask(f"EHLO {run.site.outside_domain}", "EHLO")
            for command, name in (
                (f"MAIL FROM:{form.sender}", "MAIL FROM"),
                (f"RCPT TO:<{recipient}>", "RCPT TO"),
                ("DATA", "DATA"),
            ):
                replies.append(await lines.ask(command, f"outer {name}"))
                if not replies[-1].positive:
                    return replies, ""
            inner = f"MAIL FROM:{form.sender}\r\nRCPT TO:{form.recipient}\r\nDATA\r\n".encode()
            writer.write(
                compose(outer, form.sender.strip("<>"), recipient, rich=False).removesuffix(b"\r\n")
                + form.separator
                + inner
                + message
                + b".\r\nQUIT\r\n"
            )
            names = ["outer DATA", "MAIL FROM", "RCPT TO", "DATA", "smuggled text"]
            while replies[-1].code != 221:
                name = names[min(len(replies) - 3, len(names) - 1)]
                replies.append(await lines.reply(name))
        except (ConnectionError, TimeoutError) as broken:
            return _decisive(replies), str(broken)
        else:
            return _decisive(replies), ""
        finally:
            await _leave(writer)


def _decisive(replies: list[Reply]) -> list[Reply]:
    """Leave out QUIT's reply and, after a smuggled RCPT was refused, the garbage behind it."""
    kept = [reply for reply in replies if reply.code != 221]
    refused = [at for at, one in enumerate(kept) if one.to == "RCPT TO" and not one.positive]
    return kept[: refused[0] + 1] if refused else kept


async def _leave(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
