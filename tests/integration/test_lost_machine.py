"""A machine that is lost in the middle of a run is an error, and no verdict on its mail server."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from support import NEEDS_ROOT, pytest_words, started

from harness import cache
from harness.keeper import cgroups

pytestmark = NEEDS_ROOT

VARIANT = "rootless_pasta_quadlet-permit_none"


def test_machine_that_is_killed_while_it_is_probed_says_nothing(tmp_path: Path) -> None:
    report = tmp_path / "junit.xml"
    words = pytest_words(tmp_path, VARIANT, "stand-in", f"--junitxml={report}")
    with started(words, tmp_path, cache.folder()) as run:
        run.expect(lambda: any(seen["vantage"] for seen in run.observed()), "probes")
        (cgroups.path_of(run.machine()) / "cgroup.kill").write_text("1", encoding="ascii")
        assert run.end() == pytest.ExitCode.TESTS_FAILED
        output = run.output()
        run.wait_until_gone()
    (suite,) = ElementTree.parse(report).iter("testsuite")  # noqa: S314 - our own
    count = suite.get("tests")
    assert (suite.get("errors"), suite.get("failures")) == (count, "0")
    assert f"1 infrastructure error ({count} tests not tried" in output
    assert f"{VARIANT}: MachineError: its machine does not run any more" in output
    assert "not as it should be" not in output
    assert "reproduce: " in output
