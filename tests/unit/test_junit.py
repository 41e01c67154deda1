"""JUnit XML has what its readers show: properties, evidence, reasons; and can be read."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite
from terminal_support import made_once, project, run

from harness.observations import Observations
from harness.report.junit import complete, path_of

UNSET = "rootless_pasta_quadlet-permit_unset"
HOST = "rootless_pasta_quadlet-permit_host"
NONE = "rootless_pasta_quadlet-permit_none"
TESTS = r"""
import pytest

def test_published_port_answers(scenario, observations, service, vantage):
    bad = "unset" in scenario.id and (service, vantage) == ("imaps", "self_v6")
    assert not bad, "banner: \x1b[31m\x00\x07 <&\"> ]]>"

def test_mail_server_comes_up(deployment):
    if deployment.failure:
        pytest.fail(str(deployment.failure), pytrace=False)

@pytest.mark.parametrize("word", ["control \x07", "<&\">", "non-ascii é"])
def test_named(scenario, observations, word):
    print("\x1b[31mred\x00")

def test_not_here(scenario, observations):
    pytest.skip("not applicable here: no \x0b such thing")
"""

# What a suite and a test may have, by the schema of Jenkins' plugin for xUnit, junit-10; and beside
# it `file`, which GitLab makes a link of, and a test's properties, which pytest's users know.
ATTRIBUTES = {
    "testsuites": {"name", "time", "tests", "failures", "errors"},
    "testsuite": {
        *("name", "tests", "failures", "errors", "skipped"),
        *("time", "timestamp", "hostname", "group", "id", "package", "file", "log", "url"),
    },
    "testcase": {"name", "time", "classname", "group", "file"},
    "property": {"name", "value"},
    **{tag: {"type", "message"} for tag in ("failure", "error", "skipped")},
    **{tag: set() for tag in ("properties", "system-out", "system-err")},
}
CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"properties", "testcase", "system-out", "system-err"},
    "testcase": {"properties", "failure", "error", "skipped", "system-out", "system-err"},
    "properties": {"property"},
}
REQUIRED = {
    "testsuite": {"name", "tests", "failures", "errors"},
    "testcase": {"name"},
    "property": {"name", "value"},
}


def assert_valid(path: Path) -> None:
    for element in ElementTree.parse(path).iter():  # noqa: S314 - our own
        assert set(element.attrib) <= ATTRIBUTES[element.tag], element.attrib
        assert set(element.attrib) >= REQUIRED.get(element.tag, set())
        assert {child.tag for child in element} <= CHILDREN.get(element.tag, set())


@pytest.fixture(scope="module", params=["0", "2"], ids=["alone", "with workers"])
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run wrote in which tests passed, failed, could not be run, and were skipped."""

    def make(folder: Path) -> None:
        gates = project(folder, TESTS) / "gates"
        gates.mkdir()
        for name in ("machine", "boot", "probes", f"{UNSET}.start", f"{NONE}.start"):
            (gates / name).touch()
        (gates / f"{HOST}.start.fails").touch()
        words = ["--junitxml=reports/junit.xml", "-n", request.param, "-o", "junit_logging=all"]
        done = run(folder, f"{UNSET} or {HOST} or {NONE}", *words, FAKE_GATES=str(gates))
        assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout

    made = made_once(tmp_path_factory, f"junit-{request.param}", make)
    return made / "reports" / "junit.xml"


def properties(thing: TestCase | TestSuite) -> dict[str, str]:
    known = thing._elem.find("properties")
    return {each.get("name"): each.get("value") for each in known}


def case(report: Path, name: str) -> TestCase:
    (found,) = [each for suite in JUnitXml.fromfile(report) for each in suite if each.name == name]
    return found


def test_it_is_what_readers_take(report: Path) -> None:
    assert_valid(report)


def test_each_variant_is_a_suite_with_its_machine_and_image(report: Path) -> None:
    suites = {suite.name: suite for suite in JUnitXml.fromfile(report)}
    assert set(suites) == {UNSET, HOST, NONE}
    for name, suite in suites.items():
        assert properties(suite) == {
            "scenario": "rootless_pasta_quadlet",
            "variant": name.partition("-")[2],
            "machine": "nspawn",
            "image source": "stand-in",
            "image": "stand-in standin-1 (asked for)",
            "distribution": "debian 13",
            "podman": "podman version 5.4.2",
            "systemd": "systemd 257 (257.8)",
            "kernel": "6.18",
        }
    counts = {n: (s.tests, s.failures, s.errors, s.skipped) for n, s in suites.items()}
    assert counts == {UNSET: (55, 1, 0, 1), HOST: (55, 1, 54, 0), NONE: (55, 0, 0, 1)}
    assert ElementTree.parse(report).getroot().get("tests") == "165"  # noqa: S314


