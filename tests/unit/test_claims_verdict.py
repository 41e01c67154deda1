"""From observations to verdicts about claims, by each of the rules."""

from __future__ import annotations

from typing import Any

import pytest

from harness.claims import Claim
from harness.claims_verdict import ClaimVerdict, Verdict, deployments, judge, kinds_of
from harness.observations import Observation, Observations

COMES_UP = {
    "when": "compose",
    "scenario": "compose-*",
    "kind": "deployment",
    "subject": "start",
    "holds": "came up",
}
QUADLET = COMES_UP | {"when": "Quadlet", "scenario": "quadlet-*"}
SELINUX = {"name": "SELinux", "would": "Fedora", "subject": "selinux", "is": "enforcing"}


def claim(*cases: dict[str, Any], **more: Any) -> Claim:
    base = {"id": "C1", "quote": "q", "section": "s", "test": "t", "case": cases}
    return Claim.model_validate(base | more)


def run(*seen: tuple[str, str, str, str], **machine: str) -> list[Observation]:
    """Observations: scenario, kind, subject, outcome; and facts of all of their machines."""
    made: dict[str, Observations] = {}
    for scenario, kind, subject, outcome in seen:
        if scenario not in made:
            made[scenario] = Observations(scenario)
            for fact, value in ({"podman": "podman version 5.4.2"} | machine).items():
                made[scenario].record("machine", fact, value)
        vantage, _, rest = subject.rpartition("@")
        made[scenario].record(kind, rest, outcome, vantage or None)
    return [each for one in made.values() for each in one]


def verdict(of: Claim, *runs: list[Observation]) -> ClaimVerdict:
    (one,) = judge([of], deployments(runs))
    return one


def up(scenario: str, outcome: str = "came up") -> tuple[str, str, str, str]:
    return (scenario, "deployment", "start", outcome)


def test_all_as_claimed_is_upheld() -> None:
    said = verdict(claim(COMES_UP, QUADLET), run(up("compose-a"), up("compose-b"), up("quadlet-a")))
    assert said.verdict is Verdict.UPHELD
    assert not said.is_partial
    assert [len(result.seen) for result in said.results] == [2, 1]


def test_none_as_claimed_is_contradicted_with_what_is_seen() -> None:
    said = verdict(claim(COMES_UP), run(up("compose-a", "failed"), up("compose-b", "failed")))
    assert said.verdict is Verdict.CONTRADICTED
    assert [seen.text for seen in said.results[0].telling] == ["failed", "failed"]


def test_one_of_many_observations_breaks_a_case() -> None:
    said = verdict(claim(COMES_UP), run(up("compose-a"), up("compose-b", "failed")))
    assert said.verdict is Verdict.CONTRADICTED
    assert [seen.observation.scenario for seen in said.results[0].telling] == ["compose-b"]


def test_cases_that_differ_make_it_depend() -> None:
    said = verdict(claim(COMES_UP, QUADLET), run(up("compose-a", "failed"), up("quadlet-a")))
    assert said.verdict is Verdict.DEPENDS
    assert [result.name for result in said.held] == ["Quadlet"]
    assert [result.name for result in said.broken] == ["compose"]


def test_one_is_enough_where_the_case_says_any() -> None:
    some = run(up("compose-a", "failed"), up("compose-b"))
    assert verdict(claim(COMES_UP | {"any": True}), some).verdict is Verdict.UPHELD
    none = run(up("compose-a", "failed"), up("compose-b", "failed"))
    assert verdict(claim(COMES_UP | {"any": True}), none).verdict is Verdict.CONTRADICTED


def test_without_observations_it_is_not_run() -> None:
    assert verdict(claim(COMES_UP)).verdict is Verdict.NOT_RUN
    assert verdict(claim(), run(up("compose-a"))).verdict is Verdict.NOT_RUN
    other = run(("compose-a", "deployment", "stop", "came up"), up("podman_compose-a"))
    said = verdict(claim(COMES_UP), other)
    assert (said.verdict, said.cases_run, said.is_partial) == (Verdict.NOT_RUN, 0, False)


def test_some_cases_only_is_said() -> None:
    said = verdict(claim(COMES_UP, QUADLET), run(up("quadlet-a")))
    assert (said.verdict, said.cases_run, said.is_partial) == (Verdict.UPHELD, 1, True)


