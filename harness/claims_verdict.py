"""Verdicts about the guide's claims, from the observations of one run or of several.

Pure: what is observed goes in, what it says about each claim comes out. Two rules keep out what
proves nothing: an outcome by which a probe says that it could not tell is no observation; and mail
that is refused says nothing about relaying where no mail comes and goes at all.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from harness.claims import IMAGE, Case, Claim, Feature
from harness.observations import Observation

STAND_IN = "stand-in"
"""How the outcome of what the image is begins, where it is not docker-mailserver."""
NO_OBSERVATION = ("error", "connection lost", "inconclusive", "deferred")
"""Outcomes by which a probe says that it could not tell."""
ARRIVED = ("unchanged", "changed")
"""Outcomes of mail that came to where it was sent."""


class Verdict(StrEnum):
    """What a run says about a claim."""

    UPHELD = "upheld"
    CONTRADICTED = "contradicted"
    DEPENDS = "depends"
    NOT_CHECKABLE = "not checkable here"
    NOT_RUN = "not run"

    @property
    def is_observed(self) -> bool:
        """Whether there is anything behind it."""
        return self not in (Verdict.NOT_CHECKABLE, Verdict.NOT_RUN)


@dataclass(frozen=True, slots=True)
class Seen:
    """An observation, as a case looks at it: the text looked at, and whether that is as claimed."""

    observation: Observation
    text: str
    holds: bool


@dataclass(frozen=True, slots=True)
class CaseResult:
    """A case in one environment.

    Attributes:
        case: the setting.
        where: what sets the environment apart from the others, `podman 5.4.2`; "" where all
            deployments had the same.
        holds: whether the claim is true there; None where it was not looked at.
        seen: all observations of it, in a stable order.
    """

    case: Case
    where: str
    holds: bool | None
    seen: tuple[Seen, ...] = ()

    @property
    def name(self) -> str:
        """The setting, and the environment where it matters."""
        return f"{self.case.when} ({self.where})" if self.where else self.case.when

    @property
    def telling(self) -> tuple[Seen, ...]:
        """The observations that decide it: those that agree with the result."""
        if self.case.same:
            return self.seen
        return tuple(seen for seen in self.seen if seen.holds is self.holds)


@dataclass(frozen=True, slots=True)
class ClaimVerdict:
    """What some runs say about a claim.

    Attributes:
        claim: the claim.
        verdict: what they say.
        results: its cases, each once for every environment that it was seen in.
        missing: what no machine had that was used.
        on_stand_in: it is about the mail server itself, and only a stand-in for it was seen.
    """

    claim: Claim
    verdict: Verdict
    results: tuple[CaseResult, ...] = ()
    missing: tuple[Feature, ...] = ()
    on_stand_in: bool = False

    @property
    def held(self) -> tuple[CaseResult, ...]:
        """Where it is true."""
        return tuple(result for result in self.results if result.holds)

    @property
    def broken(self) -> tuple[CaseResult, ...]:
        """Where it is not."""
        return tuple(result for result in self.results if result.holds is False)

    @property
    def cases_run(self) -> int:
        """How many of the claim's cases were looked at, anywhere."""
        return len({result.case.when for result in self.results if result.holds is not None})

    @property
    def is_partial(self) -> bool:
        """Whether some of its cases were looked at, and some were not."""
        return 0 < self.cases_run < len(self.claim.cases)

    @property
    def correction(self) -> str | None:
        """What the guide might say instead, given this verdict."""
        given = self.claim.correction
        if given is None:
            return None
        return {
            Verdict.CONTRADICTED: given.contradicted,
            Verdict.DEPENDS: given.depends,
        }.get(self.verdict)


@dataclass(frozen=True, slots=True)
class Deployed:
    """A scenario variant that was deployed in a run, with all that was observed of it."""

    scenario: str
    by_kind: Mapping[str, Sequence[Observation]]

    def fact(self, kind: str, subject: str) -> str | None:
        """The latest outcome of something; None where it was not observed."""
        found = [seen.outcome for seen in self.by_kind.get(kind, ()) if seen.subject == subject]
        known = [outcome for outcome in found if outcome not in NO_OBSERVATION]
        return known[-1] if known else None

    def has(self, feature: Feature) -> bool | None:
        """Whether the machine has something; None where that is not known."""
        if feature.subject is None or feature.has is None:
            return False
        known = self.fact(feature.kind, feature.subject)
        return None if known is None else bool(re.fullmatch(feature.has, known))

    @property
    def mail_flows(self) -> bool:
        """Whether mail came in and went out."""
        incoming = self.by_kind.get("delivery", ())
        outgoing = self.by_kind.get("outgoing", ())
        return any(
            seen.subject == "outside to mailbox" and seen.outcome in ARRIVED for seen in incoming
        ) and any(seen.outcome in ARRIVED for seen in outgoing)

    def of(self, case: Case) -> list[Observation]:
        """The observations that a case is about."""
        if not _matches(self.scenario, case.scenario):
            return []
        found = [seen for seen in self.by_kind.get(case.kind, ()) if _is_of(case, seen)]
        if case.kind == "relay" and not self.mail_flows:
            return [seen for seen in found if seen.outcome == "relayed"]
        return found

    @property
    def image(self) -> str:
        """The mail server's image, without why it was taken; a stand-in's without its digest."""
        label = (self.fact("mail server", "image") or "unknown").partition(" (")[0]
        return STAND_IN if label.startswith(STAND_IN) else label

    @property
    def environment(self) -> tuple[str, ...]:
        """What two deployments of one scenario may differ in."""
        podman = (self.fact("machine", "podman") or "unknown").removeprefix("podman version ")
        distribution = self.fact("machine", "distribution") or "unknown distribution"
        return f"podman {podman}", distribution, self.image


