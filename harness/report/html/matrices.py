"""The two pictures of a run: from where the ports answer, and for whom mail is relayed.

A cell's state is a word for programs; its glyph and its text are for people, so that nothing
depends on colours. What the tests hold against the observations decides here as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness import judge, judge_relay
from harness.report.html.facts import Deployed, by_place
from harness.report.seen import Fact

GLYPHS = {
    "all": "●",
    "some": "◐",
    "none": "✕",
    "surplus": "!",
    "silent": "–",
    "unsaid": "○",
    "refused": "✓",
    "expected": "R",
    "open": "R!",
    "relayed": "R?",
    "closed": "C!",
    "unclear": "?",
    "down": "↓!",
    "stays_down": "↓",
    "fell": "↓?",
    "unobserved": "",
}
"""State → what is drawn."""
DOWN = {
    "down": "did not come up, and nobody expects that",
    "stays_down": "did not come up, as the scenario expects",
    "fell": "did not come up; what is expected is not recorded",
}
REACHABILITY = {
    "all": "every published port answers",
    "some": "some published ports do not answer",
    "none": "no port answers, although it is expected",
    "surplus": "something answers that is not expected to",
    "silent": "nothing answers, as expected",
    "unsaid": "nothing answers; what is expected is not recorded",
    **DOWN,
    "unobserved": "not observed",
}
RELAY = {
    "refused": "strangers' mail is refused, in all forms",
    "expected": "RELAYED for strangers, as the scenario expects",
    "open": "RELAYED for strangers, and nobody expects it",
    "relayed": "RELAYED for strangers; what is expected is not recorded",
    "closed": "not relayed, although the scenario expects it",
    "unclear": "inconclusive",
    "silent": "nothing answers there",
    **DOWN,
    "unobserved": "not observed",
}
ALARMING = ("open", "down", "surplus", "none", "some", "closed", "unclear")
"""States that somebody should look at, the worst first."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What was seen of a deployment from one vantage.

    Attributes:
        state: a key of `GLYPHS`.
        text: the same in words.
        detail: what is written small below the glyph, such as `5/5`.
    """

    vantage: str
    state: str
    text: str
    detail: str = ""

    @property
    def glyph(self) -> str:
        """What is drawn."""
        return GLYPHS[self.state]


@dataclass(frozen=True, slots=True)
class Row:
    """A deployment's cells, in the order of the matrix's vantages."""

    deployed: Deployed
    cells: Sequence[Cell]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Deployments by vantages.

    Attributes:
        kind: the kind of observation that it is made from.
        legend: state → what it means; those that occur.
        vantages: the columns.
        rows: the deployments.
    """

    kind: str
    legend: dict[str, str]
    vantages: Sequence[str]
    rows: Sequence[Row]

    @property
    def places(self) -> list[tuple[str, list[str]]]:
        """The columns by place: its name, and the IP versions there."""
        grouped: dict[str, list[str]] = {}
        for vantage in self.vantages:
            place, _, family = vantage.rpartition("_v")
            grouped.setdefault(place or vantage, []).append(f"v{family}" if place else "")
        return list(grouped.items())

    def count(self, *states: str) -> int:
        """How many cells are in one of some states."""
        return sum(cell.state in states for row in self.rows for cell in row.cells)


def reachability(deployments: Sequence[Deployed]) -> Matrix:
    """From where the published ports answer."""
    return _matrix("port", REACHABILITY, deployments, _reached)


def relaying(deployments: Sequence[Deployed]) -> Matrix:
    """From where strangers' mail is relayed."""
    return _matrix("relay", RELAY, deployments, _relayed)


def came_down(deployed: Deployed) -> str:
    """How it is that the mail server did not come up: a key of `DOWN`; "" where it did."""
    if not deployed.failed:
        return ""
    if "fails" not in deployed.noted:
        return "fell"
    return "stays_down" if deployed.noted["fails"] else "down"