@pytest.mark.parametrize("outcome", ["error", "connection lost", "inconclusive", "deferred"])
def test_what_a_probe_could_not_tell_is_no_observation(outcome: str) -> None:
    assert verdict(claim(COMES_UP), run(up("compose-a", outcome))).verdict is Verdict.NOT_RUN
    said = verdict(claim(COMES_UP), run(up("compose-a", outcome), up("compose-b")))
    assert said.verdict is Verdict.UPHELD


def test_only_outcomes_that_count_do() -> None:
    case = COMES_UP | {"counts": "came up|failed"}
    assert verdict(claim(case), run(up("compose-a", "odd"))).verdict is Verdict.NOT_RUN


def test_outcome_must_match_as_a_whole() -> None:
    said = verdict(claim(COMES_UP), run(up("compose-a", "never came up")))
    assert said.verdict is Verdict.CONTRADICTED


def test_vantage_and_subject_select() -> None:
    case = {
        "when": "outside",
        "scenario": "a-*",
        "kind": "port",
        "subject": ["25", "143"],
        "vantage": "outside_*",
        "holds": "answers",
    }
    seen = run(
        ("a-b", "port", "outside_v4@25", "answers"),
        ("a-b", "port", "outside_v6@143", "answers"),
        ("a-b", "port", "localhost_v4@25", "refused"),
        ("a-b", "port", "outside_v4@110", "refused"),
    )
    said = verdict(claim(case), seen)
    assert said.verdict is Verdict.UPHELD
    assert len(said.results[0].seen) == 2


def test_evidence_is_looked_at_where_it_is_there_and_the_outcome_elsewhere() -> None:
    case = COMES_UP | {"evidence": "why", "holds": "denied"}
    failed = Observations("compose-a")
    failed.record("deployment", "start", "failed", why="first\nport 25: permission denied\n")
    assert verdict(claim(case), [*failed]).verdict is Verdict.UPHELD
    assert verdict(claim(case), run(up("compose-a"))).verdict is Verdict.CONTRADICTED
    listed = Observations("compose-a")
    listed.record("deployment", "start", "failed", why=["one", "permission denied"])
    assert verdict(claim(case), [*listed]).verdict is Verdict.UPHELD


def test_outcome_is_compared_with_evidence() -> None:
    case = {"when": "own", "scenario": "a-*", "kind": "client_address", "equals": "source"}
    own, other = Observations("a-b"), Observations("a-b")
    own.record("client_address", "smtp", "192.0.2.1", "outside_v4", source="192.0.2.1")
    other.record("client_address", "smtp", "10.89.0.2", "outside_v4", source="192.0.2.1")
    unanswered = Observations("a-b")
    unanswered.record("client_address", "smtp", "no answer", "outside_v4")
    assert verdict(claim(case), [*own]).verdict is Verdict.UPHELD
    assert verdict(claim(case), [*other]).verdict is Verdict.CONTRADICTED
    assert verdict(claim(case), [*unanswered]).verdict is Verdict.CONTRADICTED


def test_the_same_takes_two_and_one_of_each_pattern() -> None:
    case = {
        "when": "both",
        "scenario": ["map-one", "map-two"],
        "kind": "id map",
        "subject": "uid_map",
        "same": True,
    }
    one, two = ("map-one", "id map", "uid_map", "0 0 1"), ("map-two", "id map", "uid_map", "0 0 1")
    assert verdict(claim(case), run(one)).verdict is Verdict.NOT_RUN
    assert verdict(claim(case), run(one, one)).verdict is Verdict.NOT_RUN
    assert verdict(claim(case), run(one, two)).verdict is Verdict.UPHELD
    differing = verdict(claim(case), run(one, (*two[:3], "0 1 1")))
    assert differing.verdict is Verdict.CONTRADICTED
    assert len(differing.results[0].telling) == 2
    either = case | {"scenario": "map-*", "subject": "?id_map"}
    assert verdict(claim(either), run(one)).verdict is Verdict.NOT_RUN


def relayed(outcome: str, flows: bool) -> list[Observation]:
    flow = "unchanged" if flows else "accepted, not arrived"
    return run(
        ("a-b", "relay", "outside_v4@plain", outcome),
        ("a-b", "delivery", "outside to mailbox", flow),
        ("a-b", "outgoing", "submission", flow),
    )


def test_refusal_says_nothing_where_no_mail_flows() -> None:
    case = {"when": "any", "scenario": "a-*", "kind": "relay", "holds": "relayed", "any": True}
    assert verdict(claim(case), relayed("refused", flows=True)).verdict is Verdict.CONTRADICTED
    assert verdict(claim(case), relayed("refused", flows=False)).verdict is Verdict.NOT_RUN
    assert verdict(claim(case), relayed("relayed", flows=False)).verdict is Verdict.UPHELD


