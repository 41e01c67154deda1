"""Logins: refused in clear text, accepted with the right password, refused with a wrong one."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import TYPE_CHECKING

from harness.probes.imap import Imap, ImapFailedError, connect
from harness.probes.places import first_of_each_family
from harness.probes.smtp import LostError, session
from harness.site import Account

if TYPE_CHECKING:
    from harness.observations import Json
    from harness.probes.gate import Ticket
    from harness.probes.run import Run
    from harness.site import Service
    from harness.vantage import Vantage

LOGIN_SERVICES: tuple[Service, ...] = ("submission", "submissions", "imap", "imaps")


def _vantages(run: Run) -> list[Vantage]:
    """One outside client and localhost: who may log in does not depend on the address family."""
    return [one for one in first_of_each_family(run.site) if one.family == 4] or list(
        run.site.vantages[:1]
    )


async def observe_plaintext_auth(run: Run, *services: Service) -> None:
    """Record kind `plaintext auth`: whether a login without TLS is offered, and refused if tried.

    Outcomes: `refused` (neither offered nor accepted), `offered` (refused, but offered),
    `accepted`. A nonexistent account is used: nothing secret travels in clear, and the server
    refuses before it looks at it.

    Args:
        run: the run.
        services: the subjects; those whose ports begin in clear: `smtp`, `submission`, `imap`.
    """
    observe = {"smtp": _plaintext_smtp, "submission": _plaintext_smtp, "imap": _plaintext_imap}
    await asyncio.gather(
        *(
            run.guarded("plaintext auth", service, vantage, observe[service](run, vantage, service))
            for vantage in _vantages(run)
            for service in services
            if run.site.port_of(service) is not None
        )
    )


async def _plaintext_smtp(run: Run, vantage: Vantage, service: Service) -> None:
    someone = Account(f"{run.nonce('clear')}@{run.site.domain}", "not-a-password")
    async with session(run, vantage, service, security="plain") as opened:
        offered = "auth" in opened.extensions
        reply = await opened.login(someone)
        outcome = "accepted" if reply.positive else "offered" if offered else "refused"
        # 535 means that the server took the password in clear and judged it: as bad as 235.
        if reply.code == 535:
            outcome = "accepted"
        words = sorted(opened.extensions)
        run.record(
            "plaintext auth", service, outcome, vantage.name, reply=str(reply), offered=list(words)
        )


async def _plaintext_imap(run: Run, vantage: Vantage, service: Service) -> None:
    # Where Dovecot takes it, as it does from the server's own address, it fails there.
    ticket = run.bad_logins.ticket()
    someone = Account(f"{run.nonce('clear')}@{run.site.domain}", "not-a-password")

    def tried(client: Imap) -> tuple[list[str], str]:
        words = client.capabilities
        ticket.arrive_in_thread()
        try:
            return words, f"accepted: {client.login(someone)}"
        except ImapFailedError as refused:
            return words, str(refused)

    with ticket:
        words, said = await connect(run, vantage, service, tried)
    # AUTHENTICATIONFAILED: the server took the password in clear and judged it, as bad as OK.
    judged = "AUTHENTICATIONFAILED" in said or said.startswith("accepted")
    outcome = "accepted" if judged else "refused" if "LOGINDISABLED" in words else "offered"
    run.record("plaintext auth", service, outcome, vantage.name, reply=said, offered=list(words))


async def observe_good_logins(run: Run) -> None:
    """Record kind `login`, subject `SERVICE good password`: `accepted`, `refused`."""
    await asyncio.gather(
        *(
            run.guarded(
                "login",
                f"{service} good password",
                vantage,
                _login(run, vantage, service, run.site.sender, "good password"),
            )
            for vantage in _vantages(run)
            for service in LOGIN_SERVICES
            if run.site.port_of(service) is not None
        )
    )


async def observe_bad_logins(run: Run) -> None:
    """Record kind `login`, subject `SERVICE bad password`: `refused`, `accepted`.

    To be run after the good logins: Dovecot delays every later login of an address that has
    failed, by 2 s and more (see `probes.gate`).
    """
    wrong = Account(run.site.sender.address, run.nonce("wrong"))
    gate = run.bad_logins
    await asyncio.gather(
        *(
            run.guarded(
                "login",
                f"{service} bad password",
                vantage,
                _login(run, vantage, service, wrong, "bad password", gate.ticket()),
            )
            for vantage in _vantages(run)
            for service in LOGIN_SERVICES
            if run.site.port_of(service) is not None
        )
    )


async def _login(
    run: Run,
    vantage: Vantage,
    service: Service,
    account: Account,
    what: str,
    ticket: Ticket | None = None,
) -> None:
    subject = f"{service} {what}"
    try:
        with ticket or nullcontext():
            accepted, said = await attempt(run, vantage, service, account, ticket)
    except (LostError, ImapFailedError) as broken:
        run.record("login", subject, "connection lost", vantage.name, error=str(broken))
        return
    details: dict[str, Json] = {"reply": said, "user": account.address}
    outcome = {True: "accepted", False: "refused", None: "deferred"}[accepted]
    run.record("login", subject, outcome, vantage.name, **details)


async def attempt(
    run: Run,
    vantage: Vantage,
    service: Service,
    account: Account,
    ticket: Ticket | None = None,
) -> tuple[bool | None, str]:
    """Log in once over TLS; whether it was accepted (None: a temporary failure), and the reply.

    Args:
        run: the run.
        vantage: from where.
        service: to what.
        account: the name and password to try.
        ticket: for a login that must fail: it is tried when the gate opens.

    Raises:
        NoAnswerError: the port gives no greeting from there.
        LostError, ImapFailedError: the connection broke.
    """
    if service in ("submission", "submissions", "smtp"):
        helo = f"{run.nonce('login')}.{run.site.outside_domain}"
        async with session(run, vantage, service, helo=helo) as opened:
            if ticket:
                await ticket.arrive()
            reply = await opened.login(account)
        return (None if 400 <= reply.code < 500 else reply.positive), str(reply)

    def tried(client: Imap) -> tuple[bool | None, str]:
        if service == "imap":
            client.starttls()
        if ticket:
            ticket.arrive_in_thread()
        try:
            return True, client.login(account)
        except ImapFailedError as refused:
            said = str(refused)
            return (None if "UNAVAILABLE" in said else False), said

    return await connect(run, vantage, service, tried)
