"""What a test's report says beside its outcome: what it is about, and where the evidence lies.

These are pytest's `user_properties`, so they travel from xdist's workers, and are in JUnit XML.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from harness.errors import infrastructure
from harness.observations import variant_and_repetition

if TYPE_CHECKING:
    import pytest

    from harness.deployment import Deployment
    from harness.pytest_run import Run
    from harness.scenario import Scenario

EVIDENCE: Final = "evidence"
REPETITION: Final = "repetition"
INFRASTRUCTURE: Final = "infrastructure"
VANTAGE: Final = "vantage"
SERVICE: Final = "service"
PORT: Final = "port"
NOT_APPLICABLE: Final = "not applicable here: "
"""How the reason begins why a variant's tests are skipped."""
Marks = Iterable[tuple[str, Any]]


def scenario_of(item: pytest.Item) -> Scenario | None:
    """The scenario variant that a test is about, or None."""
    params: dict[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
    scenario: Scenario | None = params.get("scenario")
    # What `is_empty` says of a test that is for no variant is not one either.
    return scenario if hasattr(scenario, "table") else None


def marks_of(item: pytest.Item) -> list[tuple[str, str]]:
    """What a test is about: scenario, variant, and where there are such repetition and values.

    Empty for a test that is about no scenario.
    """
    scenario = scenario_of(item)
    if scenario is None:
        return []
    params: dict[str, Any] = item.callspec.params  # type: ignore[attr-defined]
    marks = [("scenario", scenario.folder.name), ("variant", scenario.variant)]
    if scenario.repetition:
        marks.append((REPETITION, str(scenario.repetition)))
    for name, value in params.items():
        if name == VANTAGE or name.endswith("_vantage") or name == "outside_client":
            marks.append((VANTAGE, str(value)))
        elif name == SERVICE or name in ("login", "log_of") or name.endswith("_login"):
            marks.append((SERVICE, str(value)))
            if value in scenario.table.publish:
                marks.append((PORT, str(scenario.table.publish[value])))
        elif name.endswith("_port"):
            marks.append((PORT, str(value)))
    return marks


def mark_of(report: Any, name: str) -> str:
    """What a report has by this name, or nothing."""
    return next((str(value) for key, value in report.user_properties if key == name), "")


def mark(item: pytest.Item, report: pytest.TestReport, name: str, value: str) -> None:
    """Have a test's report and those that follow say something, once."""
    if (name, value) not in item.user_properties:
        item.user_properties.append((name, value))
        report.user_properties.append((name, value))


def name_evidence(item: pytest.Item, report: pytest.TestReport, run: Run) -> None:
    """Have the report of a test that did not pass name the evidence, which is saved now.

    Args:
        item: the test.
        report: of one of its phases.
        run: this process's.
    """
    scenario = scenario_of(item)
    if not report.failed or scenario is None or not run.has_folder:
        return
    deployed: Deployment | None = getattr(item, "funcargs", {}).get("deployment")
    if deployed is not None and report.when == "call":
        deployed.save_evidence()  # it still stands
    folder = run.folder / scenario.id
    if folder.is_dir():
        report.sections.append((EVIDENCE, str(folder)))
        mark(item, report, EVIDENCE, str(folder))


def name_infrastructure(
    item: pytest.Item, report: pytest.TestReport, error: BaseException | None
) -> None:
    """Have the report of a test say where a machine or this computer kept it from being tried."""
    # At its end it has been tried: what is left of a run then is a matter of its own.
    if not report.failed or error is None or report.when == "teardown":
        return
    if why := infrastructure(error):
        mark(item, report, INFRASTRUCTURE, why)


def infrastructure_of(report: Any) -> str:
    """What kept a test from being tried that is not the mail server's doing, or nothing."""
    return mark_of(report, INFRASTRUCTURE) if hasattr(report, "user_properties") else ""


def evidence_of(report: Any) -> Path | None:
    """The folder with the evidence of a test that did not pass, or None."""
    folder = mark_of(report, EVIDENCE)
    return Path(folder) if folder else None


def deployment_of(nodeid: str) -> str:
    """The deployment that a test is about, by pytest's name for it, or nothing.

    That is the variant's id, with the repetition's number where there are several.
    """
    return "-".join(nodeid.partition("[")[2].rstrip("]").split("-")[:2])


def variant_of(nodeid: str) -> str:
    """The scenario variant that a test is about, whichever repetition, or nothing."""
    return variant_and_repetition(deployment_of(nodeid))[0]


def why_not_applicable(message: str) -> str:
    """Why a variant cannot be judged on a machine, by what a skipped test says, or nothing."""
    return message.partition(NOT_APPLICABLE)[2]


def message_of(report: Any) -> str:
    """The message of a failure without the traceback, or the reason of a test that was skipped."""
    if isinstance(report.longrepr, tuple):  # file, line, reason
        return str(report.longrepr[2])
    crash = getattr(report.longrepr, "reprcrash", None)
    said = str(crash.message if crash is not None else report.longrepr or "")
    return re.sub(r"^(?:AssertionError|Failed): ", "", said)
