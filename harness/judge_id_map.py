"""Verdicts about the container's user namespace; see `harness.judge`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.observations import Observation, Observations

COPIED = 0.5
"""The share of the image's size from which on podman's storage counts as having a copy of it."""
MAIL_USER = 5000
"""Who owns the mail in docker-mailserver's containers."""


def _hold(holds: bool, expected: str, seen: Observation | str, why: str) -> None:
    if not holds:
        raise AssertionError(f"expected: {expected}\nseen: {seen}\nwhy it matters: {why}")


def uid_map_is(observations: Observations, rows: Sequence[Sequence[int]]) -> None:
    """Hold that the container reads these rows in its `/proc/self/uid_map`."""
    seen = observations.one("id map", "uid_map")
    _hold(
        seen.evidence["rows"] == [list(row) for row in rows],
        f"/proc/self/uid_map is {', '.join(' '.join(map(str, row)) for row in rows)}",
        seen,
        "It decides whose the container's files are on the host.",
    )


def groups_follow_users(observations: Observations) -> None:
    """Hold that the group ids are mapped as the user ids are, inside and on the machine."""
    users = observations.one("id map", "uid_map")
    groups = observations.one("id map", "gid_map")
    _hold(bool(users.evidence["rows"]), "some rows in uid_map", users, "Inconclusive: none seen.")
    _hold(
        groups.evidence == users.evidence,
        "gid_map is like uid_map",
        f"{users}\n  and {groups}",
        "Files would belong to the right user and to a wrong group.",
    )


def files_of_user_are(observations: Observations, uid: int) -> None:
    """Hold that what one user of the container owns is the host user's, and nobody else's is.

    Args:
        observations: what was seen.
        uid: the user id in the container.
    """
    user = observations.one("id map", "user").outcome
    owners = {int(seen.subject): seen for seen in observations.find("owner")}
    for wanted in (0, MAIL_USER, uid):
        _hold(
            wanted in owners,
            f"some file of the container's user {wanted} in its volumes",
            f"files of {', '.join(map(str, owners)) or 'nobody'}",
            "Inconclusive: whose it is on the host was not seen.",
        )
    for owner, seen in owners.items():
        _hold(
            (seen.outcome == user) is (owner == uid),
            f"of the container's users, {uid} and no other is the host's {user}",
            seen,
            "The operator cannot read what belongs to a subordinate id; and whoever breaks out as "
            "the user that is the operator may write what is the operator's.",
        )


def image_is_copied(observations: Observations, expected: bool) -> None:
    """Hold that podman has, or has not, stored the image once more with other owners."""
    seen = observations.one("storage", "start")
    image = int(str(seen.evidence["image"]))
    _hold(image > 0, "the image's size", seen, "Inconclusive: it was not seen.")
    _hold(
        (int(seen.outcome) > COPIED * image) is expected,
        f"podman's storage has grown by {'a' if expected else 'no'} copy of the image",
        seen,
        "Such copies stay until the image is removed, one for each new map.",
    )
