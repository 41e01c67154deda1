"""The findings for the guide: alike whenever the same was seen; and how a run differs from them."""

from __future__ import annotations

from pathlib import Path

import pytest
from claims_support import ledger, observed, scenarios_in

from harness.cli import main
from harness.errors import ClaimsError
from harness.report.findings import as_markdown, differences
from harness.report.wording import settled


@pytest.fixture
def scenarios(tmp_path: Path) -> Path:
    return scenarios_in(tmp_path)


def test_findings_say_what_to_change(scenarios: Path, tmp_path: Path) -> None:
    said = as_markdown(ledger(scenarios, observed(tmp_path / "run")))
    assert "### C2: contradicted \\*, 1 of 2 cases run" in said
    assert "> all IPs are \\`localhost\\` | always" in said
    assert "- **not so**: bridge: 10.89.0.2 ×2" in said
    assert "  - `compose-a from outside_v4`: `postfix/smtpd: NOQUEUE: reject" in said
    assert "Suggestion: they are not" in said
    assert "| C1 | upheld | it starts | so: compose |" in said
    assert "| C2 | contradicted \\* | all IPs are \\`localhost\\` \\| always |" in said
    assert "| C3 | not checkable here | append :Z | would take a Fedora |" in said
    assert "### C1" not in said
    assert "### C4" not in said
    depends = as_markdown(ledger(scenarios, observed(tmp_path / "b", "127.0.0.1", "192.0.2.7")))
    assert "Suggestion: with a bridge they are" in depends
    assert "they are not" not in depends


def test_findings_are_the_same_whenever_the_same_is_seen(scenarios: Path, tmp_path: Path) -> None:
    first = observed(tmp_path / "first", "10.89.0.2", "192.0.2.7", salt="215")
    second = observed(tmp_path / "second", "10.89.0.2", "192.0.2.7", salt="431")
    lines = (second / "observations.jsonl").read_text().splitlines(keepends=True)
    (second / "observations.jsonl").write_text("".join(reversed(lines)))
    assert as_markdown(ledger(scenarios, first)) == as_markdown(ledger(scenarios, second))
    other = observed(tmp_path / "other", "10.89.0.3", "192.0.2.7")
    assert as_markdown(ledger(scenarios, first)) != as_markdown(ledger(scenarios, other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "2026-11-23T01:13:45.328045+00:00 mail postfix/smtpd[98]: A458F8CC9: c[10.0.2.2]",
            "2027-01-03T11:03:05.000001+00:00 mail postfix/smtpd[7]: 0B29ADCCA2: c[10.0.2.2]",
        ),
        (
            "Nov 23 01:21:49.000355 mailhost dms[257]: Error: statfs: no such file",
            "Dec  3 11:01:09.100355 mailhost dms[1]: Error: statfs: no such file",
        ),
        (
            'LISTEN 0      4096   *:25 *:* users:(("rootlessport",pid=207,fd=5))',
            'LISTEN 0 4096 *:25 *:* users:(("rootlessport",pid=9,fd=12))',
        ),
        ("to=<a@b>, delay=0.8, delays=0.24/0.25/0.2/0.1, sent", "to=<a@b>, sent"),
        ("fe80::1096:42ff:fe1d:8f1b%e", "fe80::a00b:a3ff:fe7f:9f5%enp1s0"),
        ("relay-2fd39446df6c@outside.example", "relay-ab45b94412f7@outside.example"),
        ("77 dms.service start waiting", "60 dms.service start waiting"),
    ],
)
def test_wording_leaves_out_what_differs_from_run_to_run(one: str, other: str) -> None:
    assert settled(one) == settled(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("client=c[10.89.0.2]", "client=c[10.89.0.3]"),
        ("bind port 25", "bind port 143"),
        ("0 0 1, 1 1 65536", "0 0 1, 1 1 60536"),
        ("550 5.1.1 no", "554 5.7.1 no"),
        ("2001:db8::51", "2001:db8::52"),
    ],
)
def test_wording_keeps_what_says_something(one: str, other: str) -> None:
    assert settled(one) != settled(other)


