"""A computer with Vagrant and libvirt, as somebody might have it: a systemd-nspawn machine.

Vagrant, libvirt's daemons and QEMU are installed in it and run as they do on any Debian, so that
nothing of this computer's own is used or changed; and it goes with all that was started in it.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from harness import cache
from harness.keeper.client import Keeper
from harness.machines.debian import mmdebstrap, package_list
from harness.machines.distros import DEFAULT
from harness.machines.execution import Completed
from harness.machines.golden import USER
from harness.machines.nspawn import NspawnMachine
from harness.machines.rootfs import GUEST
from harness.machines.vagrant.box import BUILT, find_box
from harness.mailserver.standin import StandIn

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
PROJECT = "/root/dms-harness"
CACHE = "/root/cache"
PYTHON_PACKAGES = "/root/python"
PYTHON = "3.13"
"""The computer's own, Debian 13's."""
ENVIRONMENT = (
    f"export DMS_HARNESS_CACHE={CACHE} PYTHONPATH={PYTHON_PACKAGES}:{PROJECT} PYTHONUNBUFFERED=1"
    f" PATH=$PATH:/usr/sbin; cd {PROJECT}"
)

PYTEST = (
    "python3 -m pytest -p harness.plugin -p no:cacheprovider --machine vagrant"
    " --mailserver stand-in --vagrant-box"
)


class Computer:
    """The computer, with this project and what it needs; nothing has to be fetched from there.

    Args:
        keeper: owns it.
    """

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper
        login = cache.login(keeper.cache)
        with cache.exclusive(keeper.cache, "computer", lambda: print("waiting")):
            rootfs = self._rootfs(login.public_key)
        self.machine = NspawnMachine(keeper, "computer", rootfs, login, {}, USER)

    def _rootfs(self, key: str) -> str:
        packages, hook = HERE / "computer.packages", HERE / "customize.sh"
        units, common = GUEST / "masked-units", GUEST / "customize.sh"
        suite = DEFAULT.release
        name = f"rootfs-computer-{cache.digest(packages, hook, units, common, key, suite)}"
        if self.keeper.call("stamp", name=name)["stamp"] is None:
            customize = f"{hook} \"$1\" '{key}' {units} {common}"
            command = mmdebstrap(suite, package_list(packages), [customize], "{target}")
            self.keeper.call("bootstrap", name="computer", final=name, command=command, notes={})
        return name

    def start(self) -> None:
        """Boot it, and bring everything there that a run will look for in its cache."""
        self.machine.start()
        self.machine.wait_until_up()
        self.bring_box(BUILT)
        # A box is for those who have the keys that were made where it was.
        self.machine.copy_to(cache.login(self.keeper.cache).private_key.parent, f"{CACHE}/ssh")
        self.machine.succeed(
            f"mkdir -p {PROJECT} {PYTHON_PACKAGES} && tar -x -C {PROJECT}", stdin=_project()
        )
        self.machine.succeed(f"tar -x -C {PYTHON_PACKAGES}", stdin=_python_packages())

    def bring_box(self, name: str) -> None:
        """Bring one of the boxes that are made here, for runs that ask for it by its name."""
        box = find_box(name, self.keeper, StandIn(""), print)
        assert box.is_here
        file = Path(urlsplit(box.url).path)
        self.machine.succeed(f"mkdir -p {CACHE}/boxes")
        self.machine.copy_to(file, f"{CACHE}/boxes/{file.name}")

    def run(self, command: str, within: float) -> Completed:
        """Run a command line in the project's folder."""
        return self.machine.run(f"{ENVIRONMENT}; {command}", within=within)

    def what_there_is(self) -> dict[str, str]:
        """Everything that a run makes on a computer: the same before and after it."""
        asked = {
            "virtual machines": "virsh list --all --name",
            # Boxes stay on purpose: they are called so.
            # Below the heading, which comes with the first machine and the pool.
            "disks": "virsh vol-list default | tail -n +3 | grep -v -e _box.img -e '^$' || :",
            "consoles": "ls /var/log/libvirt/qemu | grep console || :",
            "links": "ip -brief link | grep -v virbr | cut -d' ' -f1",
            "ledgers": f"mkdir -p {CACHE}/ledger && ls {CACHE}/ledger",
            "runtime": "ls /run/dms-harness 2>/dev/null || :",
            "cgroups": "ls -d /sys/fs/cgroup/dms-harness/* 2>/dev/null || :",
            "processes": "ps -eo comm --no-headers | grep -E '^(qemu|vagrant|ruby|python)' || :",
        }
        return {what: self.machine.succeed(command) for what, command in asked.items()}

    def begin(self, words: str, log: str) -> int:
        """Begin to run pytest there in the background; return its process id.

        Args:
            words: its arguments.
            log: the file that all that it says is written to.
        """
        started = self.run(f"setsid {PYTEST} {BUILT} {words} >{log} 2>&1 </dev/null & echo $!", 60)
        return int(started.stdout)

    def pytest(self, words: str, within: float, box: str = BUILT) -> Completed:
        """Run pytest there, on virtual machines from one of the boxes that were brought."""
        return self.run(f"{PYTEST} {box} {words}", within)


def _project() -> bytes:
    """The project as it is in this folder, committed or not."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout.split("\0")
    return _tar(ROOT, [name for name in listed if name and (ROOT / name).is_file()])


def _python_packages() -> bytes:
    """What `uv.lock` says, for the Python of that computer."""
    uv = Path(sys.executable).with_name("uv")
    with tempfile.TemporaryDirectory(prefix="dms-python-") as folder:
        exported = subprocess.run(
            [uv, "export", "--frozen", "--no-emit-project", "--no-dev", "--quiet"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        ).stdout
        subprocess.run(
            [
                *(uv, "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:"),
                *("--target", folder, "--python-version", PYTHON, "--requirements", "-"),
            ],
            input=exported,
            check=True,
            env=os.environ | {"UV_SYSTEM_CERTS": "true"},
        )
        return _tar(Path(folder), os.listdir(folder))  # noqa: PTH208 — names, not paths


def _tar(folder: Path, names: list[str]) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for name in names:
            archive.add(folder / name, name)
    return written.getvalue()
