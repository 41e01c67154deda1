"""The summary of a run on the page of its job on GitHub, in Markdown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from rich.text import Text

from harness.report import not_applicable, stability
from harness.report.failures import in_words, pasteable
from harness.report.html.verdicts import ended
from harness.report.infrastructure import of_run
from harness.report.seen import Fact, addresses_seen, apart, finding, ports_answering, together
from harness.report.terminal import NOT_SHOWN, PLACES, read

if TYPE_CHECKING:
    from harness.pytest_run import Run
    from harness.report.failures import Failure

COUNTED: Final = {"passed": "passed", "failed": "failed", "error": "errors", "skipped": "skipped"}
FEW: Final = 40
"""So many scenario variants are shown at once; more when the reader asks for them."""
LIMIT: Final = 500_000
"""Bytes: half of what GitHub takes from a step."""


def write_summary(
    path: Path, reporter: Any, exitstatus: int, run: Run, failures: Sequence[Failure]
) -> None:
    """Append a run's summary to the file that GitHub shows.

    Args:
        path: what `GITHUB_STEP_SUMMARY` says.
        reporter: pytest's terminal reporter, at its end.
        exitstatus: pytest's.
        run: the run.
        failures: what did not pass.
    """
    counts = {word: len(reporter.stats.get(name, [])) for name, word in COUNTED.items()}
    counted = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    sign = "✅" if exitstatus == pytest.ExitCode.OK else "❌"
    how = "interrupted: " if exitstatus == pytest.ExitCode.INTERRUPTED else ""
    lines = [f"## {sign} {how}{counted or 'no test has been run'}", ""]
    by_scenario = _by_scenario(read(run.folder / "observations.jsonl"))
    lines += [f"- {label}" for label in labels(run, by_scenario)]
    wrong = of_run(run.folder, ended(reporter.stats))
    if wrong.counts:
        lines += ["", "### Infrastructure", "", *fenced(wrong.lines)]
    if run.repeat > 1:
        found = stability.stability_of(
            stability.read_run(run.folder), ended(reporter.stats), run.repeat
        )
        lines += ["", f"### {stability.HEADING.format(run.repeat).capitalize()}", ""]
        lines += fenced(stability.in_lines(found))
    if failures:
        config = run.config
        here = config.invocation_params.dir
        lines += ["", "### Not as it should be", "", *fenced(in_words(failures))]
        lines += ["", "To see it again:", ""]
        lines += fenced(pasteable(failures, run.command, config.rootpath, here, run.repeat))
    if by_scenario:
        rows = table(by_scenario)
        if len(by_scenario) > FEW:
            rows = [f"<details><summary>{len(by_scenario)} variants</summary>", "", *rows]
            rows += ["", "</details>"]
        lines += ["", "### Seen", "", *rows]
    if run.machine.kind in NOT_SHOWN:
        lines += ["", f"Not checkable here: {NOT_SHOWN[run.machine.kind]}."]
    lines += ["", *(f"- {line}" for line in not_applicable.in_words(not_applicable.why(reporter)))]
    text = "\n".join(lines).rstrip() + "\n\n"
    with path.open("a", encoding="utf-8") as file:
        file.write(text.encode()[:LIMIT].decode(errors="ignore"))


def labels(run: Run, by_scenario: Mapping[str, Sequence[Fact]]) -> list[str]:
    """What was deployed on, and which mail server: all that were observed."""
    said: dict[str, set[str]] = defaultdict(set)
    for facts in by_scenario.values():
        for fact in facts:
            if fact["kind"] in ("machine", "mail server"):
                said[f"{fact['kind']} {fact['subject']}"].add(fact["outcome"])

    def known(*names: str) -> str:
        return ", ".join(", ".join(sorted(said[f"machine {name}"])) for name in names if name)

    made_of = known(*(n for n in ("distribution", "podman", "systemd") if said[f"machine {n}"]))
    images = ", ".join(sorted(said["mail server image"])) or "unknown"
    return [f"machine: {run.machine}: {made_of or 'unknown'}", f"mail server: {images}"]


def table(by_scenario: Mapping[str, Sequence[Fact]]) -> list[str]:
    """A row for each scenario variant: ports, addresses seen, relay verdict."""
    heads = ["scenario variant", "ports", *(f"{place} is" for place in PLACES), "seen, or relays"]
    lines = [_row(heads), _row(["---"] * len(heads))]
    for scenario, facts in sorted(by_scenario.items()):
        deployed = apart(facts)
        cells = [together(ports_answering(each) for each in deployed)]
        for place in PLACES:
            seen = (addresses_seen(each).get(place, {"–"}) for each in deployed)
            cells.append(together(Text(", ".join(sorted(names))) for names in seen))
        cells.append(together(finding(each) for each in deployed))
        lines.append(_row([scenario, *(cell.plain for cell in cells)]))
    return lines


def fenced(lines: Sequence[str]) -> list[str]:
    """Lines that Markdown takes as they are."""
    fence = "````"
    return [fence, *(line.replace(fence, "'''") for line in lines), fence]


def _by_scenario(facts: Sequence[Fact]) -> dict[str, list[Fact]]:
    found: dict[str, list[Fact]] = defaultdict(list)
    for fact in facts:
        found[fact["scenario"]].append(fact)
    return found


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