@pytest.fixture
def findings(scenarios: Path, tmp_path: Path) -> Path:
    """What a run wrote that saw clients as localhost with a bridge, and not with pasta."""
    run = observed(tmp_path / "whole", "127.0.0.1", "192.0.2.7")
    file = tmp_path / "FINDINGS.md"
    file.write_text(as_markdown(ledger(scenarios, run)))
    return file


def test_same_verdicts_agree(scenarios: Path, findings: Path, tmp_path: Path) -> None:
    again = observed(tmp_path / "again", "127.0.0.2", "192.0.2.8")
    assert differences(findings, ledger(scenarios, again)) == []


def test_another_verdict_is_a_difference(scenarios: Path, findings: Path, tmp_path: Path) -> None:
    now = ledger(scenarios, observed(tmp_path / "now", "10.89.0.2", "192.0.2.7"))
    assert differences(findings, now) == ["C2: the file says depends, this run contradicted"]


def test_some_cases_only_differ_where_the_others_could_not_mend_it(
    scenarios: Path, findings: Path, tmp_path: Path
) -> None:
    part = ledger(scenarios, observed(tmp_path / "part", "127.0.0.1"))
    assert differences(findings, part) == []
    findings.write_text(findings.read_text().replace("| C2 | depends", "| C2 | contradicted"))
    assert differences(findings, part) == ["C2: the file says contradicted, this run upheld"]


def test_what_was_not_run_is_compared_where_all_must_be(
    scenarios: Path, findings: Path, tmp_path: Path
) -> None:
    part = ledger(scenarios, observed(tmp_path / "part", None, "192.0.2.7"))
    assert differences(findings, part) == []
    assert differences(findings, part, complete=True) == [
        "C1: not run; the file says upheld",
        "C2: the file says depends, this run contradicted",
        "C4: not run; the file says not run",
    ]


def test_what_the_file_could_not_tell_is_not_contradicted_by_a_run_that_can(
    scenarios: Path, findings: Path, tmp_path: Path
) -> None:
    text = findings.read_text()
    findings.write_text(text.replace("| C2 | depends", "| C2 | not checkable here"))
    assert findings.read_text() != text
    now = ledger(scenarios, observed(tmp_path / "now", "127.0.0.1", "192.0.2.7"))
    assert differences(findings, now) == []
    assert "C2: the file says not checkable here, this run depends" in differences(
        findings, now, complete=True
    )


def test_claims_that_only_one_of_them_has(scenarios: Path, findings: Path, tmp_path: Path) -> None:
    run = ledger(scenarios, observed(tmp_path / "run", "127.0.0.1", "192.0.2.7"))
    findings.write_text(findings.read_text().replace("| C1 |", "| C8 |"))
    assert differences(findings, run) == [
        "C1: the file does not have it",
        "C8: the file has it, and no claim is called so",
    ]


@pytest.mark.parametrize("content", [None, b"# nothing\n", b"\xff\xfe"])
def test_file_without_verdicts(scenarios: Path, tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "file.md"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ClaimsError, match=r"file\.md"):
        differences(file, ledger(scenarios, observed(tmp_path / "run")))


def test_findings_on_the_command_line(
    scenarios: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, claims = str(observed(tmp_path / "run")), f"--claims={scenarios / 'claims.toml'}"
    file = tmp_path / "FINDINGS.md"
    assert main(["findings", run, claims, "--output", str(file)]) == 0
    assert "1 upheld, 1 contradicted" in capsys.readouterr().out
    assert main(["findings", run, claims]) == 0
    assert capsys.readouterr().out == file.read_text()
    assert main(["findings", run, claims, "--check", str(file)]) == 0
    assert "agrees" in capsys.readouterr().out
    file.write_text(file.read_text().replace("| C1 | upheld |", "| C1 | contradicted |"))
    assert main(["findings", run, claims, "--check", str(file)]) == 1
    assert "C1: the file says contradicted, this run upheld" in capsys.readouterr().out
