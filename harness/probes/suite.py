"""All probes at once, in an order that costs the least waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from harness.probes.auth import observe_bad_logins, observe_good_logins, observe_plaintext_auth
from harness.probes.bans import observe_bans
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
from harness.probes.smart_host import observe_smart_host
from harness.probes.tls import observe_tls

if TYPE_CHECKING:
    from harness.probes.inbox import Inbox
    from harness.scenario_words import Checks
    from harness.site import Site


async def observe(site: Site) -> None:
    """Run every probe against a site and record what is seen.

    While postscreen makes port 25 wait (6 s on a client's first contact), everything else is done,
    what waits longest first. The positive controls of the relay verdicts (mail in, mail out) are
    among the probes.

    Kinds of observation: `port`, `first contact`, `tls`, `plaintext auth`, `login`, `delivery`,
    `outgoing`, `unknown recipient`, `client_address`, `relay`, `command`, `seconds`.
    """
    async with (
        running(site) as run,
        run.timed("all probes"),
        watching(run, main_client(site), site.recipient) as inbox,
    ):
        await asyncio.gather(
            _timed(run, "port 25", _port_25(run, inbox)),
            _timed(run, "other ports", _other_ports(run, inbox)),
        )
        # Deliveries that were begun are waited for while the inbox is still watched.
        await _timed(run, "arrivals", run.settled())


async def observe_reachability(site: Site) -> None:
    """Look only from where which port answers."""
    async with running(site) as run, run.timed("all probes"):
        await observe_ports(run, lambda _: True)


async def observe_nothing(site: Site) -> None:
    """For what is not seen from a vantage."""


SUITES: Mapping[Checks, Callable[[Site], Coroutine[Any, Any, None]]] = {
    "matrix": observe,
    "ports": observe_reachability,
    "start": observe_nothing,
    "bans": observe_bans,
    "smart_host": observe_smart_host,
}
"""What is observed from the vantages, by what a variant is there to show."""


async def _timed(run: Run, phase: str, probe: Coroutine[Any, Any, None]) -> None:
    async with run.timed(phase):
        await probe


async def _port_25(run: Run, inbox: Inbox) -> None:
    await asyncio.gather(
        observe_ports(run, lambda service: service == "smtp"),
        observe_plaintext_auth(run, "smtp"),
        observe_incoming(run, inbox),
        observe_smtp_clients(run),
        observe_commands(run),
        observe_tls(run, "smtp"),
        observe_relay(run, lambda form: form.service == "smtp"),
    )


async def _other_ports(run: Run, inbox: Inbox) -> None:
    # Dovecot makes every login of an address wait that has failed before: the good ones first.
    await asyncio.gather(
        observe_good_logins(run), observe_submission(run, inbox), inbox.ready.wait()
    )
    await asyncio.gather(_timed(run, "failing logins", _failing_logins(run)), _without_logins(run))


async def _failing_logins(run: Run) -> None:
    try:
        await asyncio.gather(
            observe_plaintext_auth(run, "submission", "imap"),
            observe_bad_logins(run),
            observe_imap_clients(run),
            observe_relay(run, lambda form: form.fails_to_log_in),
        )
    finally:
        run.bad_logins.open()  # nobody may have got as far as to try one


async def _without_logins(run: Run) -> None:
    # Keeps the server's processors busy: not before the failing logins wait for their answers.
    await run.bad_logins.opened()
    await asyncio.gather(
        observe_ports(run, lambda service: service != "smtp"),
        observe_tls(run, "submission", "submissions", "imap", "imaps"),
        observe_submission_clients(run),
        observe_relay(run, lambda form: form.service != "smtp" and not form.fails_to_log_in),
    )
