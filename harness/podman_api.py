"""A machine's podman API, as podman-py speaks it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from podman import PodmanClient

    from harness.machines.base import BaseMachine


@contextmanager
def podman_of(machine: BaseMachine, user: str) -> Iterator[PodmanClient]:
    """A client of the API of a user's podman on a machine, or of root's."""
    from podman import PodmanClient  # takes long, and few tests ask

    uid = machine.succeed("id -u", user).strip()
    runtime = "/run" if user == "root" else f"/run/user/{uid}"
    with tempfile.TemporaryDirectory(prefix="dms-podman-") as folder:
        local = Path(folder) / "podman.sock"
        machine.forward(f"{runtime}/podman/podman.sock", local, user)
        with PodmanClient(base_url=f"unix://{local}") as client:
            yield client
