"""The verdicts on the guide's claims: of everything, and of each generation by itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.claims import Claim, load_claims
from harness.claims_verdict import ClaimVerdict, Verdict, deployments, judge, kinds_of
from harness.observations import Observation
from harness.report.claims import Ledger
from harness.report.html.facts import Deployed
from harness.report.html.side_by_side import Generation

ORDER = (
    Verdict.CONTRADICTED,
    Verdict.DEPENDS,
    Verdict.UPHELD,
    Verdict.NOT_CHECKABLE,
    Verdict.NOT_RUN,
)
"""The verdicts in the order in which a reader wants them."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is said of one claim.

    Attributes:
        of_all: by all generations together.
        each: by each of them, in their order.
    """

    of_all: ClaimVerdict
    each: Sequence[ClaimVerdict]

    @property
    def is_different(self) -> bool:
        """Whether two generations that observed anything of it say different things."""
        return len({one.verdict for one in self.each if one.verdict.is_observed}) > 1


@dataclass(frozen=True, slots=True)
class Ledgers:
    """All verdicts.

    Attributes:
        whole: of all generations together.
        judgements: one for each claim, in the order of the file.
    """

    whole: Ledger
    judgements: Sequence[Judgement]

    @property
    def by_verdict(self) -> dict[Verdict, list[Judgement]]:
        """The claims with each verdict."""
        return {
            verdict: [each for each in self.judgements if each.of_all.verdict is verdict]
            for verdict in ORDER
        }

    @property
    def differing(self) -> list[Judgement]:
        """The claims that generations disagree about."""
        return [each for each in self.judgements if each.is_different]


def ledgers(among: Sequence[Generation], claims_file: Path) -> Ledgers:
    """The verdicts of some generations.

    Raises:
        ClaimsError: the file of claims is wrong.
    """
    claims = load_claims(claims_file)
    kinds = kinds_of(claims)
    parts = [_ledger(claims, kinds, each.deployed) for each in among]
    if len(parts) == 1:
        whole = parts[0]
    else:
        whole = _ledger(claims, kinds, [one for each in among for one in each.deployed])
    together = zip(whole.verdicts, *(part.verdicts for part in parts), strict=True)
    return Ledgers(whole, [Judgement(of_all, each) for of_all, *each in together])


def _ledger(claims: Sequence[Claim], kinds: set[str], of: Iterable[Deployed]) -> Ledger:
    # Deployments of different runs are different ones, also where they are of one variant.
    by_run: dict[str, list[Observation]] = {}
    for each in of:
        facts = [fact for fact in each.facts if fact["kind"] in kinds]
        by_run.setdefault(each.run, []).extend(Observation(**fact) for fact in facts)
    deployed = deployments(list(by_run.values()))
    return Ledger(judge(claims, deployed), deployed)
