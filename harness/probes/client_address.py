"""Which client address the server sees: the question on which relay control and bans depend."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from harness.patience import patient
from harness.probes.auth import attempt
from harness.probes.imap import ImapFailedError
from harness.probes.log_lines import Sighting, imap_client, smtp_client
from harness.probes.messages import compose
from harness.probes.smtp import session
from harness.site import Account

if TYPE_CHECKING:
    from harness.probes.run import Run
    from harness.site import Service
    from harness.vantage import Vantage

LOGGED_WITHIN = 20.0
"""Seconds from the server's reply until its log must have the line."""


async def observe_smtp_clients(run: Run) -> None:
    """Record kind `client_address`, subject `smtp`: the address that Postfix logged on port 25."""
    await _everywhere(run, "smtp", _smtp)


async def observe_submission_clients(run: Run) -> None:
    """Record kind `client_address`, subject `submission` (or `submissions` where only that is)."""
    await _everywhere(run, "submission" if run.site.port_of("submission") else "submissions", _smtp)


async def observe_imap_clients(run: Run) -> None:
    """Record kind `client_address`, subject `imaps` (or `imap`): the address that Dovecot logged.

    By logins of users that do not exist: to be run when the good logins are done, all at once.
    """
    await _everywhere(run, "imaps" if run.site.port_of("imaps") else "imap", _imap)


async def _everywhere(
    run: Run,
    service: Service,
    observe: Callable[[Run, Vantage, Service], Coroutine[Any, Any, None]],
) -> None:
    if run.site.port_of(service) is None:
        return
    await asyncio.gather(
        *(
            run.guarded("client_address", service, vantage, observe(run, vantage, service))
            for vantage in run.site.vantages
        )
    )


async def _smtp(run: Run, vantage: Vantage, service: Service) -> None:
    """A recipient that does not exist, or may not be written to: refused, and logged."""
    nonce = run.nonce("client")
    sender = f"probe@{run.site.outside_domain}"
    recipient = f"{nonce}@{run.site.domain}"
    async with session(run, vantage, service) as opened:
        reply = await opened.send(
            sender, [recipient], compose(nonce, sender, recipient, rich=False)
        )
    await _logged(run, vantage, service, nonce, str(reply), smtp_client)


async def _imap(run: Run, vantage: Vantage, service: Service) -> None:
    ticket = run.bad_logins.ticket()
    nonce = run.nonce("client")
    someone = Account(f"{nonce}@{run.site.domain}", "not-a-password")
    try:
        with ticket:
            _, said = await attempt(run, vantage, service, someone, ticket)
    except ImapFailedError as broken:  # it may be logged all the same
        said = str(broken)
    await _logged(run, vantage, service, nonce, said, imap_client)


async def _logged(
    run: Run,
    vantage: Vantage,
    service: Service,
    nonce: str,
    said: str,
    find: Callable[[str, str], Sighting | None],
) -> None:
    seen = await run.log.wait_for(lambda log: find(log, nonce), patient(LOGGED_WITHIN))
    run.record(
        "client_address",
        service,
        seen.address if seen else "not logged",
        vantage.name,
        line=seen.line if seen else None,
        local=seen.local if seen else None,
        source=vantage.source,
        target=vantage.target,
        reply=said,
        nonce=nonce,
    )
