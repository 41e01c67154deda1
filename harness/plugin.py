"""The pytest plugin: options, parametrisation, fixtures, header. Thin: the work is elsewhere.

Tests ask for `scenario`, `deployment` or `observations` and are run for every selected scenario
variant; beside one of these they may ask for a value of `harness.selection.VALUES`.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.errors import HarnessError
from harness.scheduling import (
    PerScenario,
    scope_of,
    share_of,
    suggested_deployments,
    suggested_workers,
)
from harness.selection import is_empty, places

if TYPE_CHECKING:
    from harness.deployment import Deployment
    from harness.keeper.client import Keeper
    from harness.machines.choice import Choice
    from harness.observations import Observations
    from harness.scenario import Scenario
    from harness.session import Session

STARTED = time.monotonic()
DEPLOYMENT_TESTS = Path("tests") / "deployments"
PR_SET_PDEATHSIG = 1
REPRODUCED = 10
"""How many failures get a line of their own that reproduces them."""
AHEAD = 6
"""For up to so many variants a machine boots before it is known which tests there are."""
LATER = ("podman", "harness.report.terminal")
"""What takes long to import and is needed only after the first deployment."""

run_folder: pytest.StashKey[Path] = pytest.StashKey()
scenarios_key: pytest.StashKey[list[Scenario]] = pytest.StashKey()
keeper_key: pytest.StashKey[Future[Keeper]] = pytest.StashKey()
session_key: pytest.StashKey[Session] = pytest.StashKey()
machine_key: pytest.StashKey[Choice] = pytest.StashKey()


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
    config.addinivalue_line(
        "markers", "checks(...): for variants that are there to show this; by default `matrix`"
    )
    config.addinivalue_line("markers", "must_fail: for variants that must not come up")
    config.addinivalue_line("markers", "integration: needs root and a minute; see `make test`")
    if hasattr(config, "workerinput"):
        # A worker outlives a controller that was killed by up to 15 s, and its machines with it.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _same_again(config: pytest.Config) -> str:
    """The command that this run was, with the options that decide what is tested."""
    program = sys.argv[0]
    words = [sys.executable, "-m", "pytest"] if program.endswith("__main__.py") else [program]
    if config.getoption("--scenarios"):
        words.append(f"--scenarios={config.getoption('--scenarios')}")
    for option in ("--machine", "--mailserver"):
        if config.getoption(option) != "auto":
            words.append(f"{option}={config.getoption(option)}")
    return shlex.join(words)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Let all xdist workers write into the controller's run, and take the same image."""
    node.workerinput["dms_run"] = str(_run_folder(node.config))
    if session_key in node.config.stash:
        label = node.config.stash[session_key].image.label
        node.workerinput["dms_image"] = (label.source, label.why)


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _deploys(config: pytest.Config) -> bool:
    """Whether this run's arguments lead to the tests that deploy."""
    tests = config.rootpath / DEPLOYMENT_TESTS
    given = [config.invocation_params.dir / str(arg).split("::")[0] for arg in config.args]
    return any(
        tests.is_relative_to(path.resolve()) or path.resolve().is_relative_to(tests)
        for path in given
    )


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """See that machines can be made before any test asks for one, and say what they are."""
    config = session.config
    if _is_worker(config) or not _deploys(config):
        return
    try:
        if not config.option.collectonly:
            _keeper(config)
        _scenarios(config)  # a mistake in one of them is said before minutes of building
        if config.option.collectonly:
            return
        assert _session(config).golden
        if getattr(config.option, "dist", "no") != "no":
            config.stash[session_key].close()
        else:
            _boot_ahead(config)
    except HarnessError as error:
        raise pytest.UsageError(str(error)) from None


