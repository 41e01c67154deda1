"""The ledger of the guide's claims: at the terminal, as JSON, and in one line."""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.claims import FILE, load_claims
from harness.claims_verdict import (
    CaseResult,
    ClaimVerdict,
    Deployed,
    Verdict,
    deployments,
    judge,
    kinds_of,
)
from harness.errors import ClaimsError
from harness.observations import read
from harness.report.as_json import schema
from harness.report.runs import OBSERVATIONS, RunsError, find
from harness.report.wording import aside, counted, place, shown

STYLES = {
    Verdict.UPHELD: "green",
    Verdict.CONTRADICTED: "bold red",
    Verdict.DEPENDS: "bold yellow",
    Verdict.NOT_CHECKABLE: "cyan",
    Verdict.NOT_RUN: "dim",
}
MARKS = {True: ("✓", "green"), False: ("✗", "red"), None: ("·", "dim")}
ON_STAND_IN = "seen with a stand-in for the mail server, not with docker-mailserver itself"
ID_WIDTH, VERDICT_WIDTH = 4, 20
NOT_DISTINCTIVE = ("host_key", "image", "kernel")
"""Facts about a machine that say nothing about how the guide fares on it."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The verdicts of some runs, and what was run.

    Attributes:
        verdicts: one for each claim, in the order of the file.
        deployed: what they come from.
    """

    verdicts: Sequence[ClaimVerdict]
    deployed: Sequence[Deployed]

    @property
    def variants(self) -> int:
        """How many scenario variants were deployed, each counted once."""
        return len({each.scenario for each in self.deployed})

    @property
    def images(self) -> list[str]:
        """Which mail server's images there were."""
        return sorted({each.image for each in self.deployed})

    @property
    def machine(self) -> dict[str, list[str]]:
        """Fact → what it was on the machines: one value, or several."""
        facts: dict[str, set[str]] = {}
        for each in self.deployed:
            for seen in each.by_kind.get("machine", ()):
                if seen.subject not in NOT_DISTINCTIVE:
                    facts.setdefault(seen.subject, set()).add(seen.outcome)
        return {fact: sorted(values) for fact, values in facts.items()}

    @property
    def counts(self) -> str:
        """How many claims have which verdict, in words."""
        counted = Counter(each.verdict for each in self.verdicts)
        words = {verdict: str(verdict) for verdict in Verdict}
        if counted[Verdict.DEPENDS] > 1:
            words[Verdict.DEPENDS] = "depend"
        return ", ".join(f"{counted[v]} {words[v]}" for v in Verdict if counted[v])


def ledger_of(runs: Sequence[Path], claims_file: Path) -> Ledger:
    """What some runs' folders say about the claims of a file.

    Raises:
        ClaimsError: the file is wrong, or a folder holds no observations.
    """
    claims = load_claims(claims_file)
    kinds = kinds_of(claims)
    try:
        folders = find(runs).runs
    except RunsError as error:
        raise ClaimsError(error.message, error.hint) from None
    observed = [read(run / OBSERVATIONS, kinds) for run in folders]
    deployed = deployments(observed)
    return Ledger(judge(claims, deployed), deployed)


def write_and_sum_up(
    run: Path, scenarios: Path, infrastructure: Mapping[str, Any] | None = None
) -> str:
    """Write `claims.json` into a run's folder; return one line, or nothing without observations.

    Args:
        run: the folder.
        scenarios: where the file of claims is.
        infrastructure: what went wrong that is not the mail server's doing, where that is known.

    Raises:
        ClaimsError: the file of claims is wrong. Scenarios of one's own need not have one.
    """
    file = scenarios / FILE
    if not (file.is_file() and (run / OBSERVATIONS).is_file()):
        return ""
    ledger = ledger_of([run], file)
    (run / "claims.json").write_text(
        as_json(ledger, [run], [{"run": str(run), **(infrastructure or {})}]), encoding="utf-8"
    )
    return f"claims of the guide: {ledger.counts}"


def chosen(ledger: Ledger, ids: Sequence[str]) -> list[ClaimVerdict]:
    """The verdicts on some claims, by their ids.

    Raises:
        ClaimsError: there is no such claim.
    """
    known = {each.claim.id: each for each in ledger.verdicts}
    for name in ids:
        if name.upper() not in known:
            near = difflib.get_close_matches(name.upper(), known, 3, 0.5)
            raise ClaimsError(
                f"there is no claim {name!r}", f"there is {', '.join(near or [*known][:3])}, …"
            )
    return [known[name.upper()] for name in ids]


def as_json(
    ledger: Ledger, runs: Sequence[Path], infrastructure: Sequence[Mapping[str, Any]]
) -> str:
    """The ledger for other programs; of each run, what was not the mail server's doing as well."""
    made: dict[str, Any] = {
        "schema": schema("claims"),
        "runs": [str(run) for run in runs],
        "machine": ledger.machine,
        "images": ledger.images,
        "variants": ledger.variants,
        "infrastructure": list(infrastructure),
        "counts": dict(Counter(str(each.verdict) for each in ledger.verdicts)),
        "claims": [claim_json(each) for each in ledger.verdicts],
    }
    return json.dumps(made, ensure_ascii=False, indent=1) + "\n"


