"""What fail2ban is understood to say, and what is seen of a server that bans, or does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from probes_support import closed_port, deployment, vantage

from harness import judge_bans
from harness.machines.execution import Completed
from harness.observations import Observations
from harness.probes import bans
from harness.probes.bans import BAD_LOGINS, OFFENDER, observe_bans, read_verdict
from harness.scenario_file import load_all
from harness.selection import VALUES

OTHER = "outside_lan_a_v4"
CLIENT = "203.0.113.52"
BANNED = f"Banned in postfix: {CLIENT}\n"
RULESET = f"""table inet f2b-table {{
    set addr-set-postfix {{
        type ipv4_addr
        flags interval
        elements = {{ {CLIENT} }}
    }}
}}"""
IGNORED = (
    "2026-11-23 00:51:13,573 fail2ban.filter [89]: INFO [postfix] Ignore {} by ignoreself rule\n"
)
BAN = f"2026-11-23 00:51:33,411 fail2ban.actions [88]: NOTICE  [postfix] Ban {CLIENT}\n"
NO_ADMIN = (
    "2026-11-23 00:51:33,553 fail2ban.utils [88]: ERROR   7f59be6db4b0 -- exec: nft add table\n"
)


def test_a_ban_is_final_when_it_is_in_force() -> None:
    assert not read_verdict(BANNED, "", BAN).final
    verdict = read_verdict(BANNED, RULESET, BAN)
    assert verdict.final
    assert (verdict.banned, verdict.in_force) == ([CLIENT], [CLIENT])


def test_a_ban_that_the_firewall_refused_is_final_and_not_in_force() -> None:
    verdict = read_verdict(BANNED, "", BAN + NO_ADMIN)
    assert verdict.final
    assert (verdict.banned, verdict.in_force) == ([CLIENT], [])


def test_another_address_in_the_firewall_does_not_count() -> None:
    assert not read_verdict(BANNED, RULESET.replace(CLIENT, CLIENT + "0"), BAN).final


def test_ignoring_is_final_after_as_many_failures_as_a_ban_needs() -> None:
    line = IGNORED.format("10.89.0.2")
    assert not read_verdict("No IPs have been banned\n", "", line * 5).final
    assert read_verdict("No IPs have been banned\n", "", line * 6).final


def test_several_jails_and_addresses() -> None:
    status = f"{BANNED}Banned in dovecot: 192.0.2.1 2001:db8::1\n"
    verdict = read_verdict(status, "", "")
    assert verdict.jails == {"postfix": [CLIENT], "dovecot": ["192.0.2.1", "2001:db8::1"]}
    assert verdict.banned == ["192.0.2.1", "2001:db8::1", CLIENT]


# Against a small mail server


def container(log: str, status: str = "", ruleset: str = "", runs: bool = True) -> Callable:
    async def execute(command: str) -> Completed:
        said = {
            "setup fail2ban": status,
            "setup fail2ban log": log,
            "nft list ruleset": ruleset,
        }.get(command, "")
        code = 0 if runs else 1
        return Completed(command, said, "", code, 0.0)

    return execute


def observed(execute: Callable, kept_out: bool) -> Observations:
    """Bad logins on the server; after them the offender's connections go nowhere, or not."""

    async def run() -> Observations:
        async with deployment(
            vantages=[vantage(OTHER), vantage(OFFENDER)], execute=execute
        ) as site:
            if kept_out:
                at_first = bans._greetings
                looks = 0

                async def greetings(run: bans.Run) -> dict:
                    nonlocal looks
                    looks += 1
                    if looks == 2:
                        ports = dict.fromkeys(site.published, closed_port())
                        run.site = replace(
                            site, vantages=[vantage(OTHER), replace(vantage(OFFENDER), ports=ports)]
                        )
                    return await at_first(run)

                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(bans, "_greetings", greetings)
                    await observe_bans(site)
            else:
                await observe_bans(site)
            return site.observations

    return asyncio.run(run())


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGINS_WITHIN", "VERDICT_WITHIN", "RUNNING_WITHIN"):
        monkeypatch.setattr(bans, name, 1.0)