def kinds_of(claims: Iterable[Claim]) -> set[str]:
    """The kinds of observation that verdicts on some claims take."""
    cases = {case.kind for claim in claims for case in claim.cases}
    features = {need.kind for claim in claims for need in claim.needs}
    return cases | features | {"machine", "mail server", "delivery", "outgoing"}


def deployments(runs: Iterable[Iterable[Observation]]) -> list[Deployed]:
    """What was deployed in each of some runs, in a stable order."""
    made = []
    for run in runs:
        deployed: dict[tuple[str, int], dict[str, list[Observation]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for seen in run:
            deployed[seen.scenario, seen.repetition][seen.kind].append(seen)
        made += [Deployed(scenario, deployed[scenario, n]) for scenario, n in sorted(deployed)]
    return made


def judge(claims: Iterable[Claim], deployed: Sequence[Deployed]) -> list[ClaimVerdict]:
    """The verdicts on all claims, in their order."""
    # One whose machine is still booting, or never came up, differs in nothing.
    common = _common([each.environment for each in deployed if each.by_kind.get("machine")])
    return [_judge(claim, deployed, common) for claim in claims]


def _common(environments: Sequence[tuple[str, ...]]) -> set[str]:
    """What all environments have in common, and need not be named."""
    return set.intersection(*map(set, environments)) if environments else set()


def _judge(claim: Claim, deployed: Sequence[Deployed], common: set[str]) -> ClaimVerdict:
    fit = [each for each in deployed if all(each.has(need) for need in claim.needs)]
    results = tuple(result for case in claim.cases for result in _results(case, fit, common))
    observed = {result.holds for result in results if result.holds is not None}
    if not observed:
        missing = tuple(need for need in claim.needs if _is_missing(need, deployed))
        verdict = Verdict.NOT_CHECKABLE if missing else Verdict.NOT_RUN
        return ClaimVerdict(claim, verdict, results, missing)
    verdict = Verdict.UPHELD if observed == {True} else Verdict.CONTRADICTED
    if len(observed) > 1:
        verdict = Verdict.DEPENDS
    images = {each.image for each in fit if any(each.of(case) for case in claim.cases)}
    return ClaimVerdict(
        claim, verdict, results, on_stand_in=IMAGE in claim.depends and images == {STAND_IN}
    )


def _is_missing(need: Feature, deployed: Sequence[Deployed]) -> bool:
    """Whether no machine had it, and at least one is known not to have it."""
    known = {each.has(need) for each in deployed}
    return False in known and True not in known


def _results(case: Case, deployed: Sequence[Deployed], common: set[str]) -> list[CaseResult]:
    """A case in every environment in which it was looked at; once, without one, where in none."""
    environments: dict[tuple[str, ...], list[Observation]] = defaultdict(list)
    for each in deployed:
        environments[each.environment] += each.of(case)
    results = []
    for environment in sorted(environments):
        seen = _seen(case, environments[environment])
        if seen:
            where = ", ".join(part for part in environment if part not in common)
            enough = any if case.suffices else all
            results.append(CaseResult(case, where, enough(each.holds for each in seen), seen))
    return results or [CaseResult(case, "", None)]


def _matches(text: str, globs: Sequence[str]) -> bool:
    return any(fnmatchcase(text, glob) for glob in globs)


def _is_of(case: Case, seen: Observation) -> bool:
    return (
        seen.outcome not in NO_OBSERVATION
        and (case.counts is None or bool(re.fullmatch(case.counts, seen.outcome)))
        and _matches(seen.subject, case.subject)
        and (case.vantage is None or _matches(seen.vantage or "", case.vantage))
    )


def _seen(case: Case, found: Sequence[Observation]) -> tuple[Seen, ...]:
    ordered = sorted(
        found, key=lambda o: (o.scenario, o.repetition, o.subject, o.vantage or "", o.at)
    )
    if not case.same:
        return tuple(_looked_at(case, seen) for seen in ordered)
    # Nothing is the same as itself only: each pattern must have found something to compare.
    compared = (
        len(ordered) > 1
        and all(any(fnmatchcase(seen.scenario, glob) for seen in ordered) for glob in case.scenario)
        and all(any(fnmatchcase(seen.subject, glob) for seen in ordered) for glob in case.subject)
    )
    first = ordered[0].outcome if ordered else ""
    return tuple(Seen(o, o.outcome, o.outcome == first) for o in ordered) if compared else ()


def _looked_at(case: Case, seen: Observation) -> Seen:
    if case.equals is not None:
        return Seen(seen, seen.outcome, seen.outcome == seen.evidence.get(case.equals))
    assert case.holds is not None, "a case says what decides it"
    if case.evidence is not None and case.evidence in seen.evidence:
        given = seen.evidence[case.evidence]
        text = "\n".join(map(str, given)) if isinstance(given, list) else str(given)
        return Seen(seen, text, bool(re.search(case.holds, text)))
    return Seen(seen, seen.outcome, bool(re.fullmatch(case.holds, seen.outcome)))
