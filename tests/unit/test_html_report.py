"""The HTML report says what the observations say, and no more."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from report_samples import VANTAGES, deployed, hostile_run, sample_run

from harness.cli import main
from harness.observations import Observations
from harness.report.html import verdicts
from harness.report.html.at_end import write_report
from harness.report.html.make import report_of
from harness.report.html.matrices import GLYPHS, REACHABILITY, RELAY, Cell
from harness.report.html.model import Report
from harness.report.html.render import as_html, clean, write
from harness.report.html.verdicts import Judged

LAN = [each for each in VANTAGES if "lan" in each]


def report(run: Path) -> Report:
    return report_of([run], None)


def cell(made: Report, kind: str, vantage: str) -> Cell:
    """The cell of a report's only deployment."""
    (each,) = made.deployments
    (found,) = [cell for cell in each.cells[kind] if cell.vantage == vantage]
    return found


def without(run: Path, *kinds: str) -> None:
    """Forget what was observed of some kinds."""
    file = run / "observations.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if json.loads(line)["kind"] not in kinds]
    file.write_text("".join(kept), encoding="utf-8")


def at_end(run: Path, stats: dict[str, list[object]]) -> list[str]:
    """What a run says of its report when it ends."""
    said: list[str] = []
    reporter = SimpleNamespace(stats=stats, write_line=lambda line, **_: said.append(line))
    write_report(reporter, SimpleNamespace(folder=run, scenarios_folder=run))  # type: ignore[arg-type]
    return said


@pytest.mark.parametrize(
    ("relays", "expected", "state"),
    [
        ((), (), "refused"),
        (LAN, LAN, "expected"),
        (LAN, (), "open"),
        (LAN, None, "relayed"),
        ((), LAN, "closed"),
        ((), None, "refused"),
    ],
)
def test_relaying_is_held_against_what_is_expected(
    tmp_path: Path, relays: list[str], expected: list[str] | None, state: str
) -> None:
    deployed(tmp_path, "demo-first", relays=relays, expected=expected)
    made = report(tmp_path)
    assert cell(made, "relay", "outside_lan_a_v6").state == state
    assert cell(made, "relay", "self_v4").state == "refused"
    alarms = [state for state, _ in made.deployments[0].alarms]
    assert alarms == ([state] if state in ("open", "closed") else [])


def test_refusals_prove_nothing_where_no_mail_flows(tmp_path: Path) -> None:
    deployed(tmp_path, "demo-first")
    without(tmp_path, "outgoing")
    found = cell(report(tmp_path), "relay", "outside_far_v4")
    assert found.state == "unclear"
    assert "no mail flows" in found.text


def test_a_refusal_for_now_is_inconclusive(tmp_path: Path) -> None:
    seen = deployed(tmp_path, "demo-first")
    seen.record("relay", "nmap-04", "deferred", "outside_far_v4", code=451)
    found = cell(report(tmp_path), "relay", "outside_far_v4")
    assert found.state == "unclear"


def test_silence_is_told_apart_by_what_is_expected(tmp_path: Path) -> None:
    v4 = [each for each in VANTAGES if each.endswith("4")]
    deployed(tmp_path, "demo-first", silent=["self_v6", "self_v4"], reachable=v4)
    made = report(tmp_path)
    assert cell(made, "port", "self_v6").state == "silent"
    assert cell(made, "port", "self_v4").state == "none"
    assert cell(made, "port", "localhost_v6").state == "surplus"
    assert cell(made, "port", "localhost_v4").state == "all"
    assert cell(made, "relay", "self_v6").state == "silent"
    assert cell(made, "relay", "self_v4").state == "unclear"


def test_a_missing_port_and_a_surplus_one_are_seen(tmp_path: Path) -> None:
    deployed(tmp_path, "demo-first")
    file = tmp_path / "observations.jsonl"
    facts = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    for fact in facts:
        where = (fact["kind"], fact["vantage"], fact["subject"])
        if where == ("port", "outside_far_v4", "993"):
            fact["outcome"] = "timeout"
        if where in (("port", "outside_far_v6", "4190"), ("port", "self_v4", "4190")):
            fact["outcome"] = "open"
    file.write_text("".join(json.dumps(fact) + "\n" for fact in facts), encoding="utf-8")
    made = report(tmp_path)
    assert cell(made, "port", "outside_far_v4").state == "some"
    assert cell(made, "port", "outside_far_v4").detail == "4/5"
    assert "timeout" in cell(made, "port", "outside_far_v4").text
    assert cell(made, "port", "outside_far_v6").state == "surplus"
    assert "4190" in cell(made, "port", "outside_far_v6").text
    assert cell(made, "port", "self_v4").state == "all"  # a firewall may lead there