def test_a_client_that_is_banned() -> None:
    seen = observed(container(BAN, BANNED, RULESET), kept_out=True)
    bad = seen.one("bad logins", "submission", OFFENDER)
    assert bad.outcome == str(BAD_LOGINS)
    assert bad.evidence["accepted"] == 0
    assert seen.one("fail2ban", "banned").outcome == CLIENT
    judge_bans.fail2ban_runs(seen)
    judge_bans.knows_offender_as(seen, CLIENT)
    judge_bans.is_kept_out(seen, OFFENDER)
    judge_bans.is_let_in(seen, OTHER)
    with pytest.raises(AssertionError, match="shuts others out"):
        judge_bans.is_let_in(seen, OFFENDER)
    with pytest.raises(AssertionError, match="does not stop"):
        judge_bans.is_kept_out(seen, OTHER)
    with pytest.raises(AssertionError, match="others than who guesses"):
        judge_bans.knows_offender_as(seen, "10.89.0.2")


def test_a_client_that_is_ignored() -> None:
    seen = observed(container(IGNORED.format("10.89.0.2") * 9), kept_out=False)
    assert seen.one("fail2ban", "ignored").outcome == "10.89.0.2"
    judge_bans.knows_offender_as(seen, "10.89.0.0/24")
    judge_bans.is_let_in(seen, OFFENDER)


def test_without_fail2ban_it_is_inconclusive() -> None:
    seen = observed(container("", runs=False), kept_out=False)
    with pytest.raises(AssertionError, match="Inconclusive"):
        judge_bans.fail2ban_runs(seen)
    with pytest.raises(AssertionError, match="Inconclusive"):
        judge_bans.knows_offender_as(seen, CLIENT)


def record(refused: str, logged: int, accepted: int) -> Observations:
    seen = Observations("test")
    seen.record("bad logins", "submission", refused, OFFENDER, logged=logged, accepted=accepted)
    return seen


def test_bad_logins_must_be_enough_and_refused() -> None:
    judge_bans.bad_logins_refused(record("7", 9, 0), OFFENDER)
    for few in (record("5", 5, 0), record("0", 9, 0), record("error", 0, 0)):
        with pytest.raises(AssertionError, match="Inconclusive"):
            judge_bans.bad_logins_refused(few, OFFENDER)
    with pytest.raises(AssertionError, match="Anybody gets in"):
        judge_bans.bad_logins_refused(record("8", 9, 1), OFFENDER)


@pytest.mark.parametrize("judge", [judge_bans.is_kept_out, judge_bans.is_let_in])
def test_who_was_not_greeted_before_proves_nothing(judge: Callable) -> None:
    seen = Observations("test")
    for service in judge_bans.SERVICES:
        seen.record("ban", service, "no answer before", OTHER)
    with pytest.raises(AssertionError, match="Inconclusive"):
        judge(seen, OTHER)


def test_who_is_kept_out_of_one_service_only_is_neither() -> None:
    seen = Observations("test")
    seen.record("ban", "submission", "kept out", OTHER)
    seen.record("ban", "smtp", "let in", OTHER)
    for judge in (judge_bans.is_kept_out, judge_bans.is_let_in):
        with pytest.raises(AssertionError):
            judge(seen, OTHER)


def test_every_reachable_vantage_but_the_peers_is_kept_out_or_let_in() -> None:
    scenarios = load_all(Path(__file__).parents[2] / "scenarios")
    shown = [each for each in scenarios if each.settings.checks == "bans"]
    assert shown
    for scenario in shown:
        out, let_in = VALUES["banned_vantage"](scenario), VALUES["unbanned_vantage"](scenario)
        looked_at = [one for one in scenario.reachable if not one.startswith(("peer", "neigh"))]
        assert sorted([*out, *let_in]) == sorted(looked_at), scenario
        assert OFFENDER in looked_at
        assert bool(out) is bool(scenario.settings.expect.bans)
