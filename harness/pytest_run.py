"""A run as pytest's hooks see it: its folder, its scenarios, its keeper and its session.

Each is made when it is first needed: a run of unit tests needs none, a worker of xdist's takes the
folder and the image from its controller.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from concurrent.futures import Future
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness import cache
from harness.errors import HarnessError, HostError
from harness.kept.options import OPTION, Keep, insist
from harness.machines.options import options_of
from harness.memory import budget_of
from harness.pytest_telling import Telling
from harness.scheduling import scope_of, share_of, suggested_ahead, suggested_deployments

if TYPE_CHECKING:
    from harness.keeper.client import Keeper
    from harness.kept.marker import Kept
    from harness.machines.choice import Choice
    from harness.scenario import Scenario
    from harness.session import Session

DEPLOYMENT_TESTS = Path("tests") / "deployments"
AHEAD = 6
"""For up to so many variants a machine boots before it is known which tests there are."""


class Run(Telling):
    """What one process of pytest's does for the harness."""

    def __init__(self, config: pytest.Config) -> None:
        super().__init__(config)
        self._keeper: Future[Keeper] | None = None
        self._session: Session | None = None
        self._failed: set[str] = set()
        self._was_interrupted = False

    @property
    def deploys(self) -> bool:
        """Whether the arguments lead to the tests that deploy."""
        tests = self.config.rootpath / DEPLOYMENT_TESTS
        given = [
            self.config.invocation_params.dir / str(arg).split("::")[0] for arg in self.config.args
        ]
        return any(
            tests.is_relative_to(path.resolve()) or path.resolve().is_relative_to(tests)
            for path in given
        )

    @property
    def words(self) -> str:
        """What was given to `-k`."""
        words: str = self.config.getoption("keyword")
        return words

    @property
    def repeat(self) -> int:
        """How often each scenario variant is deployed."""
        times: int = self.config.getoption("--repeat")
        return times

    @property
    def scenarios_folder(self) -> Path:
        """The folder with the scenarios and the claims."""
        folder: Path | None = self.config.getoption("--scenarios")
        return folder or self.config.rootpath / "scenarios"

    @cached_property
    def scenarios(self) -> list[Scenario]:
        """All scenario variants: the same objects for every test, as pytest's fixtures need them.

        With what is expected on this run's machines, where there is anything that deploys.

        Raises:
            UsageError: one of them is wrong, or there can be no machine.
        """
        written = self._written
        depends = any(each.written is not None for each in written)
        if not depends or not self.deploys or self.config.option.collectonly:
            return written
        from harness.on_machine import on_machine
        from harness.opening import facts_of

        try:
            return on_machine(written, facts_of(self.session.stock))
        except HarnessError as error:
            raise pytest.UsageError(str(error)) from None

    @cached_property
    def _written(self) -> list[Scenario]:
        """All scenario variants, as they are read."""
        from harness.scenario_file import load_all

        if self.repeat < 1:
            raise pytest.UsageError(f"--repeat {self.repeat}: a variant is deployed once at least")
        try:
            every = load_all(self.scenarios_folder)
        except HarnessError as error:
            raise pytest.UsageError(str(error)) from None
        # All variants once, then all once more: a run that is interrupted tells of each of them.
        return list(
            chain.from_iterable(zip(*(each.repeated(self.repeat) for each in every), strict=True))
        )

    # -- what deploys --------------------------------------------------------------------------

    def prepare(self) -> None:
        """See that machines can be made, before any test asks for one.

        Raises:
            HarnessError: they cannot, with the remedy.
            UsageError: a scenario is wrong.
        """
        only_lists = self.config.option.collectonly
        if not only_lists:
            _ = self.keeper
        _ = self._written  # a mistake in one of them is said before minutes of building
        if only_lists:
            return
        distributed = getattr(self.config.option, "dist", "no") != "no"
        if distributed and self.machine.kind == "ssh":
            raise HostError(
                f"--machine ssh:{self.machine.why}: the host is one, and -n runs several at once",
                "leave -n out",
            )
        insist(self.keep, self.machine)
        self.start_live()
        stock = self.session.stock
        if distributed:
            self.session.close()  # the workers' machines are their own
        else:
            stock.prepare()
            self._boot_ahead()

    def _boot_ahead(self) -> None:
        """Let a machine boot while tests are collected, where few variants can be asked for."""
        from harness.keywords import narrowed

        called = {each: {each.id, *each.words} for each in self.scenarios if not self.why_not(each)}
        asked_for = narrowed(self.words, called) if self.words else list(called)
        # Many of them take longer to collect than a machine to boot, and much longer to deploy.
        if 0 < len(asked_for) <= AHEAD:
            self.session.boot_ahead(asked_for[0])

    @cached_property
    def machine(self) -> Choice:
        """The kind of machine that is deployed on."""
        from harness.machines.choice import choose_machine

        return choose_machine(options_of(self.config.option))

    @property
    def keeper(self) -> Future[Keeper]:
        """The keeper, which starts in the background."""
        if self._keeper is None:
            from harness.opening import begin_keeper

            self._keeper = begin_keeper(self.machine)
        return self._keeper

    @property
    def has_session(self) -> bool:
        """Whether this process has deployed, or was about to."""
        return self._session is not None

    @property
    def session(self) -> Session:
        """This process's part in the run."""
        if self._session is None:
            from harness.mailserver.choose import ASKED_FOR, choose
            from harness.opening import open_session

            keeper = self.keeper
            option, why = self.config.getoption("--mailserver"), ASKED_FOR
            if self.worker is not None and option == "auto":
                option, why = self.worker.get("dms_image", ("auto", ""))
            budget = budget_of(self.machine.options.memory_budget)
            workers = int((self.worker or {}).get("workercount", 1))
            self._session = open_session(
                self.machine,
                self.folder,
                choose(option, why=why),
                keeper,
                self.say,
                max(1, suggested_deployments(budget) // workers),
                max(1, suggested_ahead(budget) // workers),
                starting=max(1, (os.cpu_count() or 1) // workers),
                progress=self.progress,
                keep=self.keep,
                say_of_machine=self.say_of_machine,
            )
        return self._session

    @property
    def facts(self) -> Mapping[str, str]:
        """What the run's machines are made of; empty where there were none, or none is known."""
        if self._session is None:
            return {}
        try:
            return self._session.stock.facts
        except HarnessError:  # what ended the run has been said
            return {}

    def why_not(self, scenario: Scenario) -> str:
        """Why a scenario variant cannot be judged on this run's machines, or nothing."""
        from harness import opening

        return opening.why_not(scenario, self.machine, lambda: self.session.stock)

    def own(self, items: list[pytest.Item]) -> list[pytest.Item]:
        """Those of the collected tests that this process will be asked to run, in that order."""
        if self.worker is None:
            return items
        scopes = dict.fromkeys(scope_of(item.nodeid) for item in items)
        share = share_of(scopes, self.worker["workerid"], self.worker["workercount"])
        turns = {scope: turn for turn, scope in enumerate(share)}
        mine = [item for item in items if scope_of(item.nodeid) in turns]
        return sorted(mine, key=lambda item: turns[scope_of(item.nodeid)])

    def hand_over(self, worker: dict[str, Any]) -> None:
        """Let one of xdist's workers write into this run, and take the same image."""
        worker["dms_run"] = str(self.folder)
        if self._session is not None:
            label = self._session.image.label
            worker["dms_image"] = (label.source, label.why)

    # -- what is kept --------------------------------------------------------------------------

    @property
    def keep(self) -> Keep:
        """Which deployments stay after the run."""
        return Keep(self.config.getoption(OPTION))

    def keeps(self, scenario: Scenario) -> bool:
        """Whether a scenario variant's deployment stays, as far as its tests have been run."""
        if self._was_interrupted:
            return False  # its fixture is torn down after that
        return self.keep is Keep.ALWAYS or (
            self.keep is Keep.FAILING and scenario.id in self._failed
        )

    def note_failure(self, scenario: Scenario) -> None:
        """Remember that a test of a scenario variant failed."""
        self._failed.add(scenario.id)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Keep nothing where a person ended the run; not where an option such as `-x` did."""
        by = excinfo.value
        if type(by) is KeyboardInterrupt or isinstance(by, pytest.exit.Exception):
            self._was_interrupted = True
            if self._session is not None:
                self._session.keep_nothing()

    def kept(self) -> list[Kept]:
        """What this run's processes have left to the user."""
        if self.keep is Keep.NEVER or not self.has_folder:
            return []
        return [each for each in _kept() if each.run == self.folder]

    def kept_before(self) -> list[Kept]:
        """What other runs have left to the user."""
        return [each for each in _kept() if not self.has_folder or each.run != self.folder]

    def close(self) -> None:
        """Take down what no fixture did: tests may all have been deselected, or never run."""
        try:
            if self._was_interrupted and not self.is_worker:
                for each in self.kept():  # a worker may have ended before it was told
                    each.end()
            if self._session is not None:
                self._session.close()
            elif self._keeper is not None:
                with contextlib.suppress(HarnessError):  # what ended the run has been said
                    self._keeper.result().close()
        finally:
            self.stop_live()


run_key: pytest.StashKey[Run] = pytest.StashKey()
"""Where pytest's configuration has this process's part."""


def _kept() -> list[Kept]:
    from harness.kept.marker import kept_in

    return kept_in(cache.folder())
