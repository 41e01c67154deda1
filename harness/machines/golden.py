"""Goldens: what machines are forked from.

    distribution ──packages──► rootfs ──boot, provision, load the image, shut down──► golden

Each stage is named by a digest of all that goes into it, is built under a lock, and becomes part
of the cache in one step when it is complete. A golden's notes say what is in it.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness import cache
from harness.errors import HostError, MachineError
from harness.facts import of_shared_kernel
from harness.keeper.client import Keeper
from harness.machines.base import BaseMachine
from harness.machines.distros import DEFAULT, Distro
from harness.machines.nspawn import NspawnMachine
from harness.machines.rootfs import GUEST, PACKAGES, ensure_rootfs, rootfs_name
from harness.machines.shell import Login
from harness.machines.stock import FACTS, FEATURES, ROOTFUL, USUAL, Network, made_of
from harness.mailserver.image import Image, Say
from harness.needs import YES

USER: Final = "mailop"
"""Who runs rootless containers: uid 1000 on a fresh host."""
PROVISIONED_WITHIN: Final = 1200.0
"""Seconds for a fresh host to get its packages, from a mirror that may be far away."""
RUNTIME: Final = "/etc/containers/containers.conf.d/runtime.conf"
"""What says which program starts containers, where that is not podman's own choice."""
FREE_BYTES: Final = 6 << 30
"""What building everything takes at its peak, about three times what stays."""


@dataclass(frozen=True, slots=True)
class Golden:
    """A finished golden: the stock that machines of the embedded kind come from.

    Attributes:
        keeper: owns the machines.
        name: its subvolume's.
        login: the keys of its machines.
        facts: what is in it (see `FACTS`).
    """

    keeper: Keeper
    name: str
    login: Login
    facts: Mapping[str, str]
    limit: int | None = None
    proof: str = ""

    def prepare(self) -> None:
        """Nothing: it is finished."""

    def fork(self, name: str, network: Network = USUAL) -> NspawnMachine:
        """A machine like it, not yet started."""
        return NspawnMachine(self.keeper, name, self.name, self.login, self.facts, USER, network)

    def close(self) -> list[str]:
        """Nothing: it is the cache's."""
        return []


def golden_name(login: Login, image: Image, distro: Distro = DEFAULT) -> str | None:
    """The name of the golden that these ingredients make; None while the image is not fetched."""
    key = image.key()
    if key is None:
        return None
    asked = (*FACTS.values(), *FEATURES.values())
    rootfs = rootfs_name(login, distro=distro)
    return f"golden-{cache.digest(rootfs, key, GUEST / 'provision.sh', *asked, USER)}"


def find(keeper: Keeper, image: Image, distro: Distro = DEFAULT) -> Golden | None:
    """The golden for an image on a distribution, where the cache has a valid one."""
    login = cache.login(keeper.cache)
    name = golden_name(login, image, distro)
    if name is None or (stamp := keeper.call("stamp", name=name)["stamp"]) is None:
        return None
    facts: dict[str, str] = stamp["facts"]
    return _finished(keeper, name, login, facts)


def ensure(keeper: Keeper, image: Image, say: Say, distro: Distro = DEFAULT) -> Golden:
    """The golden for an image on a distribution; built now where the cache has none.

    Raises:
        HostError: it cannot be built; says why and what to do.
    """
    found = find(keeper, image, distro)
    if found is not None:
        return found
    waiting = f"another run is building the machine image of {distro}; waiting for it"
    with cache.exclusive(keeper.cache, f"golden-{distro.word}", lambda: say(waiting)):
        return find(keeper, image, distro) or _build(keeper, image, say, distro)


def prepare_image(keeper: Keeper, image: Image, say: Say) -> None:
    """Fetch or make the mail server image, one process at a time.

    What podman is needed for is done by that of the default distribution: an older one does not
    understand every recipe.

    Raises:
        HostError: it cannot be had; says why and what to do.
    """
    login = cache.login(keeper.cache)
    with cache.exclusive(keeper.cache, "image", lambda: say("another run makes the image")):
        image.prepare(keeper, say, lambda: ensure_rootfs(keeper, login, say))


