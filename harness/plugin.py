"""The pytest plugin: options, parametrisation, header. Thin: the work is elsewhere.

Tests ask for `scenario`, `deployment` or `observations` and are run for every selected scenario
variant; beside one of these they may ask for a value of `harness.selection.VALUES`.
"""

from __future__ import annotations

import ctypes
import signal
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from harness.errors import HarnessError
from harness.interrupt import show_where_known
from harness.kept.options import END, OPTION, Keep
from harness.machines.options import add_options
from harness.pytest_run import Run, run_key
from harness.report.marks import (
    infrastructure_of,
    marks_of,
    name_evidence,
    name_infrastructure,
    scenario_of,
)
from harness.scheduling import PerScenario, suggested_workers
from harness.selection import is_empty, places
from harness.words import joined

pytest_plugins = ("harness.fixtures",)
PR_SET_PDEATHSIG = 1

MAY_BE_PATHS = ("--mailserver", "--runs", "--scenarios", "--vagrant-box")
"""Those of our options whose value may be there as a file or folder."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the harness's options."""
    group = parser.getgroup("dms-harness", "docker-mailserver deployments on Podman")
    add_options(group.addoption)
    group.addoption(
        "--mailserver",
        default="auto",
        metavar="SOURCE",
        help="the mail server image: stand-in, upstream[:TAG], an image's name or archive, or a"
        " docker-mailserver checkout; auto takes upstream where a registry answers (default)",
    )
    group.addoption(
        OPTION,
        choices=[each.value for each in Keep],
        default=Keep.NEVER.value,
        help="which deployments stay after the run, for you to look at: those with a test that"
        " failed, all, or none (default); `dms-harness clean --kept` ends what stays",
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
    group.addoption(
        "--repeat",
        type=int,
        default=1,
        metavar="N",
        help="deploy each selected scenario variant N times, on a fresh machine each, and say at"
        " the end how stable it is (default: 1)",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Begin again where an option's value is taken for a test's path, by a worker as well."""
    given = config.invocation_params
    is_found = config.inipath is not None and given.dir.is_relative_to(config.rootpath)
    distributed = getattr(config.option, "dist", "no") != "no"
    if (is_found and not distributed) or hasattr(config, "workerinput"):
        return None
    words = joined([str(arg) for arg in given.args], MAY_BE_PATHS, will_exist=distributed)
    return None if words is None else pytest.main(words, given.plugins)


def pytest_configure(config: pytest.Config) -> None:
    """Tie an xdist worker's life to its controller's, and name the markers."""
    run = config.stash[run_key] = Run(config)
    config.pluginmanager.register(run, "dms-harness-run")
    config.addinivalue_line(
        "markers", "once_per_scenario: shown in a scenario's first variant only"
    )
    config.addinivalue_line(
        "markers", "ends_deployment: changes the deployment's life, so it comes last"
    )
    config.addinivalue_line(
        "markers", "checks(...): for variants that are there to show this; by default `matrix`"
    )
    # It is podman-py's affair, and would be below every run's summary.
    config.addinivalue_line("filterwarnings", "ignore:SOCKS support in urllib3")
    config.addinivalue_line("markers", "must_fail: for variants that must not come up")
    config.addinivalue_line("markers", "integration: needs root and a minute; see `make test`")
    if hasattr(config, "workerinput"):
        # A worker outlives a controller that was killed by up to 15 s, and its machines with it.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Let all xdist workers write into the controller's run, and take the same image."""
    node.config.stash[run_key].hand_over(node.workerinput)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """See that machines can be made before any test asks for one, and say what they are."""
    run = session.config.stash[run_key]
    if run.is_worker or not run.deploys:
        return
    try:
        run.prepare()
    except HarnessError as error:
        raise pytest.UsageError(str(error)) from None


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say which machine, which distribution, which podman and which image, and why."""
    run = config.stash[run_key]
    if not run.has_session:
        return []
    facts = run.session.stock.facts
    made_of = (
        f"{facts['distribution']}, {facts['podman']},"
        f" {facts['systemd'].partition(' (')[0]}, kernel {facts['kernel']}"
        if facts
        else "each process makes its own; what they are is among the observations"
    )
    return [
        f"machine: {run.machine}: {made_of}",
        f"mail server: {run.session.image.label}",
        *(f"kept by a run before: {each}; {END} ends it" for each in run.kept_before()),
    ]


@pytest.hookimpl(tryfirst=True)
def pytest_keyboard_interrupt(excinfo: pytest.ExceptionInfo[BaseException]) -> None:
    """Let pytest show where it was interrupted, wherever that was."""
    show_where_known(excinfo.tb)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell more in JUnit XML, once pytest has written it."""
    if session.config.getoption("xmlpath", None):
        from harness.report.junit import complete_for

        complete_for(session.config.stash[run_key])


def pytest_terminal_summary(terminalreporter: Any, exitstatus: int, config: pytest.Config) -> None:
    """Show what was seen, and a line to paste for each failure."""
    from harness.report.pytest_summary import summarize

    config.stash[run_key].stop_live()
    summarize(terminalreporter, exitstatus, config.stash[run_key])


def pytest_enter_pdb(config: pytest.Config) -> None:
    """Leave the terminal to the debugger."""
    config.stash[run_key].stop_live()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Take down what no fixture did."""
    if run_key in config.stash:
        config.stash[run_key].close()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """Give each scenario variant to one worker as a whole."""
    return PerScenario(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """The number behind `-n auto`: as many as are useful here."""
    return suggested_workers()


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test for every scenario variant and value that a test function asks for."""
    if "scenario" not in metafunc.fixturenames:
        return
    from harness.selection import parametrize

    parametrize(metafunc, metafunc.config.stash[run_key].scenarios)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let `-k` select by a scenario's dimensions as well as by its name."""
    asked = getattr(item, "callspec", None)
    if asked is not None and "scenario" in asked.params and not is_empty(item):
        item.extra_keyword_matches.update(asked.params["scenario"].words)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Say in each report what its test is about; leave out what would end what is kept."""
    item.user_properties += marks_of(item)
    scenario = scenario_of(item)
    run = item.config.stash[run_key]
    if scenario and item.get_closest_marker("ends_deployment") and run.keeps(scenario):
        pytest.skip(f"not done: {OPTION} {run.keep} keeps the deployment as it is")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Save the evidence while the deployment of a test that failed still stands; name it."""
    report = yield
    run = item.config.stash[run_key]
    name_evidence(item, report, run)
    name_infrastructure(item, report, call.excinfo.value if call.excinfo else None)
    if report.failed and (scenario := scenario_of(item)):
        run.note_failure(scenario)
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: Any) -> tuple[str, str, str] | None:
    """A machine that is lost while a test looks at it is an error, and no failure of the test."""
    if report.when == "call" and report.failed and infrastructure_of(report):
        return "error", "E", "ERROR"
    return None


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Leave out what pytest makes where a test is for no scenario variant, before it is counted."""
    report = yield
    # One that is asked for by its name alone would be said not to exist.
    if not any("::" in arg for arg in collector.config.args):
        report.result = [each for each in report.result if not is_empty(each)]
    return report


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None]:
    """Keep each scenario variant's tests together and in order, those that end it last."""
    if empty := [item for item in items if is_empty(item)]:
        items[:] = [item for item in items if not is_empty(item)]
        config.hook.pytest_deselected(items=empty)
    place = places(items)
    yield  # pytest sorts by the parameters of all session fixtures, which scatters the tests
    items.sort(key=place)
