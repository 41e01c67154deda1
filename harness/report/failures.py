"""What was not as it should be, in few words, and what to paste to see it again.

The tests judge. Their reports are only put together here: what failed in the same way from several
places, or on several ports, is one line.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from harness.addresses import PLACES
from harness.observations import deployment_id
from harness.report.marks import (
    PORT,
    REPETITION,
    SERVICE,
    VANTAGE,
    evidence_of,
    infrastructure_of,
    mark_of,
    message_of,
)
from harness.report.seen import grouped
from harness.words import from_here

AT_MOST: Final = 10
"""How many failures get lines of their own that reproduce them."""
LINES: Final = 24
"""How many lines what was not as it should be may have."""
NUMBERS: Final = 8
"""How many repetitions are named."""
WIDEST: Final = 100
"""Characters of what was seen that are shown."""
_PARTS = re.compile(r"expected: (?P<expected>.*?)\nseen:\s*(?:- )?(?P<seen>[^\n]*)", re.DOTALL)
_WHERE = re.compile(r"^.*? from \w+_v[46]: ")
_EVIDENCE = re.compile(r" \(\w+=.*$")
_NETWORKS = re.compile(r" is in (?P<networks>\S+(?:, \S+)*)$")


@dataclass(frozen=True, slots=True)
class Failure:
    """A test that failed, or could not be run.

    Attributes:
        nodeid: pytest's name for it.
        variant: the scenario variant's id, or nothing.
        is_error: whether it could not be run.
        about: service and port, in words, or nothing.
        vantage: from where, or nothing.
        expected: what was expected, where the test says so, in words.
        seen: what was seen instead, or the message's first line.
        evidence: the folder with the evidence.
        repetition: which deployment of the variant it was in, where there were several, else 0.
        infrastructure: what kept it from being tried that is not the mail server's doing.
    """

    nodeid: str
    variant: str
    is_error: bool
    about: str
    vantage: str
    expected: str
    seen: str
    evidence: Path | None
    repetition: int = 0
    infrastructure: str = ""

    @property
    def once(self) -> str:
        """What the test is called where the variant is deployed once."""
        own = deployment_id(self.variant, self.repetition)
        return self.nodeid.replace(f"[{own}", f"[{self.variant}", 1)

    @property
    def test(self) -> str:
        """What the test shows, in the words of its name."""
        function = self.nodeid.partition("::")[2].partition("[")[0] or self.nodeid
        return function.rpartition("::")[2].removeprefix("test_").replace("_", " ")


def failure_of(report: Any, is_error: bool) -> Failure:
    """What a report of pytest's says."""
    expected, seen = _said(message_of(report))
    marked = hasattr(report, "user_properties")
    scenario = mark_of(report, "scenario") if marked else ""
    service, port = (mark_of(report, name) if marked else "" for name in (SERVICE, PORT))
    return Failure(
        report.nodeid,
        f"{scenario}-{mark_of(report, 'variant')}" if scenario else "",
        is_error,
        _service(service, port),
        mark_of(report, VANTAGE) if marked else "",
        expected,
        seen,
        evidence_of(report) if marked else None,
        int(mark_of(report, REPETITION) or 0) if marked else 0,
        infrastructure_of(report),
    )


def _service(service: str, port: str) -> str:
    if not service:
        return f"port {port}" if port else ""
    return f"{service} ({port})" if port else service


def failures_of(stats: Mapping[str, Sequence[Any]]) -> list[Failure]:
    """All failures and errors that pytest's terminal reporter has counted."""
    failed = [failure_of(report, False) for report in stats.get("failed", [])]
    return failed + [failure_of(report, True) for report in stats.get("error", [])]


def _said(message: str) -> tuple[str, str]:
    """What a message of a verdict says was expected, and was seen; else its first line."""
    found = _PARTS.search(message)
    if found is None:
        first = next((line for line in message.splitlines() if line.strip()), "")
        return "", first[:WIDEST]
    seen = _EVIDENCE.sub("", _WHERE.sub("", found["seen"].strip()))
    return found["expected"].strip(), seen[:WIDEST]


# -- in few words ------------------------------------------------------------------------------