def _build(keeper: Keeper, image: Image, say: Say, distro: Distro) -> Golden:
    free = keeper.call("hello")["free"]
    if free < FREE_BYTES:
        raise HostError(
            f"{keeper.cache} has {free >> 20} MB left; building needs {FREE_BYTES >> 20} MB",
            f"free some space, or set {cache.ENVIRONMENT} to a folder on a larger disk",
        )
    login = cache.login(keeper.cache)
    # Mostly waiting for the mirror and unpacking: both cores have something to do.
    pool = ThreadPoolExecutor(2)
    try:
        made = pool.submit(ensure_rootfs, keeper, login, say, None, distro)
        prepared = pool.submit(prepare_image, keeper, image, say)
        rootfs = made.result()
        prepared.result()
    finally:
        # Whoever interrupts does not wait for it: what is being built ends with the keeper.
        pool.shutdown(wait=False, cancel_futures=True)
    # What was fetched only now may be what a golden was made from before.
    found = find(keeper, image, distro)
    if found is not None:
        return found
    golden = golden_name(login, image, distro)
    assert golden is not None
    started = time.monotonic()
    say("machine: first boot")
    name = f"golden-{distro.word}"
    machine = NspawnMachine(keeper, name, rootfs, login, {}, USER)
    machine.start()
    try:
        machine.wait_until_up()
        say("machine: provisioning")
        provision(machine, say)
        image.load(machine, say)
        settle_runtime(machine, say)
        facts = made_of(machine)
        say("machine: shutting down")
        machine.halt()
        notes = {"facts": facts, "built": time.strftime("%Y-%m-%d"), "image": str(image.label)}
        keeper.call("finish", name=name, final=golden, notes=notes | {"distro": distro.name})
    finally:
        machine.destroy()
    say(f"machine: image ready after {time.monotonic() - started:.0f} s")
    return _finished(keeper, golden, login, facts)


def _finished(keeper: Keeper, name: str, login: Login, facts: Mapping[str, str]) -> Golden:
    # Those of the kernel are not the golden's: it is another one where the computer boots another.
    known = {**facts, **of_shared_kernel()}
    return Golden(keeper, name, Login(login.private_key, facts["host_key"]), known)


def settle_runtime(machine: BaseMachine, say: Say) -> None:
    """See that containers of root's start; with another program than the usual one if need be.

    Nothing where neither does: that is among the machine's facts.
    """
    why = machine.run(ROOTFUL).stdout.strip()
    if why == YES or machine.run("command -v runc").status != 0:
        return
    machine.succeed(f"mkdir -p {Path(RUNTIME).parent}")
    machine.write_file(RUNTIME, '[engine]\nruntime = "runc"\n')
    if machine.run(ROOTFUL).stdout.strip() == YES:
        say(f"machine: root's containers are started by runc here: {why}")
    else:
        machine.succeed(f"rm {RUNTIME}")


def provision(machine: BaseMachine, say: Say) -> None:
    """Make a fresh host what the guide's reader starts from; nothing where it is that already.

    Raises:
        MachineError: a step of it failed; says which, and what to do.
    """
    script = (GUEST / "provision.sh").read_bytes()
    words = (machine.user, machine.shell.login.public_key, PACKAGES.read_text(encoding="utf-8"))
    done = machine.run(
        # Read to its end before it begins: its children would eat what a shell has not read yet.
        f'script=$(cat) && exec sh -c "$script" provision.sh {shlex.join(words)} </dev/null',
        within=PROVISIONED_WITHIN,
        stdin=script,
    )
    for line in done.stdout.splitlines():
        say(f"machine: {line}")
    if done.status != 0:
        what, arrow, remedy = done.stderr.strip().rpartition("\n  → ")
        # The last word is the script's own; before it, programs may have said more.
        what = what.rpartition("provision: ")[2] if arrow else done.stderr.strip()
        raise MachineError(f"{machine.name} cannot be provisioned: {what}", remedy if arrow else "")