def test_what_no_machine_has_makes_it_not_checkable() -> None:
    needing = claim(COMES_UP, needs=[SELINUX])
    here = run(up("compose-a"), selinux="absent")
    said = verdict(needing, here)
    assert (said.verdict, [need.name for need in said.missing]) == (
        Verdict.NOT_CHECKABLE,
        ["SELinux"],
    )
    # Even where nothing of the claim would have been run.
    assert verdict(claim(needs=[SELINUX]), here).verdict is Verdict.NOT_CHECKABLE
    fedora = run(up("compose-a", "failed"), selinux="enforcing")
    assert verdict(needing, fedora).verdict is Verdict.CONTRADICTED
    # What the machine without it shows does not count.
    both = verdict(needing, here, fedora)
    assert both.verdict is Verdict.CONTRADICTED
    assert len(both.results[0].seen) == 1


def test_machine_that_has_it_and_was_not_used_for_the_claim_is_not_run() -> None:
    fedora = run(up("quadlet-a"), selinux="enforcing")
    assert verdict(claim(COMES_UP, needs=[SELINUX]), fedora).verdict is Verdict.NOT_RUN
    without = run(up("quadlet-b"), selinux="absent")
    assert verdict(claim(COMES_UP, needs=[SELINUX]), fedora, without).verdict is Verdict.NOT_RUN


def test_machine_of_which_nothing_is_known_is_not_run() -> None:
    needing = claim(COMES_UP, needs=[SELINUX])
    assert verdict(needing, run(up("compose-a"))).verdict is Verdict.NOT_RUN
    assert verdict(needing, run(up("compose-a"), selinux="error")).verdict is Verdict.NOT_RUN


def test_what_nothing_can_show_is_not_checkable() -> None:
    need = {"name": "a checkout", "would": "a checkout"}
    said = verdict(claim(COMES_UP, needs=[need]), run(up("compose-a")))
    assert said.verdict is Verdict.NOT_CHECKABLE


def test_runs_that_differ_make_it_depend_on_what_they_differ_in() -> None:
    older = run(up("compose-a", "failed"), podman="podman version 4.3.1")
    newer = run(up("compose-a"), podman="podman version 5.4.2")
    said = verdict(claim(COMES_UP), older, newer)
    assert said.verdict is Verdict.DEPENDS
    assert [result.name for result in said.broken] == ["compose (podman 4.3.1)"]
    assert [result.name for result in said.held] == ["compose (podman 5.4.2)"]


def test_runs_alike_are_put_together() -> None:
    said = verdict(claim(COMES_UP, QUADLET), run(up("compose-a")), run(up("quadlet-a")))
    assert (said.verdict, said.is_partial) == (Verdict.UPHELD, False)
    assert [result.where for result in said.results] == ["", ""]


@pytest.mark.parametrize(
    ("image", "depends", "marked"),
    [
        ("stand-in standin-1 (asked for)", ["image"], True),
        ("stand-in standin-1 (asked for)", ["network"], False),
        ("upstream 15.0.0 (asked for)", ["image"], False),
    ],
)
def test_what_a_stand_in_shows_of_the_mail_server_is_marked(
    image: str, depends: list[str], marked: bool
) -> None:
    seen = run(up("compose-a"), ("compose-a", "mail server", "image", image))
    assert verdict(claim(COMES_UP, depends=depends), seen).on_stand_in is marked


def test_correction_is_that_of_the_verdict() -> None:
    given = claim(COMES_UP, correction={"contradicted": "it does not"})
    assert verdict(given, run(up("compose-a", "failed"))).correction == "it does not"
    assert verdict(given, run(up("compose-a"))).correction is None
    assert verdict(given).correction is None


def test_kinds_are_all_that_verdicts_take() -> None:
    need = SELINUX | {"kind": "host"}
    assert kinds_of([claim(COMES_UP, needs=[need])]) >= {"deployment", "host", "machine"}


def test_a_machine_that_never_came_up_makes_no_difference_that_would_be_named() -> None:
    booting = Observations("quadlet-a")
    booting.record("mail server", "image", "stand-in")
    said = verdict(claim(COMES_UP, QUADLET), [*run(up("compose-a")), *booting])
    assert [result.name for result in said.results] == ["compose", "Quadlet"]