def in_words(failures: Iterable[Failure]) -> list[str]:
    """A line for each way in which something was not as it should be, by variant.

    What a machine or this computer kept from being tried is none: see `infrastructure`.
    """
    by_variant: dict[str, dict[tuple[str, str, str], list[Failure]]] = {}
    for failure in failures:
        if failure.variant and not failure.infrastructure:
            networks = _NETWORKS.search(failure.expected)
            expected = f", expected {networks['networks']}" if networks else ""
            key = (_head(failure), failure.seen, expected)
            by_variant.setdefault(failure.variant, {}).setdefault(key, []).append(failure)
    lines = []
    for variant, ways in by_variant.items():
        lines.append(variant)
        for (head, seen, expected), alike in ways.items():
            lines.append(f"  {head}{_places(alike)}: {seen}{expected}{_repetitions(alike)}")
    if len(lines) > LINES:
        left = sum(line.startswith(" ") for line in lines[LINES - 1 :])
        lines[LINES - 1 :] = [f"… and {left} more"]
    return lines


def _head(failure: Failure) -> str:
    return "could not be tried" if failure.is_error else failure.test


def _places(alike: Sequence[Failure]) -> str:
    """On which services and from where, each by its shortest words."""
    if alike[0].is_error:
        return f": {len(alike)} tests" if len(alike) > 1 else f": {alike[0].test}"
    by_service: dict[str, list[str]] = {}
    for failure in alike:
        by_service.setdefault(failure.about, []).append(failure.vantage)
    together: dict[tuple[str, ...], list[str]] = {}
    for about, vantages in by_service.items():
        together.setdefault(_from(vantages), []).append(about)
    said = []
    for vantages_, abouts in together.items():
        about = ", ".join(filter(None, abouts))
        where = f"from {', '.join(vantages_)}" if vantages_ else ""
        said.append(" ".join(filter(None, (about, where))))
    return f": {'; '.join(filter(None, said))}" if any(said) else ""


def _repetitions(alike: Iterable[Failure]) -> str:
    """In which deployments of the variant, where there were several."""
    numbers = sorted({failure.repetition for failure in alike} - {0})
    return f" (in {repetitions_in_words(numbers)})" if numbers else ""


def repetitions_in_words(numbers: Sequence[int]) -> str:
    """Which repetitions, or how many where they are many."""
    if len(numbers) > NUMBERS:
        return f"{len(numbers)} repetitions"
    return f"repetition{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


def _from(vantages: Iterable[str]) -> tuple[str, ...]:
    known = [name for name in dict.fromkeys(vantages) if name.rpartition("_v")[0] in PLACES]
    return tuple(grouped(known))


# -- to paste ----------------------------------------------------------------------------------


def pasteable(
    failures: Sequence[Failure], command: str, root: Path, here: Path, repeat: int = 1
) -> list[str]:
    """For each failure a line to paste, and where its evidence lies.

    What failed in the same way, from several places say, has one line. What failed in each
    repetition is seen again by deploying once; what did not, by as many repetitions.

    Args:
        failures: those of a run.
        command: what runs pytest as this run did, but for repetitions.
        root: the folder that the tests' ids begin at.
        here: where the command is given.
        repeat: how often each variant was deployed.
    """
    alike: dict[object, list[Failure]] = {}
    ways: dict[str, object] = {}
    seen_in: dict[str, set[int]] = {}
    for failure in failures:
        way = (failure.variant, _head(failure), failure.seen)
        # A test is the same one in all repetitions, whatever it says there.
        same = ways.setdefault(failure.once, way if failure.variant else failure)
        alike.setdefault(same, []).append(failure)
        seen_in.setdefault(failure.once, set()).add(failure.repetition)
    lines = []
    for first, *others in list(alike.values())[:AT_MOST]:
        more = f"  # and {len(others)} more like it" if others else ""
        is_always = len(seen_in[first.once]) == repeat
        again = _again(first, 1 if is_always else repeat, root, here)
        lines.append(f"reproduce: {command} {again}{more}")
        if first.evidence is not None:
            lines.append(f"  evidence: {shlex.quote(str(first.evidence))}")
    if len(alike) > AT_MOST:
        lines.append(f"… and {len(alike) - AT_MOST} more")
    return lines


def _again(first: Failure, repeat: int, root: Path, here: Path) -> str:
    """What of a command selects a failure's test, in one deployment or in as many as there were."""
    nodeid = from_here(first.once, root, here)
    if repeat == 1 or not first.repetition:
        return shlex.quote(nodeid)
    return f"--repeat={repeat} -k {first.variant} {shlex.quote(nodeid.partition('[')[0])}"
