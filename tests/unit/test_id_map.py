"""What is read of user namespaces, and the verdicts about it."""

from __future__ import annotations

import pytest

from harness import judge_id_map
from harness.id_map import owners, parse
from harness.observations import Observations

ROWS = [[0, 1, 5000], [5000, 0, 1], [5001, 5001, 60536]]


def seen(**changed: object) -> Observations:
    """What is observed of UIDMap=+5000:@%U, or something else in its place."""
    value = {
        "rows": ROWS,
        "groups": ROWS,
        "owners": {0: "100000", 100: "100100", 5000: "1000"},
        "grown": 190,
        "image": 180,
    } | changed
    made = Observations("a-b")
    made.record("id map", "user", "1000")
    made.record("id map", "uid_map", "…", rows=value["rows"], on_machine=[])  # type: ignore[arg-type]
    made.record("id map", "gid_map", "…", rows=value["groups"], on_machine=[])  # type: ignore[arg-type]
    for uid, owner in value["owners"].items():  # type: ignore[attr-defined]
        made.record("owner", str(uid), owner)
    made.record("storage", "start", str(value["grown"]), image=value["image"])  # type: ignore[arg-type]
    return made


def test_maps_and_owners_are_read_from_what_is_printed() -> None:
    assert parse("         0          1       5000\n      5000          0          1\n") == ROWS[:2]
    assert parse("") == []
    assert owners("0 0 \n5000 5000 example.com/a b\nfind: no such file\n") == {
        "": (0, 0),
        "example.com/a b": (5000, 5000),
    }


def test_what_is_expected_passes() -> None:
    judge_id_map.uid_map_is(seen(), ROWS)
    judge_id_map.uid_map_is(seen(), [(0, 1, 5000), (5000, 0, 1), (5001, 5001, 60536)])
    judge_id_map.groups_follow_users(seen())
    judge_id_map.files_of_user_are(seen(), 5000)
    judge_id_map.image_is_copied(seen(), True)
    judge_id_map.image_is_copied(seen(grown=4), False)


def test_another_map_fails() -> None:
    with pytest.raises(AssertionError, match="uid_map is 0 0 1, 1 1 65536"):
        judge_id_map.uid_map_is(seen(), [[0, 0, 1], [1, 1, 65536]])
    with pytest.raises(AssertionError, match="uid_map is"):
        judge_id_map.uid_map_is(seen(rows=[]), ROWS)


def test_groups_of_their_own_fail_and_so_does_nothing_at_all() -> None:
    with pytest.raises(AssertionError, match="wrong group"):
        judge_id_map.groups_follow_users(seen(groups=[[0, 0, 65537]]))
    with pytest.raises(AssertionError, match="Inconclusive"):
        judge_id_map.groups_follow_users(seen(rows=[], groups=[]))


def test_another_owner_fails() -> None:
    for changed in ({5000: "104999"}, {0: "1000"}, {5000: "1000, 104999"}, {100: "1000"}):
        people = {0: "100000", 100: "100100", 5000: "1000"} | changed
        with pytest.raises(AssertionError, match="5000 and no other is the host's 1000"):
            judge_id_map.files_of_user_are(seen(owners=people), 5000)


@pytest.mark.parametrize("missing", [0, 5000])
def test_owners_that_were_not_seen_are_inconclusive(missing: int) -> None:
    people = {0: "100000", 5000: "1000"}
    del people[missing]
    with pytest.raises(AssertionError, match="Inconclusive"):
        judge_id_map.files_of_user_are(seen(owners=people), 5000)


def test_a_copy_too_much_or_too_little_fails() -> None:
    with pytest.raises(AssertionError, match="no copy of the image"):
        judge_id_map.image_is_copied(seen(), False)
    with pytest.raises(AssertionError, match="a copy of the image"):
        judge_id_map.image_is_copied(seen(grown=4), True)
    with pytest.raises(AssertionError, match="Inconclusive"):
        judge_id_map.image_is_copied(seen(image=0), False)


def test_what_was_not_observed_never_passes() -> None:
    nothing = Observations("a-b")
    for judged in (
        lambda: judge_id_map.uid_map_is(nothing, ROWS),
        lambda: judge_id_map.groups_follow_users(nothing),
        lambda: judge_id_map.files_of_user_are(nothing, 0),
        lambda: judge_id_map.image_is_copied(nothing, False),
    ):
        with pytest.raises(AssertionError, match="not observed"):
            judged()
