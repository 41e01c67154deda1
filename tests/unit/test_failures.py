"""What was not as it should be is told once for all places where it was so, and can be pasted."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from terminal_support import TESTS, project, run

from harness import judge
from harness.addresses import vantage_names
from harness.observations import Observation, Observations
from harness.report.failures import AT_MOST, LINES, failure_of, in_words, pasteable

VARIANT = "demo-first"
ROOT = Path("/project")


def report(test: str, message: str, vantage: str = "", **marks: str) -> Any:
    known = {"scenario": "demo", "variant": "first", "vantage": vantage, **marks}
    words = "-".join(filter(None, [VARIANT, vantage, *marks.values()]))
    return SimpleNamespace(
        nodeid=f"tests/deployments/test_x.py::test_{test}[{words}]",
        longrepr=SimpleNamespace(reprcrash=SimpleNamespace(message=f"AssertionError: {message}")),
        user_properties=[pair for pair in known.items() if pair[1]],
    )


def said_by(verdict: str, *words: object) -> str:
    seen = Observations("demo-first")
    seen.record("port", "993", "unreachable", "outside_far_v6", error="[Errno 113] (x: y)")
    seen.record("client_address", "smtp", "10.89.0.2", "localhost_v4", line="a: b")
    with pytest.raises(AssertionError) as raised:
        getattr(judge, verdict)(seen, *words)
    return str(raised.value)


def told(*reports: Any, is_error: bool = False) -> list[str]:
    return in_words(failure_of(each, is_error) for each in reports)


def test_ports_from_several_places_are_one_line() -> None:
    message = said_by("port_answers", "outside_far_v6", 993)
    v6 = [name for name in vantage_names() if name.endswith("v6")]
    reports = [
        report("published_port_answers", message, vantage, service=service, port=port)
        for vantage in v6
        for service, port in (("imap", "143"), ("imaps", "993"))
    ]
    where = "outside_v6, inside_v6"
    assert told(*reports) == [
        VARIANT,
        f"  published port answers: imap (143), imaps (993) from {where}: unreachable",
    ]
    # One of them from elsewhere as well: that is not said of the other.
    reports.append(report("published_port_answers", message, "self_v4", service="imap", port="143"))
    (_, line) = told(*reports)
    assert line.endswith(f"imap (143) from {where}, self_v4; imaps (993) from {where}: unreachable")


def test_address_says_which_was_expected() -> None:
    message = said_by("client_address_is", "localhost_v4", "smtp", ["127.0.0.1/32"])
    (_, line) = told(report("logged_client_address", message, "localhost_v4", service="smtp"))
    expected = "smtp from localhost_v4: 10.89.0.2, expected 127.0.0.1/32"
    assert line == f"  logged client address: {expected}"


def test_open_relay_names_what_arrived() -> None:
    relayed = Observation("relay", "nmap-07", "relayed", "self_v4", evidence={"code": 250})
    with pytest.raises(AssertionError) as raised:
        judge.fail("no mail of a stranger", [relayed, relayed], "Spammers")
    (_, line) = told(report("no_strangers_mail_is_relayed", str(raised.value), "self_v4"))
    assert line == "  no strangers mail is relayed: from self_v4: relayed"


def test_same_thing_seen_differently_is_two_lines() -> None:
    two = [report("x", f"expected: a\nseen: {seen}\nwhy", "self_v4") for seen in ("b", "c")]
    assert told(*two) == [VARIANT, "  x: from self_v4: b", "  x: from self_v4: c"]


def test_errors_of_a_variant_are_counted() -> None:
    errors = [report("x", "it did not come up\nmore", name) for name in vantage_names()]
    assert told(*errors, is_error=True) == [
        VARIANT,
        "  could not be tried: 10 tests: it did not come up",
    ]


def test_tests_about_no_scenario_are_pytests_own() -> None:
    other = report("x", "no")
    other.user_properties = []
    assert told(other) == []


def test_there_are_never_more_lines_than_can_be_read() -> None:
    many = told(*(report("x", f"seen {number}") for number in range(100)))
    assert len(many) == LINES
    assert many[-1] == f"… and {100 - (LINES - 2)} more"


def paste(*reports: Any, is_error: bool = False, here: Path = ROOT) -> list[str]:
    failures = [failure_of(each, is_error) for each in reports]
    return pasteable(failures, "pytest --machine=ssh:a", ROOT, here)


def test_what_failed_alike_is_pasted_once_with_its_evidence() -> None:
    alike = [report("x", "no", name) for name in vantage_names()]
    for each in alike:
        each.user_properties.append(["evidence", "/runs/with a space/demo-first"])
    assert paste(*alike, here=ROOT / "docs") == [
        "reproduce: pytest --machine=ssh:a"
        " '../tests/deployments/test_x.py::test_x[demo-first-outside_lan_a_v4]'"
        "  # and 9 more like it",
        "  evidence: '/runs/with a space/demo-first'",
    ]


def test_tests_about_no_scenario_are_pasted_one_by_one() -> None:
    others = [report(f"x{number}", "no") for number in range(AT_MOST + 3)]
    for each in others:
        each.user_properties = []
    lines = paste(*others)
    assert len(lines) == AT_MOST + 1
    assert lines[-1] == "… and 3 more"


def test_collection_that_failed_is_pasted_as_its_file() -> None:
    # pytest's report of it has no properties, and its text instead of a traceback.
    collecting = SimpleNamespace(nodeid="tests/unit/test_x.py", longrepr="ImportError: no")
    assert paste(collecting, is_error=True) == [
        "reproduce: pytest --machine=ssh:a tests/unit/test_x.py"
    ]


# At pytest's end

UNSET = "rootless_pasta_quadlet-permit_unset"
NONE = "rootless_pasta_quadlet-permit_none"
ONE_FAILS = TESTS.replace(
    "vantage): ...", 'vantage): assert "unset" not in scenario.id or vantage != "self_v4"', 1
)


def test_summary_counts_what_failed_of_each_variant(tmp_path: Path) -> None:
    said = run(project(tmp_path, ONE_FAILS), f"{UNSET} or {NONE}").stdout
    (line,) = re.findall(r"^  permit_unset .*$", said, re.MULTILINE)
    assert line.split()[1:3] == ["1", "failed"]
    (other,) = re.findall(r"^  permit_none .*$", said, re.MULTILINE)
    assert "failed" not in other
    assert f"  {UNSET}\n    observed: from self_v4: " in said
    (evidence,) = re.findall(r"^  evidence: (.*)$", said, re.MULTILINE)
    assert (Path(evidence) / "mail.log").is_file()


def test_quiet_says_what_failed_and_what_to_paste_only(tmp_path: Path) -> None:
    folder = project(tmp_path, ONE_FAILS)
    said = run(folder, UNSET, "-q").stdout
    assert "    observed: from self_v4: " in said
    assert "reproduce: " in said
    assert "relays for strangers" not in said
    assert list(folder.glob("runs/2*/claims.json"))  # written down all the same
    assert "reproduce: " not in run(folder, UNSET, "-qq").stdout


def test_job_on_github_has_a_summary(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Before\n")
    folder = project(tmp_path, ONE_FAILS)
    run(folder, f"{UNSET} or {NONE}", "-q", GITHUB_STEP_SUMMARY=str(page))
    said = page.read_text()
    assert said.startswith("# Before\n## ❌ 39 passed, 1 failed\n")
    assert "- machine: nspawn (made up): debian 13, podman version 5.4.2, systemd 257" in said
    assert "- mail server: stand-in standin-1 (asked for)" in said
    assert f"{UNSET}\n  observed: from self_v4: " in said
    assert f"| {NONE} | 50/50 | own | machine | " in said
    assert "| nowhere (of 10) |" in said
    assert "Not checkable here: SELinux" in said
    page.unlink()
    run(folder, NONE, "-q", "-n1", GITHUB_STEP_SUMMARY=str(page))
    assert page.read_text().startswith("## ✅ 20 passed\n")
