"""What changed of one scenario variant between two runs, as far as it means something."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.claims_verdict import Deployed
from harness.observations import Observation
from harness.report.diff_meaning import (
    GROUPS,
    NO_ANSWER,
    NOT_COMPARED,
    Group,
    is_same,
    is_untold,
    meaning,
    reply_class,
    shown_why,
)
from harness.report.diff_run import Key, Scenario

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
        generation: the generation where it changed; "" where there is only one.
    """

    group: Group
    scenario: str
    kind: str
    subject: str
    vantage: str | None
    before: str
    after: str
    why: str = ""
    generation: str = ""

    @property
    def is_about_relaying(self) -> bool:
        """Whether a stranger may be able to send mail who was not, or nobody knows any more."""
        return self.group is Group.OPENED or (self.group is Group.UNCLEAR and self.kind == "relay")


def changes_of(name: str, first: Scenario, second: Scenario) -> list[Change]:
    """What changed of one scenario variant, without what follows from other changes."""
    return list(Compared(name, first, second).changes())


class Compared:
    """One scenario variant in both runs; notes what it leaves out while `changes` is made."""

    def __init__(self, name: str, first: Scenario, second: Scenario) -> None:
        self.name = name
        self.both = (first, second)
        self.first = first.seen
        self.second = second.seen
        self.follow = 0
        self.new: list[Change] = []
        self.flows = tuple(
            Deployed(name, _by_kind(of)).mail_flows for of in (self.first, self.second)
        )
        # Nothing can be seen of what did not come up, and other things of what came up instead.
        start = [of.get(("deployment", "start", None)) for of in (self.first, self.second)]
        self.started_otherwise = len({seen.outcome if seen else None for seen in start}) > 1
        self.ports = {
            vantage
            for kind, subject, vantage in self.first.keys() | self.second.keys()
            if kind == "port"
            and _meaning(self.first.get((kind, subject, vantage)))
            != _meaning(self.second.get((kind, subject, vantage)))
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
        is_steady = not any(key in of.unsteady for of in self.both)
        if is_steady and before and after and is_same(before, after):
            return self._of_replies(key, before, after)
        was, now = (
            (_meaning(before), _meaning(after))
            if is_steady
            else (said(of, key) for of in self.both)
        )
        if is_steady and was == now and before and after:
            return self._of_replies(key, before, after)
        if (
            key[0] == "relay"
            and (before is None or before.outcome != RELAYED)
            and (after is not None and after.outcome == RELAYED)
        ):
            return self._change(Group.OPENED, key, was, now)
        if not is_steady:
            return self._of_repetitions(key)
        group = self._group(key, before, after)
        if before is None and group is not Group.START:
            # A harness that looks at more is no change of what it looks at.
            self.new.append(self._change(group, key, was, now))
            return None
        is_open = key[0] == "relay" and before is not None and before.outcome == RELAYED
        if self._follows(key, before, after, is_open):
            self.follow += 1
            return None
        return self._change(group, key, was, now)

    def _of_replies(self, key: Key, before: Observation, after: Observation) -> Change | None:
        """A reply of another class, which the outcome does not tell."""
        was, now = reply_class(before), reply_class(after)
        if was is None or now is None or was == now:
            return None
        group = GROUPS.get(key[0], Group.OTHER)
        same = meaning(after)
        return self._change(group, key, f"{same}, reply {was}", f"{same}, reply {now}")

    def _of_repetitions(self, key: Key) -> Change | None:
        """What repetitions disagree about, unless they did so in the same way before."""
        was, now = (of.meanings(key) for of in self.both)
        if was == now:
            return None
        is_another = was and now and not was & now
        before, after = self.first.get(key), self.second.get(key)
        group = self._group(key, before, after) if is_another else Group.UNSTEADY
        return self._change(group, key, *(said(of, key) for of in self.both))

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


def said(of: Scenario, key: Key) -> str:
    """What a thing meant, and where repetitions disagree how often."""
    if key not in of.unsteady:
        return " / ".join(of.meanings(key)) or NOT_OBSERVED
    counts = sorted(of.unsteady[key].items(), key=lambda pair: (-pair[1], pair[0]))
    return " / ".join(f"{what} ×{times}" for what, times in counts)


def _by_kind(scenario: Mapping[Key, Observation]) -> Mapping[str, Sequence[Observation]]:
    found: dict[str, list[Observation]] = {}
    for seen in scenario.values():
        found.setdefault(seen.kind, []).append(seen)
    return found
