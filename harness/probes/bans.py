"""Whom fail2ban keeps out after one client's bad logins.

The ban is judged by the banner. User-space forwarders (pasta, slirp4netns, rootlessport) take TCP
connections on the machine whatever the container's firewall says; then nothing is said on them.
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.patience import patient
from harness.probes.auth import attempt
from harness.probes.banner import banner
from harness.probes.imap import ImapFailedError
from harness.probes.places import main_client
from harness.probes.run import NoAnswerError, running
from harness.probes.smtp import LostError
from harness.site import Account

if TYPE_CHECKING:
    from harness.observations import Json
    from harness.probes.run import Run
    from harness.site import Service, Site
    from harness.vantage import Vantage

OFFENDER = "outside_lan_b_v4"
"""From where the bad logins come: not the client that everything else is tried from."""
BAD_LOGINS = 9
"""More than `MAX_RETRY`: not all lines need be found before the first ban."""
MAX_RETRY = 6
"""After so many failures DMS bans."""
LOGINS_WITHIN = 20.0
"""Seconds for the bad logins, begun together. The replies of the last ones may never come: the ban
takes open connections as well."""
RUNNING_WITHIN = 20.0
"""Seconds from the mail server's greeting until fail2ban must answer."""
VERDICT_WITHIN = 20.0
"""Seconds from the bad logins in the log until fail2ban must have acted on them."""
POLL = 0.5
"""Seconds between two questions to fail2ban, which tells nobody by itself."""
GREETED_WITHIN = 4.0
"""Seconds for the connection and the banner's first line; postscreen begins its own at once."""
SERVICES: tuple[Service, ...] = ("submission", "smtp")

_BANNED = re.compile(r"^Banned in (?P<jail>\S+): (?P<addresses>.+)$", re.MULTILINE)
_IGNORED = re.compile(r"\bIgnore (?P<address>\S+) by \w+")
_FAILED_LOGIN = re.compile(r"postfix/\S+: warning: .*: SASL \S+ authentication failed")
_ACTION_FAILED = re.compile(r"\bERROR\b.*(?:ban|exec|[Ff]ailed)")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What fail2ban has to say.

    Attributes:
        jails: jail → the addresses that it calls banned.
        in_force: those of them that the container's packet filter knows.
        log: fail2ban's log.
    """

    jails: dict[str, list[str]]
    in_force: list[str]
    log: str

    @property
    def banned(self) -> list[str]:
        """All addresses that are called banned, each once."""
        return sorted({address for addresses in self.jails.values() for address in addresses})

    @property
    def final(self) -> bool:
        """Whether nothing more follows from the logins: a ban, one that failed, or none at all."""
        if self.banned:
            return set(self.banned) == set(self.in_force) or bool(_ACTION_FAILED.search(self.log))
        return len(_IGNORED.findall(self.log)) >= MAX_RETRY


def read_verdict(status: str, ruleset: str, log: str) -> Verdict:
    """Read what `setup fail2ban`, `nft list ruleset` and `setup fail2ban log` print."""
    jails = {
        found["jail"]: re.split(r"[,\s]+", found["addresses"].strip())
        for found in _BANNED.finditer(status)
    }
    elements = " ".join(re.findall(r"elements = \{([^}]*)\}", ruleset))
    known = set(re.split(r"[,\s]+", elements))
    banned = {address for addresses in jails.values() for address in addresses}
    return Verdict(jails, sorted(banned & known), log)


async def observe_bans(site: Site) -> None:
    """Have one client fail to log in, and look from everywhere who is greeted after that.

    Kinds of observation: `fail2ban` (subjects `running`: `yes`, `no`; `banned` and `ignored`: the
    addresses, or `nobody`), `bad logins` (the number that was refused, with
    the number that was logged and the number that was accepted), and for each vantage and service
    `ban`: `kept out`, `let in`, or `no answer before` where nothing was to be kept from.
    """
    async with running(site) as run, run.timed("all probes"):
        before, is_running = await asyncio.gather(_greetings(run), _is_running(run))
        run.record("fail2ban", "running", "yes" if is_running else "no")
        offender = next((one for one in site.vantages if one.name == OFFENDER), main_client(site))
        await run.guarded("bad logins", "submission", offender, _log_in_badly(run, offender))
        verdict = await _await_verdict(run)
        _record_verdict(run, verdict)
        after = await _greetings(run)
        for (vantage, service), (banner, error) in after.items():
            was, _ = before[vantage, service]
            outcome = "no answer before" if not was else "let in" if banner else "kept out"
            details: dict[str, Json] = {"before": was, "banner": banner, "error": error}
            run.record("ban", service, outcome, vantage, **details)


async def _is_running(run: Run) -> bool:
    deadline = time.monotonic() + patient(RUNNING_WITHIN)
    while (await run.site.execute("fail2ban-client ping")).status != 0:
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(POLL)
    return True


async def _greetings(run: Run) -> dict[tuple[str, Service], tuple[str, str]]:
    """For every vantage and service the banner's first line, or nothing, and the error."""
    looks = [
        (vantage, service, port)
        for vantage in run.site.vantages
        for service in SERVICES
        if (port := run.site.port_of(service)) is not None and vantage.leads_to(port)
    ]
    seen = await asyncio.gather(
        *(banner(vantage, port, patient(GREETED_WITHIN)) for vantage, _, port in looks)
    )
    return {
        (vantage.name, service): each
        for (vantage, service, _), each in zip(looks, seen, strict=True)
    }


