"""A command in a copy of a root file system, with this computer's own network.

Machines cannot reach the real network, by design; fetching or building an image for them has to.
systemd-nspawn runs the command without a namespace for the network and without booting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.keeper.container import SYSTEM_CALLS

SHOWN = ("STEP ", "[", "Trying to pull ", "Copying blob ", "Writing manifest ")
"""How podman's lines begin that tell a waiting user something (`[1/2] STEP 3/4: RUN …`)."""
TARGET = "/target"
"""Where the command finds the file that it is to fill."""
HOSTS = Path("/etc/hosts")


def nspawn(
    name: str,
    root: Path,
    command: Sequence[str],
    writable: Mapping[str, str],
    readable: Mapping[str, str],
    environment: Mapping[str, str],
) -> list[str]:
    """The command line that runs `command` in `root`.

    Args:
        name: unique on this computer.
        root: the root directory; changes to it stay.
        command: what to run there, as root.
        writable: path inside → path of this computer that is shared with it.
        readable: the same for what it may only read.
        environment: variables to set beside systemd-nspawn's own.
    """
    # A minimal root file system has none, and without it `localhost` is asked of the DNS server.
    hosts = {str(HOSTS): str(HOSTS)} if HOSTS.exists() else {}
    return [
        *("env", "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1"),
        "systemd-nspawn",
        "--quiet",
        "--as-pid2",
        "--register=no",
        "--keep-unit",
        "--console=pipe",
        f"--directory={root}",
        f"--machine={name}",
        "--resolv-conf=copy-host",
        "--timezone=off",
        "--link-journal=no",
        f"--system-call-filter={SYSTEM_CALLS}",
        *(f"--bind={_path(there)}:{_path(inside)}" for inside, there in writable.items()),
        *(
            f"--bind-ro={_path(there)}:{_path(inside)}"
            for inside, there in (hosts | dict(readable)).items()
        ),
        *(f"--setenv={key}={value}" for key, value in environment.items()),
        *command,
    ]


def _path(path: str) -> str:
    """A path as systemd-nspawn's options want it: it splits them at colons."""
    return path.replace("\\", "\\\\").replace(":", "\\:")