def claim_json(each: ClaimVerdict) -> dict[str, Any]:
    """A verdict for other programs."""
    claim = each.claim
    return {
        "id": claim.id,
        "verdict": str(each.verdict),
        "quote": claim.quote,
        "section": claim.section,
        "test": claim.test,
        "depends": list(claim.depends),
        "needs": [{"name": need.name, "would": need.would} for need in each.missing],
        "on_stand_in": each.on_stand_in,
        "cases_run": each.cases_run,
        "cases": [
            {
                "when": result.case.when,
                "where": result.where,
                "holds": result.holds,
                "seen": counted(result),
                "observations": len(result.seen),
            }
            for result in each.results
        ],
        "correction": each.correction,
    }


def print_ledger(console: Console, ledger: Ledger, runs: Sequence[Path]) -> None:
    """Print all verdicts, section by section; what was not run, in short, at the end."""
    console.print(_head(ledger, runs), style="dim", soft_wrap=True)
    section = ""
    for each in ledger.verdicts:
        if each.verdict is Verdict.NOT_RUN:
            continue
        if each.claim.section != section:
            section = each.claim.section
            console.print(Text(f"\n{section}", style="bold"))
        console.print(_row(each))
    idle = [each for each in ledger.verdicts if each.verdict is Verdict.NOT_RUN]
    if idle:
        console.print(Text("\nnot run", style="bold dim"))
        table = _table()
        for each in idle:
            table.add_row(each.claim.id, _idle(each), Text(f"“{each.claim.quote}”"), style="dim")
        table.columns[-1].no_wrap, table.columns[-1].overflow = True, "ellipsis"
        console.print(table)
    console.print()
    console.print(Text(ledger.counts), style="bold")
    if any(each.on_stand_in for each in ledger.verdicts):
        console.print(f"* {ON_STAND_IN}", style="dim")
    console.print("all evidence of one: dms-harness claims --id C44", style="dim")


def _head(ledger: Ledger, runs: Sequence[Path]) -> str:
    machine = ledger.machine
    facts = [" and ".join(machine.get(fact, ["?"])) for fact in ("distribution", "podman")]
    facts += [f"SELinux {' and '.join(machine['selinux'])}"] if "selinux" in machine else []
    return (
        f"{', '.join(map(str, runs))}: {ledger.variants} scenario variants\n"
        f"{', '.join(facts)}; mail server: {', '.join(ledger.images)}"
    )


def _table() -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(width=ID_WIDTH)
    table.add_column(width=VERDICT_WIDTH)
    table.add_column(overflow="fold", ratio=1)
    table.expand = True
    return table


def _row(each: ClaimVerdict) -> Table:
    """A claim: its quote, and below it a line for each case."""
    table = _table()
    star = " *" if each.on_stand_in else ""
    verdict = Text(f"{each.verdict}{star}", style=STYLES[each.verdict])
    if each.is_partial:
        verdict.append(f"\n{each.cases_run} of {len(each.claim.cases)} cases run", style="dim")
    table.add_row(Text(each.claim.id, style="bold"), verdict, _told(each))
    return table


def _told(each: ClaimVerdict) -> Text:
    told = Text(f"“{each.claim.quote}”")
    if each.verdict is Verdict.NOT_CHECKABLE:
        for need in each.missing:
            told.append(f"\nneeds {need.name}: {need.would}", style="dim")
        return told
    for result in each.results:
        told.append("\n").append_text(_case(result))
    return told


def _case(result: CaseResult) -> Text:
    mark, style = MARKS[result.holds]
    line = Text(f"{mark} ", style=style).append(result.name, style="dim")
    if result.holds is None:
        return line.append(": not run", style="dim")
    return line.append(": ", style="dim").append(counted(result), style="default")


def _idle(each: ClaimVerdict) -> str:
    number = len(each.claim.cases)
    return {0: "no case yet", 1: "1 case"}.get(number, f"{number} cases")


def print_claim(console: Console, each: ClaimVerdict) -> None:
    """Print one claim with everything that was observed of it."""
    claim = each.claim
    console.print(_row(each))
    about = {
        "section": claim.section,
        "tested by": claim.test,
        "depends on": ", ".join(claim.depends),
        "needs": "; ".join(f"{need.name} ({need.would})" for need in claim.needs),
        "note": ON_STAND_IN if each.on_stand_in else "",
        "correction": each.correction or "",
    }
    for name, text in about.items():
        if text:
            console.print(Text(f"{name}: ", style="dim").append(text, style="default"))
    for result in each.results:
        console.print()
        console.print(_case(result))
        for seen in result.seen:
            mark, style = MARKS[seen.holds]
            line = Text(f"  {mark} ", style=style)
            line.append(f"{place(seen)}: {shown(seen, result)}", style="default")
            line.append(f"  {aside(seen, result)}", style="dim")
            line.rstrip()
            console.print(line, soft_wrap=True)
