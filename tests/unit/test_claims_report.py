"""The ledger of the guide's claims: at the terminal, for programs, at the end of a run."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from claims_support import CLAIMS, ledger, observed, scenarios_in
from rich.console import Console

from harness.cli import main
from harness.errors import ClaimsError
from harness.report.claims import chosen, print_claim, print_ledger, write_and_sum_up


@pytest.fixture
def scenarios(tmp_path: Path) -> Path:
    return scenarios_in(tmp_path)


def printed(scenarios: Path, run: Path, width: int = 100) -> str:
    out = io.StringIO()
    print_ledger(Console(file=out, width=width), ledger(scenarios, run), [run])
    return out.getvalue()


def test_ledger_says_what_was_seen_and_what_would_check_the_rest(
    scenarios: Path, tmp_path: Path
) -> None:
    said = printed(scenarios, observed(tmp_path / "run"))
    assert "C1    upheld                “it starts”" in said
    assert "✓ compose: came up" in said
    assert "C2    contradicted *        “all IPs" in said
    assert "1 of 2 cases run" in said
    assert "✗ bridge: 10.89.0.2 ×2" in said
    assert "· pasta: not run" in said
    assert "needs SELinux: a Fedora" in said
    assert "C4    no case yet           “it works" in said
    assert "1 upheld, 1 contradicted, 1 not checkable here, 1 not run" in said
    assert "debian 13, podman version 5.4.2, SELinux absent; mail server: stand-in" in said
    assert "* seen with a stand-in" in said
    assert max(len(line) for line in said.splitlines() if str(tmp_path) not in line) <= 100


def test_cases_that_differ_are_both_named(scenarios: Path, tmp_path: Path) -> None:
    said = printed(scenarios, observed(tmp_path / "run", "127.0.0.1", "192.0.2.7"))
    assert "C2    depends *" in said
    assert "✓ bridge: 127.0.0.1 ×2" in said
    assert "✗ pasta: 192.0.2.7 ×2" in said


def test_one_claim_with_all_its_evidence(scenarios: Path, tmp_path: Path) -> None:
    (one,) = chosen(ledger(scenarios, observed(tmp_path / "run")), ["c2"])
    out = io.StringIO()
    print_claim(Console(file=out, width=100), one)
    said = out.getvalue()
    assert "correction: they are not" in said
    assert "compose-a from outside_v4: 10.89.0.2  postfix/smtpd: NOQUEUE: reject" in said
    assert "compose-a from outside_v6" in said


def test_claim_that_there_is_not(scenarios: Path, tmp_path: Path) -> None:
    with pytest.raises(ClaimsError, match="there is no claim 'C9'"):
        chosen(ledger(scenarios, observed(tmp_path / "run")), ["C9"])


def test_run_without_observations_is_an_error(scenarios: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ClaimsError, match="empty holds no observations"):
        ledger(scenarios, empty)
    (empty / "observations.jsonl").touch()
    with pytest.raises(ClaimsError, match="empty holds no observations"):
        ledger(scenarios, empty)


def test_command_line(scenarios: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, claims = str(observed(tmp_path / "run")), f"--claims={scenarios / 'claims.toml'}"
    assert main(["claims", run, claims, "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert [each["verdict"] for each in made["claims"]] == [
        "upheld",
        "contradicted",
        "not checkable here",
        "not run",
    ]
    assert made["claims"][1]["cases"][0]["seen"] == "10.89.0.2 ×2"
    assert made["claims"][2]["needs"] == [{"name": "SELinux", "would": "a Fedora"}]
    assert main(["claims", run, claims]) == 0
    assert "it starts" in capsys.readouterr().out
    assert main(["claims", run, claims, "--id", "C1"]) == 0
    assert "localhost" not in capsys.readouterr().out
    # A folder that holds runs stands for all of them.
    assert main(["claims", str(tmp_path), claims]) == 0
    assert "it starts" in capsys.readouterr().out
    assert main(["claims", str(scenarios), claims]) == 2
    assert "holds no observations" in capsys.readouterr().err


def test_end_of_a_run(scenarios: Path, tmp_path: Path) -> None:
    run = observed(tmp_path / "run", "127.0.0.1", "192.0.2.7")
    assert write_and_sum_up(run, scenarios) == (
        "claims of the guide: 1 upheld, 1 depends, 1 not checkable here, 1 not run"
    )
    made = json.loads((run / "claims.json").read_text())
    assert made["counts"]["upheld"] == 1


def test_two_that_depend_do(scenarios: Path, tmp_path: Path) -> None:
    file = scenarios / "claims.toml"
    file.write_text(file.read_text() + CLAIMS[CLAIMS.index("[C2]") :].replace("C2", "C12"))
    file.write_text(file.read_text().replace("[C3]", "[C13]", 1).replace("[C4]", "[C14]", 1))
    run = observed(tmp_path / "run", "127.0.0.1", "192.0.2.7")
    assert "1 upheld, 2 depend, " in write_and_sum_up(run, scenarios)


def test_run_or_scenarios_that_say_nothing_are_passed_over(scenarios: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    assert write_and_sum_up(run, scenarios) == ""
    assert write_and_sum_up(observed(run), tmp_path) == ""
    assert not (run / "claims.json").exists()
