"""All probes at once, in an order that costs the least waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from harness.probes.auth import observe_bad_logins, observe_good_logins, observe_plaintext_auth
from harness.probes.client_address import (
    observe_imap_clients,
    observe_smtp_clients,
    observe_submission_clients,
)
from harness.probes.commands import observe_commands
from harness.probes.inbox import watching
from harness.probes.mail_flow import observe_incoming, observe_submission
from harness.probes.places import main_client
from harness.probes.ports import observe_ports
from harness.probes.relay import observe_relay
from harness.probes.run import Run, running
from harness.probes.tls import observe_tls

if TYPE_CHECKING:
    from harness.probes.inbox import Inbox
    from harness.site import Site


async def observe(site: Site) -> None:
    """Run every probe against a site and record what is seen.

    While postscreen makes port 25 wait (6 s on a client's first contact), everything that has to
    do with logins is done: the good ones first, since Dovecot delays an address that failed.
    The positive controls of the relay verdicts (mail in, mail out) are among the probes.

    Kinds of observation: `port`, `first contact`, `tls`, `plaintext auth`, `login`, `delivery`,
    `outgoing`, `unknown recipient`, `client_address`, `relay`, `command`, `seconds`.
    """
    async with (
        running(site) as run,
        run.timed("all probes"),
        watching(run, main_client(site), site.recipient) as inbox,
    ):
        await asyncio.gather(
            _timed(run, "ports", observe_ports(run)),
            _timed(run, "port 25", _port_25(run, inbox)),
            _timed(run, "logins", _logins(run, inbox)),
        )
        # Deliveries that were begun are waited for while the inbox is still watched.
        await _timed(run, "arrivals", run.settled())


async def _timed(run: Run, phase: str, probe: Coroutine[Any, Any, None]) -> None:
    async with run.timed(phase):
        await probe


async def _port_25(run: Run, inbox: Inbox) -> None:
    await asyncio.gather(
        observe_incoming(run, inbox),
        observe_smtp_clients(run),
        observe_commands(run),
        observe_tls(run, "smtp"),
        observe_relay(run, lambda form: form.service == "smtp"),
    )


async def _logins(run: Run, inbox: Inbox) -> None:
    await asyncio.gather(
        observe_good_logins(run),
        observe_submission(run, inbox),
        observe_tls(run, "submission", "submissions", "imap", "imaps"),
        observe_submission_clients(run),
        inbox.ready.wait(),
    )
    await asyncio.gather(
        observe_plaintext_auth(run),
        observe_bad_logins(run),
        observe_imap_clients(run),
        observe_relay(run, lambda form: form.service != "smtp"),
    )