def _matrix(
    kind: str,
    legend: dict[str, str],
    deployments: Sequence[Deployed],
    look: Callable[[Deployed, str, Sequence[Fact]], Cell],
) -> Matrix:
    # A repetition of what others looked at belongs there, whatever became of it.
    names = {
        each.scenario
        for each in deployments
        if each.of(kind) or each.noted.get("checks") == "matrix"
    }
    shown = [each for each in deployments if each.scenario in names]
    seen = {str(fact["vantage"]) for each in shown for fact in each.of(kind) if fact["vantage"]}
    # Where nothing came up at all, what would have been looked at is known all the same.
    seen |= {str(v) for each in shown if each.failed for v in each.noted.get("vantages") or ()}
    vantages = sorted(seen, key=by_place)
    rows = []
    for each in shown:
        facts: dict[str, list[Fact]] = {vantage: [] for vantage in vantages}
        for fact in each.of(kind):
            facts.get(str(fact["vantage"]), []).append(fact)
        rows.append(Row(each, [look(each, vantage, facts[vantage]) for vantage in vantages]))
    occurring = {cell.state for row in rows for cell in row.cells}
    return Matrix(kind, {s: t for s, t in legend.items() if s in occurring}, vantages, rows)


def _nothing(deployed: Deployed, vantage: str) -> Cell:
    state = came_down(deployed) or "unobserved"
    return Cell(vantage, state, REACHABILITY[state])


def _reached(deployed: Deployed, vantage: str, facts: Sequence[Fact]) -> Cell:
    published = [fact for fact in facts if fact["evidence"].get("service")]
    if not published:
        return _nothing(deployed, vantage)
    # From inside, a port that a firewall leads elsewhere may well answer itself.
    surplus = [
        fact["subject"]
        for fact in facts
        if fact not in published
        and vantage.startswith("outside")
        and fact["outcome"] not in judge.CLOSED | judge.BEHIND_NOTHING
    ]
    answering = sum(fact["outcome"] == "answers" for fact in published)
    detail = f"{answering}/{len(published)}"
    expected = deployed.noted.get("vantages")
    wanted = None if expected is None else vantage in expected
    if surplus:
        text = f"port {', '.join(surplus)} answers and is not published"
        return Cell(vantage, "surplus", text, detail)
    if answering and wanted is False:
        return Cell(vantage, "surplus", REACHABILITY["surplus"], detail)
    if answering:
        state = "all" if answering == len(published) else "some"
    else:
        state = {True: "none", False: "silent", None: "unsaid"}[wanted]
    instead = sorted({fact["outcome"] for fact in published} - {"answers"})
    text = REACHABILITY[state] + (f" ({', '.join(instead)})" if instead else "")
    return Cell(vantage, state, text, detail)


def _relayed(deployed: Deployed, vantage: str, facts: Sequence[Fact]) -> Cell:
    if not facts:
        return _nothing(deployed, vantage)
    wanted = deployed.noted.get("relays_from")
    relayed = sum(fact["outcome"] == "relayed" for fact in facts)
    if relayed:
        state = "relayed" if wanted is None else "expected" if vantage in wanted else "open"
        text = f"{RELAY[state]}: {relayed} of {len(facts)} forms"
        return Cell(vantage, state, text, f"{relayed}/{len(facts)}")
    if wanted is not None and vantage in wanted:
        return Cell(vantage, "closed", RELAY["closed"])
    is_silent = all(fact["outcome"] == "no answer" for fact in facts)
    if is_silent and vantage not in deployed.noted.get("vantages", ()):
        return Cell(vantage, "silent", RELAY["silent"])
    controls = [*deployed.of("delivery"), *deployed.of("outgoing")]
    try:
        judge_relay.no_relay(deployed.as_observed([*controls, *facts]), vantage)
    except AssertionError as error:
        why = str(error).rpartition("why it matters: ")[2].removeprefix("Inconclusive: ")
        return Cell(vantage, "unclear", f"{RELAY['unclear']}: {why.removeprefix('Inconclusive. ')}")
    return Cell(vantage, "refused", f"{RELAY['refused']}: {len(facts)} tried")
