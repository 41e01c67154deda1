"""The pytest plugin: options, parametrisation, fixtures, header. Thin: the work is elsewhere.

Tests ask for `scenario`, `deployment` or `observations` and are run for every selected scenario
variant; beside one of these they may ask for `vantage`, `service`, `closed_port`,
`tls_vantage`, `open_relay_vantage` or `closed_relay_vantage`, one value a test.
"""

from __future__ import annotations

import contextlib
import ctypes
import signal
import sys
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pytest

from harness.errors import HarnessError
from harness.scheduling import PerScenario, suggested_deployments, suggested_workers

if TYPE_CHECKING:
    from harness.deployment import Deployment
    from harness.observations import Observations
    from harness.scenario import Scenario
    from harness.session import Session

STARTED = time.monotonic()
DEPLOYMENT_TESTS = "deployments"
PR_SET_PDEATHSIG = 1

run_folder = pytest.StashKey[Path]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the harness's options."""
    group = parser.getgroup("dms-harness", "docker-mailserver deployments on Podman")
    group.addoption(
        "--machine",
        choices=["auto", "nspawn"],
        default="auto",
        help="what to deploy on: nspawn is a systemd-nspawn machine on this computer;"
        " auto takes what can run here (default)",
    )
    group.addoption(
        "--mailserver",
        default="auto",
        metavar="SOURCE",
        help="the mail server image: stand-in, upstream[:TAG], an image's name or archive, or a"
        " docker-mailserver checkout; auto takes upstream where a registry answers (default)",
    )
    group.addoption(
        "--scenarios",
        type=Path,
        metavar="DIR",
        help="the folder with the scenarios (default: scenarios beside pyproject.toml)",
    )
    group.addoption(
        "--runs",
        type=Path,
        metavar="DIR",
        help="where each run's record goes (default: runs beside pyproject.toml)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Tie an xdist worker's life to its controller's, and name the markers."""
    config.addinivalue_line(
        "markers", "once_per_scenario: shown in a scenario's first variant only"
    )
    config.addinivalue_line(
        "markers", "ends_deployment: changes the deployment's life, so it comes last"
    )
    config.addinivalue_line("markers", "integration: needs root and a minute; see `make test`")
    if hasattr(config, "workerinput"):
        # A worker outlives a controller that was killed by up to 15 s, and its machines with it.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def pytest_configure_node(node: Any) -> None:
    """Let all xdist workers write into the controller's run."""
    node.workerinput["dms_run"] = str(_run_folder(node.config))


def _run_folder(config: pytest.Config) -> Path:
    """This run's folder; made when the first deployment needs it."""
    if run_folder not in config.stash:
        from harness.session import new_run

        given = getattr(config, "workerinput", {}).get("dms_run")
        runs = config.getoption("--runs") or config.rootpath / "runs"
        config.stash[run_folder] = Path(given) if given else new_run(runs)
    return config.stash[run_folder]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """Give each scenario variant to one worker as a whole."""
    return PerScenario(config, log)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """The number behind `-n auto`: as many as are useful here."""
    return suggested_workers()


def _scenarios(config: pytest.Config) -> list[Scenario]:
    from harness.scenario import load_all

    folder = config.getoption("--scenarios") or config.rootpath / "scenarios"
    try:
        return load_all(folder)
    except HarnessError as error:
        raise pytest.UsageError(str(error)) from None


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test for every scenario variant and value that a test function asks for."""
    if "scenario" not in metafunc.fixturenames:
        return
    from harness.addresses import vantage_names
    from harness.site import Service

    scenarios = _scenarios(metafunc.config)
    if metafunc.definition.get_closest_marker("once_per_scenario"):
        scenarios = [each for each in scenarios if each.is_first]
    every = vantage_names()
    values: dict[str, Any] = {
        "vantage": lambda _: every,
        "tls_vantage": lambda _: [v for v in every if v.startswith(("outside_lan_a", "localhost"))],
        "service": lambda scenario: [s for s in get_args(Service) if s in scenario.table.publish],
        "closed_port": lambda scenario: scenario.closed_ports,
        "open_relay_vantage": lambda scenario: [v for v in every if v in scenario.relays_from],
        "closed_relay_vantage": lambda scenario: [
            v for v in every if v not in scenario.relays_from
        ],
    }
    asked = [name for name in values if name in metafunc.fixturenames]
    rows: list[tuple[Any, ...]] = [(scenario,) for scenario in scenarios]
    for name in asked:
        rows = [(*row, value) for row in rows for value in values[name](row[0])]
    metafunc.parametrize(
        ["scenario", *asked],
        rows,
        indirect=["scenario"],
        scope="session",
        ids=["-".join(str(value) for value in row) for row in rows],
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Save the evidence while the deployment of a test that failed still stands."""
    report = yield
    if report.failed and call.when == "call":
        deployed: Deployment | None = getattr(item, "funcargs", {}).get("deployment")
        if deployed is not None:
            deployed.save_evidence()
            report.sections.append(("evidence", str(deployed.folder)))
    return report


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep each scenario variant's tests together, those that end its deployment last."""
    order: dict[str, int] = {}

    def place(item: pytest.Item) -> tuple[int, bool]:
        params = getattr(getattr(item, "callspec", None), "params", {})
        scenario = str(params.get("scenario", ""))
        ends = item.get_closest_marker("ends_deployment") is not None
        return (order.setdefault(scenario, len(order)) if scenario else -1, ends)

    items.sort(key=place)


@pytest.fixture(scope="session")
def harness_session(request: pytest.FixtureRequest) -> Iterator[Session]:
    """This process's part in the run. Takes everything down at the end."""
    from harness.machines.choice import choose_machine
    from harness.mailserver.choose import choose
    from harness.session import Session

    config = request.config
    choose_machine(config.getoption("--machine"))

    def say(text: str) -> None:
        manager = config.pluginmanager.getplugin("capturemanager")
        quiet = manager.global_and_fixture_disabled() if manager else contextlib.nullcontext()
        if config.get_verbosity() > 0 or (": " in text and not text.startswith("rootless")):
            with quiet:
                print(f"\n[{time.monotonic() - STARTED:6.1f} s] {text}", end="", file=sys.stderr)

    # In an xdist worker the others are at work on the next ones.
    at_once = 1 if hasattr(config, "workerinput") else suggested_deployments()
    session = Session(_run_folder(config), choose(config.getoption("--mailserver")), say, at_once)
    if at_once > 1:
        for item in request.session.items:
            asked = getattr(item, "callspec", None)
            fixtures = getattr(item, "fixturenames", ())
            if asked is not None and "deployment" in fixtures:
                session.plan(asked.params["scenario"], "observations" in fixtures)
    try:
        yield session
    finally:
        session.close()


@pytest.fixture(scope="session")
def scenario(request: pytest.FixtureRequest) -> Scenario:
    """The scenario variant that the test is about."""
    given: Scenario = request.param
    return given


@pytest.fixture(scope="session")
def deployment(scenario: Scenario, harness_session: Session) -> Iterator[Deployment]:
    """The scenario's deployment, shared by all its tests; whether it came up is in `failure`."""
    try:
        yield harness_session.deploy(scenario)
    finally:
        harness_session.retire(scenario)


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