def test_what_was_not_observed_is_said_to_be_so(tmp_path: Path) -> None:
    deployed(tmp_path, "demo-first")
    other = Observations("demo-second", tmp_path / "observations.jsonl")
    other.record("scenario", "reachable", "1", vantages=["self_v4"], checks="matrix")
    made = report(tmp_path)
    states = {cell.state for cells in made.deployments[1].cells.values() for cell in cells}
    assert states == {"unobserved"}
    assert made.deployments[1].relays_from is None
    assert made.tests is None
    page = as_html(made)
    assert "verdicts are not known" in page
    assert "expectation not recorded" in page
    assert "Not observed: no client's address was looked for" in page


def test_every_state_has_a_sign_of_its_own() -> None:
    assert set(GLYPHS) == {*RELAY, *REACHABILITY}
    for legend in (RELAY, REACHABILITY):
        assert len({GLYPHS[state] for state in legend}) == len(legend)


def test_path_shows_whose_address_arrives(tmp_path: Path) -> None:
    deployed(tmp_path, "demo-bridge", seen_as="10.89.0.2")
    deployed(tmp_path, "demo-pasta")
    bridge, pasta = (each.path for each in report(tmp_path).deployments)
    assert bridge
    assert pasta
    assert (bridge.forwarder, bridge.listens, bridge.container) == (
        "rootlessport",
        "*:25",
        "bridge",
    )
    assert {lane.fate for lane in bridge.lanes} == {"replaced"}
    assert [lane.logged for lane in bridge.lanes[:2]] == [["10.89.0.2"], ["10.89.0.2"]]
    assert bridge.lanes[0].clients == ["203.0.113.51", "203.0.113.52", "198.51.100.7"]
    assert bridge.lanes[0].local == "10.89.0.2"
    assert [lane.fate for lane in pasta.lanes] == ["kept"] * 2 + ["machine"] * 4


def test_outside_clients_seen_as_the_machine_are_not_themselves(tmp_path: Path) -> None:
    deployed(tmp_path, "demo-first", seen_as="203.0.113.10")
    path = report(tmp_path).deployments[0].path
    assert path
    assert {lane.fate for lane in path.lanes if lane.who.startswith("outside")} == {"replaced"}


def test_path_without_what_was_not_observed(tmp_path: Path) -> None:
    deployed(tmp_path, "demo-first")
    without(tmp_path, "forwarder", "container", "mail server")
    path = report(tmp_path).deployments[0].path
    assert path
    assert {path.forwarder, path.listens, path.container, path.networks} == {"not observed"}


def test_saved_files_are_named(tmp_path: Path) -> None:
    deployed(tmp_path, "demo-first")
    deployed(tmp_path, "..")
    (tmp_path / "demo-first").mkdir()
    (tmp_path / "demo-first" / "mail.log").touch()
    made = report(tmp_path)
    assert [each.files for each in made.deployments] == [[], ["mail.log"]]
    assert "in the run's folder: mail.log" in as_html(made)


def test_timeline_is_in_the_runs_own_time(tmp_path: Path) -> None:
    seen = Observations("demo-first", tmp_path / "observations.jsonl")
    seen.record("phase", "boot", "ended", seconds=2.0)
    file = tmp_path / "observations.jsonl"
    one = json.loads(file.read_text(encoding="utf-8"))
    rest = {"subject": "ready", "at": one["at"] + 6, "evidence": {"seconds": 1.0}}
    file.write_text(f"{json.dumps(one)}\n{json.dumps(one | rest)}\n", encoding="utf-8")
    (line,) = report(tmp_path).timelines[0].lines
    assert [(bar.name, round(bar.left), round(bar.width)) for bar in line.bars] == [
        ("boot", 0, 25),  # of eight seconds
        ("ready", 88, 12),
    ]
    assert line.seconds == 3.0