def _keeper(config: pytest.Config) -> Future[Keeper]:
    """The keeper, which starts in the background; begun when it is first needed."""
    if keeper_key not in config.stash:
        from harness import cache
        from harness.keeper.client import Keeper
        from harness.machines.choice import choose_machine

        config.stash[machine_key] = choose_machine(config.getoption("--machine"))
        starting = ThreadPoolExecutor(1, thread_name_prefix="keeper")
        config.stash[keeper_key] = starting.submit(Keeper, cache.folder(), "run")
        starting.shutdown(wait=False)
    return config.stash[keeper_key]


def _boot_ahead(config: pytest.Config) -> None:
    """Let a machine boot while tests are collected, where few variants can be asked for."""
    from harness.keywords import narrowed

    called = {each: {each.id, *each.words} for each in _scenarios(config)}
    words = config.getoption("keyword")
    asked_for = narrowed(words, called) if words else list(called)
    # Many of them take longer to collect than a machine to boot, and much longer to be deployed.
    if 0 < len(asked_for) <= AHEAD:
        config.stash[session_key].boot_ahead(asked_for[0])


def _session(config: pytest.Config) -> Session:
    """This process's part in the run; made when it is first needed."""
    if session_key not in config.stash:
        from harness.mailserver.choose import ASKED_FOR, choose
        from harness.session import Session

        keeper = _keeper(config)
        option, why = config.getoption("--mailserver"), ASKED_FOR
        if _is_worker(config):
            source, reason = getattr(config, "workerinput", {}).get("dms_image", ("auto", ""))
            if option == "auto":
                option, why = source, reason
        workers = _workers(config)
        at_once = max(1, suggested_deployments() // workers)
        say = _saying(config)
        config.stash[session_key] = Session(
            _run_folder(config),
            choose(option, why=why),
            keeper,
            say,
            at_once,
            starting=max(1, (os.cpu_count() or 1) // workers),
            phases=say if config.get_verbosity() > 0 else None,
        )
    return config.stash[session_key]


def _workers(config: pytest.Config) -> int:
    """How many processes share this computer's cores in this run."""
    return int(getattr(config, "workerinput", {}).get("workercount", 1))


def _saying(config: pytest.Config) -> Callable[[str], None]:
    """What tells the user at the terminal what is being done, whatever pytest captures."""

    def say(text: str) -> None:
        manager = config.pluginmanager.getplugin("capturemanager")
        quiet = manager.global_and_fixture_disabled() if manager else contextlib.nullcontext()
        with quiet:
            print(f"[{time.monotonic() - STARTED:6.1f} s] {text}", file=sys.stderr, flush=True)

    return say


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say which machine, which distribution, which podman and which image, and why."""
    if session_key not in config.stash:
        return []
    session = config.stash[session_key]
    facts = session.golden.facts
    return [
        f"machine: {config.stash[machine_key]}: {facts['distribution']}, {facts['podman']},"
        f" {facts['systemd'].partition(' (')[0]}, kernel {facts['kernel']}",
        f"mail server: {session.image.label}",
    ]


def pytest_terminal_summary(terminalreporter: Any, exitstatus: int, config: pytest.Config) -> None:
    """Show what was seen, and a line to paste for each failure."""
    reporter = terminalreporter
    words = config.getoption("keyword")
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and words and _deploys(config):
        from harness.keywords import near

        names = {name for each in _scenarios(config) for name in (each.folder.name, each.variant)}
        hint = near(words, names) or "`dms-harness list` shows what there is"
        reporter.write_line(f"ERROR: -k {words!r} selects nothing: {hint}", red=True)
    if run_folder in config.stash and not _is_worker(config):
        from rich.console import Console

        from harness.report.terminal import print_summary

        reporter.ensure_newline()
        console = Console(
            file=reporter._tw._file,
            width=max(reporter._tw.fullwidth, 100),
            no_color=not reporter._tw.hasmarkup,
            force_terminal=reporter._tw.hasmarkup,
        )
        kind = config.stash[machine_key].kind if machine_key in config.stash else ""
        print_summary(console, config.stash[run_folder], kind)
        _sum_up_claims(reporter, config)
    failed = [report.nodeid for report in reporter.stats.get("failed", [])]
    command = _same_again(config)
    for nodeid in failed[:REPRODUCED]:
        reporter.write_line(f"reproduce: {command} {shlex.quote(nodeid)}")
    if len(failed) > REPRODUCED:
        reporter.write_line(f"… and {len(failed) - REPRODUCED} more")


def _sum_up_claims(reporter: Any, config: pytest.Config) -> None:
    """Write down what the run says about the guide's claims, and tell it in a line."""
    from harness.report.claims import write_and_sum_up

    run = config.stash[run_folder]
    scenarios = config.getoption("--scenarios") or config.rootpath / "scenarios"
    try:
        said = write_and_sum_up(run, scenarios)
    except HarnessError as error:
        reporter.write_line(f"ERROR: {error}", red=True)
        return
    if said:
        is_default = run.parent == Path("runs").absolute()
        reporter.write_line(f"{said}; dms-harness claims{'' if is_default else f' {run}'}")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Take down what no fixture did: a session whose tests were all deselected, or never ran."""
    if session_key in config.stash:
        config.stash[session_key].close()
    elif keeper_key in config.stash:
        with contextlib.suppress(HarnessError):  # what ended the run has been said
            config.stash[keeper_key].result().close()


def _run_folder(config: pytest.Config) -> Path:
    """This run's folder; made when the first deployment needs it."""
    if run_folder not in config.stash:
        from harness.session import new_run

        given = getattr(config, "workerinput", {}).get("dms_run")
        runs = config.getoption("--runs") or config.rootpath / "runs"
        config.stash[run_folder] = Path(given) if given else new_run(runs)
    return config.stash[run_folder]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """Give each scenario variant to one worker as a whole."""
    return PerScenario(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """The number behind `-n auto`: as many as are useful here."""
    return suggested_workers()


def _scenarios(config: pytest.Config) -> list[Scenario]:
    """All scenario variants: the same objects for every test, as pytest's fixtures need them."""
    if scenarios_key not in config.stash:
        from harness.scenario_file import load_all

        folder = config.getoption("--scenarios") or config.rootpath / "scenarios"
        try:
            config.stash[scenarios_key] = load_all(folder)
        except HarnessError as error:
            raise pytest.UsageError(str(error)) from None
    return config.stash[scenarios_key]


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test for every scenario variant and value that a test function asks for."""
    if "scenario" not in metafunc.fixturenames:
        return
    from harness.selection import parametrize

    parametrize(metafunc, _scenarios(metafunc.config))


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let `-k` select by a scenario's dimensions as well as by its name."""
    asked = getattr(item, "callspec", None)
    if asked is not None and "scenario" in asked.params and not is_empty(item):
        item.extra_keyword_matches.update(asked.params["scenario"].words)


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


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None]:
    """Keep each scenario variant's tests together and in order, those that end it last."""
    # pytest makes a test that is skipped where a test is for no scenario variant.
    items[:] = [item for item in items if not is_empty(item)]
    place = places(items)
    yield  # pytest sorts by the parameters of all session fixtures, which scatters the tests
    items.sort(key=place)


def _own(session: pytest.Session) -> list[pytest.Item]:
    """The tests that this process will be asked to run."""
    given = getattr(session.config, "workerinput", None)
    if given is None:
        return session.items
    scopes = dict.fromkeys(scope_of(item.nodeid) for item in session.items)
    mine = set(share_of(scopes, given["workerid"], given["workercount"]))
    return [item for item in session.items if scope_of(item.nodeid) in mine]


def _import_later_ones() -> None:
    for name in LATER:
        importlib.import_module(name)


@pytest.fixture(scope="session")
def harness_session(request: pytest.FixtureRequest) -> Iterator[Session]:
    """This process's part in the run. Takes everything down at the end."""
    session = _session(request.config)
    for item in _own(request.session):
        asked = getattr(item, "callspec", None)
        fixtures = getattr(item, "fixturenames", ())
        if asked is not None and "deployment" in fixtures:
            session.plan(asked.params["scenario"], "observations" in fixtures)
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
