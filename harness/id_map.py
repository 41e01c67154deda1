"""The container's user namespace: its maps, whose its files are on the host, what it costs.

What is looked at is asked of the machine and of the container, not over the network, so that it is
no probe of a `Site`.
"""

from __future__ import annotations

import asyncio
import json
import shlex
from collections import defaultdict
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from harness.errors import CommandError

if TYPE_CHECKING:
    from harness.launchers.base import Launcher
    from harness.observations import Observations

MAPS = ("uid_map", "gid_map")
WITHIN = 60.0
"""Seconds that one look may take: podman's storage has some ten thousand files."""

Row = list[int]
Owner = tuple[int, int]
"""User id and group id."""
Owners = dict[str, Owner]
"""Path → whose it is."""


async def storage_bytes(launcher: Launcher) -> int:
    """The bytes that the files in podman's storage take, those of one that runs included.

    Files that share their blocks count in full each.

    Raises:
        CommandError: it cannot be looked at.
    """
    shown = await _succeed(launcher, "podman info --format '{{.Store.GraphRoot}}'", launcher.user)
    # By root, who may read all of it. Files that go while it looks are no failure.
    look = f"du --summarize --one-file-system --block-size=1 {shlex.quote(shown.strip())}"
    done = await launcher.machine.run_async(look, within=WITHIN)
    size, _, _ = done.stdout.partition("\t")
    if not size.isdigit():
        raise CommandError(f"`{look}` said no size: {done.stdout}{done.stderr}")
    return int(size)


async def observe(launcher: Launcher, before: int, observations: Observations) -> None:
    """Record kinds `id map`, `owner` and `storage`.

    `id map`: subjects `uid_map` and `gid_map`, as the container itself reads them, with what root
    reads on the machine (`on_machine`); and `user`, the user id that runs podman.
    `owner`: subject is a user id of the container that owns something in its volumes, outcome the
    user id on the machine (several, with commas, would be a contradiction), with an example.
    `storage`: subject `start`, outcome the bytes that podman's storage has grown by.

    Args:
        launcher: of a mail server that runs.
        before: what `storage_bytes` said before it was started.
        observations: where facts go.

    Raises:
        CommandError: something cannot be looked at.
    """
    await asyncio.gather(
        _observe_maps(launcher, observations),
        _observe_owners(launcher, observations),
        _observe_storage(launcher, before, observations),
    )


async def _observe_maps(launcher: Launcher, observations: Observations) -> None:
    container = shlex.quote(launcher.scenario.table.container)
    user = await _succeed(launcher, "id -u", launcher.user)
    observations.record("id map", "user", user.strip())
    pid = await _succeed(
        launcher, f"podman inspect --format '{{{{.State.Pid}}}}' {container}", launcher.user
    )
    for name in MAPS:
        inside = await launcher.exec_async(f"cat /proc/self/{name}")
        outside = await _succeed(launcher, f"cat /proc/{pid.strip()}/{name}", "root")
        rows = parse(inside.stdout)
        observations.record(
            "id map",
            name,
            ", ".join(" ".join(map(str, row)) for row in rows),
            rows=[*rows],
            on_machine=[*parse(outside)],
        )


def parse(text: str) -> list[Row]:
    """The rows of a `uid_map`: the first id inside, the id that it is outside, how many."""
    return [[int(word) for word in line.split()] for line in text.splitlines() if line.strip()]


async def _observe_owners(launcher: Launcher, observations: Observations) -> None:
    container = shlex.quote(launcher.scenario.table.container)
    shown = await _succeed(
        launcher, f"podman inspect --format '{{{{json .Mounts}}}}' {container}", launcher.user
    )
    examples: dict[int, tuple[str, Owner, Owner]] = {}
    seen: dict[int, set[int]] = defaultdict(set)
    for mount in json.loads(shown):
        there, here = PurePosixPath(mount["Destination"]), PurePosixPath(mount["Source"])
        find = "find {} -printf '%U %G %P\\n'"
        ask_inside, ask_outside = (find.format(shlex.quote(str(each))) for each in (there, here))
        # Only what does not change its owner while it is looked at.
        inside = owners((await launcher.exec_async(ask_inside)).stdout)
        outside = owners((await launcher.machine.run_async(ask_outside, within=WITHIN)).stdout)
        still = owners((await launcher.exec_async(ask_inside)).stdout)
        for path in sorted(inside.keys() & outside.keys()):
            owner, on_machine = inside[path], outside[path]
            if still.get(path) != owner:
                continue
            seen[owner[0]].add(on_machine[0])
            examples.setdefault(owner[0], (str(there / path), owner, on_machine))
    for uid, on_host in sorted(seen.items()):
        file, owner, on_machine = examples[uid]
        observations.record(
            "owner",
            str(uid),
            ", ".join(map(str, sorted(on_host))),
            file=file,
            in_container=":".join(map(str, owner)),
            on_machine=":".join(map(str, on_machine)),
        )


def owners(listing: str) -> Owners:
    """Path → user id and group id, from lines of the three in the other order."""
    found: Owners = {}
    for line in listing.splitlines():
        uid, _, rest = line.partition(" ")
        gid, _, path = rest.partition(" ")
        if uid.isdigit() and gid.isdigit():
            found[path] = (int(uid), int(gid))
    return found


async def _observe_storage(launcher: Launcher, before: int, observations: Observations) -> None:
    container = shlex.quote(launcher.scenario.table.container)
    after = await storage_bytes(launcher)
    image = await _succeed(
        launcher,
        f"podman image inspect --format '{{{{.Size}}}}' "
        f"$(podman inspect --format '{{{{.Image}}}}' {container})",
        launcher.user,
    )
    observations.record(
        "storage", "start", str(after - before), before=before, after=after, image=int(image)
    )


async def _succeed(launcher: Launcher, command: str, user: str) -> str:
    done = await launcher.machine.run_async(command, user, within=WITHIN)
    if done.status != 0:
        raise CommandError(f"`{command}` failed with status {done.status}: {done.stderr}")
    return done.stdout
