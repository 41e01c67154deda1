"""What several deployments of one variant say: how stable it is, and what differs between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from harness.claims_verdict import deployments
from harness.observations import (
    Observation,
    Observations,
    deployment_id,
    read,
    variant_and_repetition,
)
from harness.report.diff import compare
from harness.report.diff_run import Run
from harness.report.html.verdicts import Judged
from harness.report.marks import NOT_APPLICABLE
from harness.report.seen import apart, together
from harness.report.stability import Stability, in_lines, stability_of
from harness.report.stability_file import as_object
from harness.scenario_file import load

VARIANT = "demo-first"
PASTA = load(Path(__file__).parents[2] / "scenarios" / "rootless_pasta_quadlet")[0]


def seen_in(number: int, closed: Sequence[str] = (), seconds: float = 10.0) -> list[Observation]:
    """What a repetition sees; `closed` are the vantages from which port 993 does not answer."""
    made = [
        Observation("deployment", "start", "came up"),
        Observation("phase", "boot", "ended", evidence={"seconds": seconds}),
        Observation("dns", f"A {number}.example", "asked"),
        Observation("delivery", "outside to mailbox", "unchanged", "outside_lan_a_v4"),
        Observation("outgoing", "submission", "unchanged", "outside_lan_a_v4"),
    ]
    for vantage in ("self_v4", "self_v6"):
        outcome = "refused" if vantage in closed else "answers"
        made += [Observation("port", port, outcome, vantage) for port in ("143", "993")]
        made.append(Observation("relay", "external-to-external", "refused", vantage))
    return [replace(each, scenario=VARIANT, repetition=number) for each in made]


def judged(number: int, outcome: str = "passed", infrastructure: str = "") -> Judged:
    name = f"tests/deployments/test_x.py::test_it[{VARIANT}.{number}-self_v6]"
    return Judged(name, outcome, infrastructure=infrastructure)


def stability(observations: Sequence[Observation], tests: Sequence[Judged]) -> Stability:
    (found,) = stability_of(observations, tests, 4)
    return found


def test_what_does_not_apply_is_not_said_to_be_unstable() -> None:
    name = f"tests/deployments/test_x.py::test_it[{VARIANT}.1-self_v6]"
    assert stability_of([], [Judged(name, "skipped", message=f"{NOT_APPLICABLE}no SELinux")]) == []
    assert stability_of([], [Judged(name, "skipped", message="an event of before failed")]) != []


def test_repetitions_are_told_apart_by_more_than_their_names() -> None:
    assert [each.id for each in PASTA.repeated(1)] == [PASTA.id]
    several = PASTA.repeated(12)
    assert [each.id for each in several[:2]] == [f"{PASTA.id}.1", f"{PASTA.id}.2"]
    assert {each.variant_id for each in several} == {PASTA.id}
    for each in several:
        assert variant_and_repetition(each.id) == (PASTA.id, each.repetition)
    assert variant_and_repetition(PASTA.id) == (PASTA.id, 0)
    assert deployment_id(PASTA.id, 0) == PASTA.id


def test_record_has_the_repetition_only_where_there_is_one(tmp_path: Path) -> None:
    file = tmp_path / "observations.jsonl"
    Observations("a-b", file).record("port", "25", "answers")
    Observations("a-b", file, 3).record("port", "25", "answers")
    assert ["repetition" in line for line in file.read_text().splitlines()] == [False, True]
    assert [each.deployment for each in read(file)] == ["a-b", "a-b.3"]
    assert {each.scenario for each in read(file)} == {"a-b"}


def test_what_differs_is_told_with_the_repetitions_in_which_it_was_otherwise() -> None:
    observed = [seen for n in (1, 2, 3) for seen in seen_in(n, seconds=10.0 + n)]
    observed += seen_in(4, closed=["self_v4", "self_v6"], seconds=20.0)
    found = stability(observed, [*map(judged, (1, 2, 3)), judged(4, "failed")])
    assert found.counts == "3 of 4 passed"
    assert found.times == "11.0 / 12.5 / 20.0 s"
    assert not found.is_stable
    assert found.details == [
        "failed in repetition 4: test_it[self_v6]",
        "differs: port 143, 993 from self: answers in 3, refused in repetition 4",
    ]


def test_what_differs_at_one_place_is_not_said_of_another() -> None:
    observed = [*seen_in(1), *seen_in(2)]
    observed[-2] = replace(observed[-2], outcome="refused")  # port 993 from self_v6
    (differing,) = stability(observed, [judged(1), judged(2)]).differing
    assert (differing.subjects, differing.vantages) == (("993",), ("self_v6",))


def test_different_things_at_different_places_are_not_said_of_each_other() -> None:
    observed = [*seen_in(1), *seen_in(2)]
    for number, seen in enumerate(observed):
        if (seen.repetition, seen.kind) == (2, "port"):
            closed = (seen.subject, seen.vantage) in (("143", "self_v4"), ("993", "self_v6"))
            observed[number] = replace(seen, outcome="refused" if closed else "answers")
    found = stability(observed, [judged(1), judged(2)]).differing
    places = {(one.subjects, one.vantages) for one in found}
    assert places == {(("143",), ("self_v4",)), (("993",), ("self_v6",))}


def test_the_same_in_all_repetitions_is_stable_whatever_two_runs_never_share() -> None:
    observed = [seen for n in (1, 2, 3, 4) for seen in seen_in(n)]
    found = stability(observed, [*map(judged, (1, 2, 3, 4))])
    assert found.is_stable
    assert found.details == []


@pytest.mark.parametrize(
    ("infrastructure", "counts"),
    [("MachineError: gone", "3 of 4 passed, 1 could not be tried"), ("", "3 of 4 passed")],
)
def test_repetition_that_could_not_be_tried_says_nothing_about_stability(
    infrastructure: str, counts: str
) -> None:
    observed = [seen for n in (1, 2, 3) for seen in seen_in(n)]
    observed += seen_in(4, closed=["self_v4"])
    tests = [*map(judged, (1, 2, 3)), judged(4, "error", infrastructure)]
    found = stability(observed, tests)
    assert found.counts == counts
    assert bool(found.differing) is not bool(infrastructure)
    assert found.failed == (() if infrastructure else (4,))
    assert not found.is_stable


def test_repetition_that_was_not_run_is_said_to_be_missing() -> None:
    found = stability(seen_in(1) + seen_in(2), [judged(1), judged(2)])
    assert found.counts == "2 of 4 passed, 2 not run"
    assert not found.is_stable


def test_what_did_not_come_up_differs_in_that_alone() -> None:
    failed = Observation("deployment", "start", "failed", None, VARIANT, 0, {}, 2)
    found = stability([*seen_in(1), failed], [judged(1), judged(2, "failed")])
    assert [one.kind for one in found.differing] == ["deployment"]


def test_programs_get_the_repetitions_themselves() -> None:
    observed = seen_in(1) + seen_in(2, closed=["self_v4"])
    (made,) = as_object(stability_of(observed, [judged(1), judged(2, "failed")]))
    assert made["repeat"] == 2
    assert (made["passed"], made["failed"], made["infrastructure"]) == ([1], [2], [])
    assert made["tests"] == {"test_it[self_v6]": [2]}
    assert made["differing"][0]["seen"] == {"answers": [1], "refused": [2]}


def test_each_variant_has_one_line_and_its_own_differences() -> None:
    other = [replace(each, scenario="demo-second") for each in seen_in(1)]
    lines = in_lines(stability_of([*seen_in(1), *seen_in(2, ["self_v4"]), *other], [judged(1)]))
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == [
        "demo-first",
        "demo-second",
    ]


# -- what else reads a run's record --------------------------------------------------------------


def run_of(*repetitions: Sequence[Observation]) -> Run:
    return Run("a run", [[seen for each in repetitions for seen in each]])


def once(observations: Sequence[Observation]) -> list[Observation]:
    return [replace(each, repetition=0) for each in observations]


def test_run_with_repetitions_is_compared_with_one_without() -> None:
    same = compare(run_of(seen_in(1), seen_in(2)), run_of(once(seen_in(1))))
    assert (same.compared, same.changes) == ([VARIANT], [])


def test_what_now_differs_between_repetitions_is_a_change() -> None:
    before, after = run_of(once(seen_in(1))), run_of(seen_in(1), seen_in(2, closed=["self_v4"]))
    (first, _) = compare(before, after).changes
    assert (first.before, first.after) == (
        "answers",
        "answers ×1 / refused ×1",
    )


def test_two_runs_in_which_the_same_differs_are_alike() -> None:
    seldom = run_of(seen_in(1), seen_in(2), seen_in(3, closed=["self_v4"]))
    often = run_of(seen_in(1), seen_in(2, closed=["self_v4"]), seen_in(3, closed=["self_v4"]))
    assert compare(seldom, often).changes == []


def test_relay_that_is_open_in_one_repetition_is_open() -> None:
    leaking = [
        replace(each, outcome="relayed")
        if (each.kind, each.vantage) == ("relay", "self_v4")
        else each
        for each in seen_in(2)
    ]
    before = run_of(seen_in(1), seen_in(2), seen_in(3))
    (change,) = compare(before, run_of(seen_in(1), leaking, seen_in(3))).changes
    assert change.is_about_relaying
    assert "relayed" in change.after


def test_mail_that_flows_in_another_repetition_proves_nothing_for_a_claim() -> None:
    silent = [each for each in seen_in(2) if each.kind not in ("delivery", "outgoing")]
    assert [each.mail_flows for each in deployments([seen_in(1) + silent])] == [True, False]


def test_table_says_once_what_all_repetitions_share_and_how_often_what_they_do_not() -> None:
    from rich.text import Text

    assert together([Text("own"), Text("own")]).plain == "own"
    assert together([Text("x"), Text("own"), Text("own")]).plain == "own ×2; x ×1"
    facts = [{"repetition": 2}, {"repetition": 1}, {"repetition": 2}]
    assert [len(each) for each in apart(facts)] == [1, 2]
    assert len(apart([{}, {}])) == 1
