"""The fixtures of tests on deployments: the session, a scenario, its deployment."""

from __future__ import annotations

import gc
import importlib
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from harness.pytest_run import run_key
from harness.report.marks import NOT_APPLICABLE

if TYPE_CHECKING:
    from harness.deployment import Deployment
    from harness.observations import Observations
    from harness.scenario import Scenario
    from harness.session import Session

LATER = ("podman", "harness.report.terminal")
"""What takes long to import and is needed only after the first deployment."""


def _import_later_ones() -> None:
    for name in LATER:
        importlib.import_module(name)


@pytest.fixture(scope="session")
def harness_session(request: pytest.FixtureRequest) -> Iterator[Session]:
    """This process's part in the run. Takes everything down at the end."""
    run = request.config.stash[run_key]
    session = run.session
    for item in run.own(request.session.items):
        asked = getattr(item, "callspec", None)
        fixtures = getattr(item, "fixturenames", ())
        if asked is None or "deployment" not in fixtures:
            continue
        if not run.why_not(asked.params["scenario"]):
            session.plan(asked.params["scenario"], "observations" in fixtures)
    session.planned()
    # This process does nothing else while the first machine boots.
    threading.Thread(target=_import_later_ones, name="imports").start()
    # Modules and tests stay to the end: pytest looks for garbage among them several times then.
    gc.freeze()
    try:
        yield session
    finally:
        session.close()


@pytest.fixture(scope="session")
def scenario(request: pytest.FixtureRequest) -> Scenario:
    """The scenario variant that the test is about."""
    given: Scenario = request.param
    if reason := request.config.stash[run_key].why_not(given):
        pytest.skip(f"{NOT_APPLICABLE}{reason}")
    return given


@pytest.fixture(scope="session")
def deployment(
    request: pytest.FixtureRequest, scenario: Scenario, harness_session: Session
) -> Iterator[Deployment]:
    """The scenario's deployment, shared by all its tests; whether it came up is in `failure`."""
    try:
        yield harness_session.deploy(scenario)
    finally:
        keeps = request.config.stash[run_key].keeps(scenario)
        (harness_session.keep if keeps else harness_session.retire)(scenario)


@pytest.fixture(scope="session")
def running(deployment: Deployment) -> Deployment:
    """The deployment, where its mail server came up; otherwise the test cannot be run."""
    if deployment.failure is not None:
        pytest.fail("the mail server did not come up: see test_mail_server_comes_up", pytrace=False)
    return deployment


@pytest.fixture(scope="session")
def observations(running: Deployment) -> Observations:
    """Everything that was observed of the deployment, from every vantage."""
    return running.observe()
