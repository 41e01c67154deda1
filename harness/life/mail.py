"""The mail that is on its way when something happens to the mail server."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from harness.errors import DeploymentError
from harness.patience import patient
from harness.probes.arrival import arrival
from harness.probes.imap import ImapFailedError, connect
from harness.probes.inbox import watching
from harness.probes.log_lines import fate
from harness.probes.mail_flow import refusal
from harness.probes.messages import compose
from harness.probes.places import main_client
from harness.probes.run import NoAnswerError, running
from harness.probes.smtp import LostError, session

if TYPE_CHECKING:
    from harness.observations import Json
    from harness.probes.imap import Imap
    from harness.probes.run import Run
    from harness.site import Site

DELIVERED_WITHIN = 45.0
"""Seconds from the server's 250 to the mailbox, or to the first failed attempt to send it on."""
SENT_WITHIN = 45.0
"""Seconds from the outside's being ready for a message to its having come."""
POLL = 0.3
"""Seconds between two looks at the queue, which tells nobody by itself."""

Seen = tuple[str, "dict[str, Json]"]
"""An outcome, and what shows it."""


class Mail:
    """Two messages: one in a mailbox, one in the queue for a recipient who is put off."""

    def __init__(self) -> None:
        self._delivered = ""
        self._queued = ""
        self._recipient = ""

    async def send(self, site: Site) -> None:
        """Have one delivered, and the other one tried and kept.

        Raises:
            DeploymentError: the mail server does not do that.
        """
        async with running(site) as run, watching(run, main_client(site), site.recipient) as inbox:
            self._delivered, self._queued = run.nonce("delivered"), run.nonce("queued")
            self._recipient = f"{self._queued}@{site.outside_domain}"
            site.sink.put_off.add(self._recipient)
            sender = site.sender.address
            for nonce, recipient in (
                (self._queued, self._recipient),
                (self._delivered, site.recipient.address),
            ):
                content = compose(nonce, sender, recipient)
                async with session(run, main_client(site), "submission") as opened:
                    reply = await opened.login(site.sender)
                    if reply.positive:
                        reply = await opened.send(sender, [recipient], content)
                if not reply.positive:
                    raise DeploymentError(f"{recipient}: the mail server takes no mail: {reply}")

            def put_off(log: str) -> bool | None:
                known = fate(log, self._queued)
                return known.settled and not known.finished if known and known.settled else None

            kept = await run.log.wait_for(put_off, patient(DELIVERED_WITHIN))
            if not kept:
                raise DeploymentError(f"{self._recipient}: the message is not kept in the queue")
            await inbox.wait_for(self._delivered, patient(DELIVERED_WITHIN))

    async def look(self, site: Site) -> dict[str, Seen]:
        """What is seen of `delivered mail`, `queued mail` and `relay`, all at once."""
        async with asyncio.TaskGroup() as looks:
            seen = {
                "delivered mail": looks.create_task(self.in_mailbox(site)),
                "queued mail": looks.create_task(self.in_queue(site)),
                "relay": looks.create_task(self.strangers(site)),
            }
        return {of: task.result() for of, task in seen.items()}

    async def in_mailbox(self, site: Site) -> Seen:
        """How often the delivered message is in its mailbox.

        Outcomes: `there once`, `there N times`, `lost`, `not readable`.
        """

        def look(client: Imap) -> int:
            client.login(site.recipient)
            client.select()
            wanted = self._delivered.encode()
            return sum(
                wanted in message.partition(b"\r\n\r\n")[0]
                for message in client.new_messages(0).values()
            )

        async with running(site) as run:
            try:
                times = await connect(run, main_client(site), "imaps", look)
            except (NoAnswerError, ImapFailedError, OSError) as error:
                return "not readable", {"error": str(error)}
        outcome = {0: "lost", 1: "there once"}.get(times, f"there {times} times")
        return outcome, {"nonce": self._delivered}

    async def in_queue(self, site: Site) -> Seen:
        """Whether the other message is still in the queue: `queued`, `lost`, `already sent`."""
        lines = await self._entries(site)
        sent = site.sink.find(self._queued)
        outcome = "queued" if lines else "already sent" if sent else "lost"
        return outcome, {"recipient": self._recipient, "queue": list(lines)}

    async def _entries(self, site: Site) -> list[str]:
        listed = await site.execute("postqueue -j")
        return [line for line in listed.stdout.splitlines() if self._recipient in line]

    async def sent_at_last(self, site: Site) -> Seen:
        """How often the queued message arrives, once the outside takes it.

        Outcomes: `arrived once`, `arrived N times`, `lost` (it is in no queue any more, and did
        not arrive), `still queued`.
        """
        site.sink.put_off.discard(self._recipient)
        await site.execute("postqueue -f")
        deadline = time.monotonic() + patient(SENT_WITHIN)
        while True:
            left = await self._entries(site)
            if not left or time.monotonic() > deadline:
                break
            await asyncio.sleep(POLL)
        # The sink keeps a message before it says 250: what has left the queue is there.
        times = len(site.sink.find(self._queued))
        details: dict[str, Json] = {"recipient": self._recipient, "queue": list(left)}
        if left and not times:
            reasons = [json.loads(line).get("recipients") for line in left]
            return "still queued", details | {"reasons": reasons}
        return {0: "lost", 1: "arrived once"}.get(times, f"arrived {times} times"), details

    async def strangers(self, site: Site) -> Seen:
        """What becomes of a stranger's mail to the outside, from the first outside client.

        Outcomes: `relayed`, `refused`, `deferred`, `accepted, not arrived`, `no answer`,
        `connection lost`.
        """
        async with running(site) as run:
            with suppress(NoAnswerError):
                try:
                    return await _try_to_relay(run)
                except (LostError, OSError) as error:
                    return "connection lost", {"error": str(error) or repr(error)}
        return "no answer", {}


async def _try_to_relay(run: Run) -> Seen:
    sender, recipient = f"stranger@{run.site.outside_domain}", f"probe@{run.site.outside_domain}"
    nonce = run.nonce("relay")
    async with session(run, main_client(run.site), "smtp") as opened:
        reply = await opened.send(
            sender, [recipient], compose(nonce, sender, recipient, rich=False)
        )
    details: dict[str, Json] = {
        "reply": str(reply),
        "nonce": nonce,
        "from": main_client(run.site).name,
    }
    if not reply.positive:
        return refusal(reply), details
    arrived, known = await arrival(run, nonce)
    details |= {"client": known.client if known else None}
    return "relayed" if arrived else "accepted, not arrived", details