def test_each_test_says_what_it_is_about(report: Path) -> None:
    found = case(report, f"test_published_port_answers[{NONE}-outside_far_v6-imaps]")
    assert properties(found) == {
        "scenario": "rootless_pasta_quadlet",
        "variant": "permit_none",
        "vantage": "outside_far_v6",
        "service": "imaps",
        "port": "993",
    }
    assert found.classname == "tests.deployments.test_it"
    assert found._elem.get("file") == "tests/deployments/test_it.py"


def attached(found: TestCase) -> list[Path]:
    lines = [line for line in (found.system_out or "").splitlines() if "ATTACHMENT" in line]
    return [Path(line.removeprefix("[[ATTACHMENT|").removesuffix("]]")) for line in lines]


def test_failure_names_the_files_of_its_evidence(report: Path) -> None:
    failed = case(report, f"test_published_port_answers[{UNSET}-self_v6-imaps]")
    (result,) = failed.result
    assert isinstance(result, Failure)
    assert "banner: #x1B[31m#x00#x07 " in result.text
    files = attached(failed)
    assert [file.name for file in files] == ["mail.log", "console.txt"]
    assert all(file.is_absolute() and file.is_file() for file in files)
    assert files[0].parent.name == UNSET


def test_what_did_not_come_up_has_evidence_and_what_needs_it_is_an_error(report: Path) -> None:
    failed = case(report, f"test_mail_server_comes_up[{HOST}]")
    assert isinstance(failed.result[0], Failure)
    assert "start fails" in failed.result[0].text
    assert attached(failed)
    other = case(report, f"test_published_port_answers[{HOST}-self_v6-imaps]")
    assert isinstance(other.result[0], Error)
    assert attached(other) == attached(failed)


def test_success_has_no_evidence(report: Path) -> None:
    passed = case(report, f"test_mail_server_comes_up[{NONE}]")
    assert passed.result == []
    assert attached(passed) == []


def test_what_is_not_applicable_is_skipped_with_the_reason(report: Path) -> None:
    skipped = case(report, f"test_not_here[{NONE}]")
    (result,) = skipped.result
    assert isinstance(result, Skipped)
    assert result.message == "not applicable here: no #x0B such thing"


def test_output_keeps_its_place_before_the_evidence(tmp_path: Path) -> None:
    evidence = tmp_path / "evidence"
    evidence.mkdir()
    Observations("s-v", tmp_path / "seen.jsonl").record("machine", "kernel", "6.18 \x07\x1b")
    (evidence / "b.txt").touch()
    path = tmp_path / "out.xml"
    path.write_text(
        '<testsuites><testsuite name="pytest" tests="1" failures="1" errors="0"><testcase'
        ' classname="a" name="b" time="1.5"><properties><property name="scenario" value="s"/>'
        '<property name="variant" value="v"/>'
        f'<property name="evidence" value="{evidence}"/></properties><failure message="no"/>'
        "<system-out>said</system-out></testcase></testsuite></testsuites>"
    )
    complete(path, tmp_path / "seen.jsonl", "nspawn", tmp_path)
    assert_valid(path)
    assert properties(next(iter(JUnitXml.fromfile(path))))["kernel"] == "6.18 ??"
    (found,) = next(iter(JUnitXml.fromfile(path)))
    assert found.system_out == f"said\n[[ATTACHMENT|{evidence}/b.txt]]\n"
    (suite,) = JUnitXml.fromfile(path)
    assert (suite.name, suite.failures, suite.time) == ("s-v", 1, 1.5)


def test_tests_about_no_scenario_stay_where_they_are(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_a(): ...\ndef test_b(): assert 0\n")
    assert run(tmp_path, "test", "--junitxml=out.xml").returncode == pytest.ExitCode.TESTS_FAILED
    (suite,) = JUnitXml.fromfile(tmp_path / "out.xml")
    assert (suite.name, suite.tests, suite.failures) == ("pytest", 2, 1)
    assert_valid(tmp_path / "out.xml")


def test_path_is_where_pytest_writes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REPORTS", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert path_of("$REPORTS/a.xml") == tmp_path / "a.xml"
    assert path_of("x/../a.xml") == tmp_path / "a.xml"
