"""What changed between two runs, as far as it means something.

Pure: two runs' observations go in, changes come out. What only one run deployed is no change, and
neither is what follows from another one, such as logins on a port that does not answer any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.claims import Claim
from harness.claims_verdict import ClaimVerdict, Deployed, deployments, judge
from harness.errors import HarnessError
from harness.observations import Observation
from harness.report.diff_meaning import (
    GROUPS,
    NO_ANSWER,
    NOT_COMPARED,
    Group,
    is_untold,
    meaning,
    shown_why,
)
from harness.report.diff_run import Key, Run, facts, seconds

Scenario = Mapping[Key, Observation]
RELAYED = "relayed"
NOT_OBSERVED = "not observed"
CONTROLS = "mail that must flow"
"""The subject that says whether a refusal to relay proves anything."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is not as it was.

    Attributes:
        group: what sort of change it is.
        scenario: the scenario variant; "" for a claim.
        kind: of the observation, or `claim`.
        subject: of the observation, or the claim's id.
        vantage: from where, or None.
        before: what was seen in the first run.
        after: what was seen in the second one.
        why: what shows it there, in a few words, or "".
    """

    group: Group
    scenario: str
    kind: str
    subject: str
    vantage: str | None
    before: str
    after: str
    why: str = ""

    @property
    def is_about_relaying(self) -> bool:
        """Whether a stranger may be able to send mail who was not, or nobody knows any more."""
        return self.group is Group.OPENED or (self.group is Group.UNCLEAR and self.kind == "relay")


@dataclass(frozen=True, slots=True)
class Difference:
    """All that is to be said of two runs.

    Attributes:
        a, b: the runs.
        changes: in the order of their groups, then by scenario.
        compared: the scenario variants of both.
        only_a, only_b: the scenario variants of one.
        follow: how many differences were left out because others explain them.
        new: how many things were observed in the second run only, and change nothing.
        facts: fact → its values in the first run and in the second, where they differ.
        seconds: phase → the median seconds in both, which mean nothing by themselves.
    """

    a: Run
    b: Run
    changes: Sequence[Change]
    compared: Sequence[str]
    only_a: Sequence[str]
    only_b: Sequence[str]
    follow: int
    new: int
    facts: Mapping[str, tuple[str, str]]
    seconds: Mapping[str, tuple[float, float]]


def compare(a: Run, b: Run, claims: Sequence[Claim] = ()) -> Difference:
    """What changed from one run to another.

    Args:
        a: the run before.
        b: the run after.
        claims: the guide's, whose verdicts are compared as well.

    Raises:
        HarnessError: they have no scenario variant in common.
    """
    first, second = a.by_scenario, b.by_scenario
    compared = sorted(first.keys() & second.keys())
    if not compared:
        raise HarnessError(
            f"{a.name} and {b.name} have no scenario variant in common",
            f"{a.name} has {_some(first)}; {b.name} has {_some(second)}",
        )
    changes: list[Change] = []
    follow = new = 0
    for name in compared:
        found = _Scenario(name, first[name], second[name])
        changes += found.changes()
        follow += found.follow
        new += found.new
    changes += _claims(claims, a, b, frozenset(compared))
    order = list(Group)
    changes.sort(key=lambda each: (order.index(each.group), each.scenario))
    ours, theirs = ([of[name] for name in compared] for of in (first, second))
    return Difference(
        a,
        b,
        changes,
        compared,
        sorted(first.keys() - second.keys()),
        sorted(second.keys() - first.keys()),
        follow,
        new,
        _differing(facts(ours), facts(theirs)),
        _both(seconds(ours), seconds(theirs)),
    )


class _Scenario:
    """One scenario variant in both runs; counts what it leaves out while `changes` is made."""

    def __init__(self, name: str, first: Scenario, second: Scenario) -> None:
        self.name = name
        self.first = first
        self.second = second
        self.follow = 0
        self.new = 0
        self.flows = tuple(Deployed(name, _by_kind(of)).mail_flows for of in (first, second))
        # Nothing can be seen of what did not come up, and other things of what came up instead.
        start = [of.get(("deployment", "start", None)) for of in (first, second)]
        self.started_otherwise = len({seen.outcome if seen else None for seen in start}) > 1
        self.ports = {
            vantage
            for kind, subject, vantage in first.keys() | second.keys()
            if kind == "port"
            and _meaning(first.get((kind, subject, vantage)))
            != _meaning(second.get((kind, subject, vantage)))
        }

    def changes(self) -> Iterable[Change]:
        """What changed, in a stable order."""
        keys = [*self.first, *(key for key in self.second if key not in self.first)]
        keys = [key for key in keys if key[0] not in NOT_COMPARED and key[:2] != _IMAGE]
        if self.flows == (True, False) and not self.started_otherwise:
            yield self._change(
                Group.UNCLEAR,
                ("relay", CONTROLS, None),
                "mail came and went",
                "no mail comes and goes, so that a refusal proves nothing",
            )
        for key in keys:
            if change := self._of(key):
                yield change

    def _of(self, key: Key) -> Change | None:
        before, after = self.first.get(key), self.second.get(key)
        was, now = _meaning(before), _meaning(after)
        if was == now:
            return None
        if (
            key[0] == "relay"
            and (before is None or before.outcome != RELAYED)
            and (after is not None and after.outcome == RELAYED)
        ):
            return self._change(Group.OPENED, key, was, now)
        group = self._group(key, before, after)
        if before is None and group is not Group.START:
            # A harness that looks at more is no change of what it looks at.
            self.new += 1
            return None
        is_open = key[0] == "relay" and before is not None and before.outcome == RELAYED
        if self._follows(key, before, after, is_open):
            self.follow += 1
            return None
        return self._change(group, key, was, now)

    def _group(self, key: Key, before: Observation | None, after: Observation | None) -> Group:
        kind = key[0]
        if kind == "deployment":
            return Group.START
        if after is None or (is_untold(after) and not (before and is_untold(before))):
            return Group.UNCLEAR
        if before is not None and is_untold(before) and not is_untold(after):
            return Group.CLEAR
        if kind == "relay" and before is not None and before.outcome == RELAYED:
            return Group.CLOSED if self.flows[1] else Group.UNCLEAR
        return GROUPS.get(kind, Group.OTHER)

    def _follows(
        self, key: Key, before: Observation | None, after: Observation | None, is_open: bool
    ) -> bool:
        """Whether another change explains it: what was started, or a port that answers or not.

        That an open relay is one no more is told in any case, where the mail server came up.
        """
        kind, _, vantage = key
        if kind == "deployment":
            return False
        if self.started_otherwise and (before is None or after is None):
            return True
        silent = [seen for seen in (before, after) if seen is not None]
        return (
            kind != "port"
            and not is_open
            and vantage in self.ports
            and any(seen.outcome == NO_ANSWER for seen in silent)
        )

    def _change(self, group: Group, key: Key, was: str, now: str) -> Change:
        kind, subject, vantage = key
        why = shown_why(self.second.get(key))
        return Change(group, self.name, kind, subject, vantage, was, now, why)


_IMAGE = ("mail server", "image")
"""In the head."""


def _meaning(seen: Observation | None) -> str:
    return NOT_OBSERVED if seen is None else meaning(seen)


def _by_kind(scenario: Scenario) -> Mapping[str, Sequence[Observation]]:
    found: dict[str, list[Observation]] = {}
    for seen in scenario.values():
        found.setdefault(seen.kind, []).append(seen)
    return found


def _claims(claims: Sequence[Claim], a: Run, b: Run, compared: frozenset[str]) -> list[Change]:
    """The claims about which the runs say different things, of what both of them deployed."""
    if not claims:
        return []
    sides = [
        judge(claims, deployments([[o for o in run.observations if o.scenario in compared]]))
        for run in (a, b)
    ]
    return [
        Change(
            Group.CLAIMS, "", "claim", was.claim.id, None, _said(was), _said(now), was.claim.quote
        )
        for was, now in zip(*sides, strict=True)
        if _said(was) != _said(now)
    ]


def _said(each: ClaimVerdict) -> str:
    """A verdict, with where it does not hold if that is not everywhere."""
    broken = sorted({result.case.when for result in each.broken})
    return f"{each.verdict} (not so: {', '.join(broken)})" if broken and each.held else each.verdict


def _differing(
    first: Mapping[str, Sequence[str]], second: Mapping[str, Sequence[str]]
) -> Mapping[str, tuple[str, str]]:
    said = {
        fact: (
            " and ".join(first.get(fact, ["unknown"])),
            " and ".join(second.get(fact, ["unknown"])),
        )
        for fact in sorted(first.keys() | second.keys())
    }
    return {fact: both for fact, both in said.items() if both[0] != both[1]}


def _both(
    first: Mapping[str, float], second: Mapping[str, float]
) -> Mapping[str, tuple[float, float]]:
    return {phase: (first[phase], second[phase]) for phase in first if phase in second}


def _some(scenarios: Iterable[str]) -> str:
    names = sorted(scenarios)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