async def _log_in_badly(run: Run, offender: Vantage) -> None:
    """Try wrong passwords of an account that exists, all at once.

    One after the other, Dovecot would let each wait longer, up to 15 s.
    """
    user = run.site.sender.address
    logged_before = len(_FAILED_LOGIN.findall(await run.log.text()))
    tickets = [run.bad_logins.ticket() for _ in range(BAD_LOGINS)]

    async def one(number: int) -> str:
        wrong = Account(user, f"{run.nonce('wrong')}")
        try:
            with tickets[number] as ticket:
                accepted, said = await attempt(run, offender, "submission", wrong, ticket)
        except (LostError, ImapFailedError, NoAnswerError) as lost:
            return f"lost: {lost}"
        return f"{ {True: 'accepted', False: 'refused', None: 'deferred'}[accepted] }: {said}"

    def logged(log: str) -> int | None:
        count = len(_FAILED_LOGIN.findall(log)) - logged_before
        return count if count >= BAD_LOGINS else None

    tries = [asyncio.create_task(one(number)) for number in range(BAD_LOGINS)]
    try:
        # The log ends the wait as well: a ban keeps replies from the client, but not from the log.
        await run.log.wait_for(logged, patient(LOGINS_WITHIN))
        await asyncio.wait(tries, timeout=patient(GREETED_WITHIN))
    finally:
        for task in tries:
            task.cancel()
        ended = await asyncio.gather(*tries, return_exceptions=True)
    said = [each if isinstance(each, str) else f"no reply: {each!r}" for each in ended]
    refused = sum(each.startswith("refused") for each in said)
    count = len(_FAILED_LOGIN.findall(await run.log.text())) - logged_before
    run.record(
        "bad logins",
        "submission",
        str(refused),
        offender.name,
        user=user,
        logged=count,
        accepted=sum(each.startswith("accepted") for each in said),
        replies=list(said),
    )


async def _await_verdict(run: Run) -> Verdict:
    """Ask until fail2ban has acted, or has said that it does not, or time is up."""
    deadline = time.monotonic() + patient(VERDICT_WITHIN)
    while True:
        status, ruleset, log = await asyncio.gather(
            run.site.execute("setup fail2ban"),
            run.site.execute("nft list ruleset"),
            run.site.execute("setup fail2ban log"),
        )
        verdict = read_verdict(status.stdout, ruleset.stdout, log.stdout)
        if verdict.final or time.monotonic() > deadline:
            return verdict
        await asyncio.sleep(POLL)


def _record_verdict(run: Run, verdict: Verdict) -> None:
    jails: dict[str, Json] = {name: list(each) for name, each in verdict.jails.items()}
    telling = ("Ban ", "Ignore ", "ERROR", "WARNING")
    lines = [line for line in verdict.log.splitlines() if any(word in line for word in telling)]
    run.record(
        "fail2ban",
        "banned",
        ", ".join(verdict.banned) or "nobody",
        jails=jails,
        in_force=list(verdict.in_force),
        log=list(lines[:12]),
    )
    ignored = [found["address"] for found in _IGNORED.finditer(verdict.log)]
    addresses = ", ".join(dict.fromkeys(ignored)) or "nobody"
    run.record("fail2ban", "ignored", addresses, times=len(ignored))