def test_tests_are_told_from_the_reporters_stats(tmp_path: Path) -> None:
    crash = SimpleNamespace(reprcrash=SimpleNamespace(message="AssertionError: expected: closed"))
    stats = {
        "passed": [SimpleNamespace(nodeid="t.py::a[demo-first-x]", longrepr=None, duration=0.25)],
        "failed": [SimpleNamespace(nodeid="t.py::b[demo-first-y]", longrepr=crash, duration=1)],
        "skipped": [SimpleNamespace(nodeid="t.py::c", longrepr=("t.py", 1, "Skipped: no"))],
        "deselected": [object()],
        "": [object()],
    }
    ended = verdicts.ended(stats)
    assert ended == [
        Judged("t.py::b[demo-first-y]", "failed", 1.0, "expected: closed"),
        Judged("t.py::a[demo-first-x]", "passed", 0.25, ""),
        Judged("t.py::c", "skipped", 0.0, "Skipped: no"),
    ]
    assert [each.scenario for each in ended] == ["demo-first", "demo-first", ""]
    verdicts.write(ended, tmp_path)
    assert verdicts.read([tmp_path]) == {tmp_path.name: ended}


def test_a_run_ends_with_the_reports_place(tmp_path: Path) -> None:
    deployed(tmp_path, "demo-first")
    failed = SimpleNamespace(nodeid="t.py::b[demo-first-y]", longrepr="why", duration=1)
    said = at_end(tmp_path, {"failed": [failed]})
    assert said == [f"report: {tmp_path / 'report.html'}"]
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "1 failing test" in page
    assert "t.py::b[demo-first-y]" in page


def test_a_run_without_observations_has_no_report(tmp_path: Path) -> None:
    assert at_end(tmp_path, {}) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (lambda run: (run / "report.html").mkdir(), "cannot be written"),
        (lambda run: (run / "tests.jsonl").mkdir(), "Is a directory"),
        (lambda run: (run / "observations.jsonl").write_text('{"a": 1}\n'), "jsonl:1: no observ"),
    ],
)
def test_a_report_that_cannot_be_written_is_one_line(
    tmp_path: Path, broken: object, why: str
) -> None:
    deployed(tmp_path, "demo-first")
    broken(tmp_path)  # type: ignore[operator]
    (said,) = at_end(tmp_path, {})
    assert said.startswith("report: not written: ")
    assert why in said
    assert "\n" not in said
    assert not list(tmp_path.glob(".report-*"))


def test_command_puts_runs_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        deployed(tmp_path / name, "demo-first")
    claims = Path(__file__).parents[2] / "scenarios" / "claims.toml"
    out = tmp_path / "both.html"
    runs = [str(tmp_path / name) for name in ("first", "second")]
    assert main(["report", "--claims", str(claims), "--output", str(out), *runs]) == 0
    assert capsys.readouterr().out == f"report: {out}\n"
    page = out.read_text(encoding="utf-8")
    assert "demo-first in first" in page
    assert "demo-first in second" in page
    assert page.count('<details class="deployment"') == 2


def test_runs_of_the_same_name_stay_apart(tmp_path: Path) -> None:
    runs = [tmp_path / "a" / "run", tmp_path / "b" / "run"]
    for run in runs:
        run.mkdir(parents=True)
        deployed(run, "demo-first")
    assert report_of(runs, None).runs == [str(run) for run in runs]


@pytest.mark.parametrize("arguments", [[], ["--output", "nowhere/x.html"]])
def test_command_says_what_is_wrong(
    tmp_path: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    if arguments:
        deployed(tmp_path, "demo-first")
    claims = str(Path(__file__).parents[2] / "scenarios" / "claims.toml")
    assert main(["report", str(tmp_path), "--claims", claims, *arguments]) == 2
    said = capsys.readouterr().err
    assert ("nowhere/x.html: the report cannot be written" if arguments else str(tmp_path)) in said
    assert "→" in said


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    run = hostile_run(tmp_path)
    write(report(run), run / "report.html")
    page = (run / "report.html").read_text(encoding="utf-8")
    body = page[page.index("<body>") :]
    assert body.count("<script") == 6  # five deployments' observations, and the page's own
    assert "<img" not in body
    assert "&lt;script&gt;window.hacked = 1" in body
    assert not re.search("[\x00-\x08\x0e-\x1f\u202a-\u202e\ud800-\udfff]", page)


def test_text_is_made_visible() -> None:
    assert clean("a\x00\x1b\x7f\u202e\ud800\n") == "a␀␛␡⟨U+202E⟩⟨U+D800⟩\n"
    assert clean("x" * 4001).endswith("… and 1 characters more")
    assert clean(7) == "7"


def test_page_loads_nothing(tmp_path: Path) -> None:
    page = as_html(report(sample_run(tmp_path)))
    assert "default-src 'none'" in page
    assert not re.search(r"(?:src|href)=[\"'](?!#|data:,)", page)
    assert not re.search(r"url\((?!#)|@import|https?://(?!www\.w3\.org)", page)
