"""Where machines come from that are all the same one: a host that somebody has.

look ─► guard ─► image for root ─► [ user, outside, image for the user ─► deployment ─► undo ]…
  └───────────────────────── compared with ─────────────────────────── look ◄─ undo ◄──────┘
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from harness import cache
from harness.errors import HarnessError, HostError
from harness.facts import of_kernel
from harness.leaks import State
from harness.machines import golden
from harness.machines.shell import Login as Keys
from harness.machines.ssh import look
from harness.machines.ssh.guard import PYTHON, STATE, UNIT, Guard
from harness.machines.ssh.login import Login, parse
from harness.machines.ssh.machine import ARCHIVE, SshMachine
from harness.machines.ssh.network import RUN
from harness.machines.stock import USUAL, Network, made_of
from harness.mailserver.image import NAME, Image, Say

if TYPE_CHECKING:
    from harness.keeper.client import Keeper

_SSHD_CONFIG: Final = f"""\
# Made by dms-harness for the time of a run; only what speaks with its standard input reads it.
HostKey {RUN}/host_key
AuthorizedKeysFile {RUN}/authorized_keys
AllowUsers root {look.USER}
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM yes
UseDNS no
PrintMotd no
PidFile none
LogLevel ERROR
Subsystem sftp internal-sftp
"""
IPAM: Final = "/run/containers/networks/ipam.db"
_KEYS: Final = f"""set -e
install -d -m 711 {RUN}
umask 022
python3 -I -c '
import json, sys
for name, text in json.load(sys.stdin).items():
    with open(f"{RUN}/{{name}}", "w") as file:
        file.write(text)
'
chmod 600 {RUN}/host_key
mkdir -p /run/sshd
"""
_NO_KEYS: Final = f"systemctl -q stop '{UNIT}-shell-*' 2>/dev/null; rm -rf {RUN}"


class SshStock:
    """One host, as often as it is asked for, one scenario after the other.

    Args:
        keeper: of this computer; makes the image.
        image: what is loaded into the host.
        where: the host, `[USER@]HOST[:PORT]`.
        say: tells the user what is being done.

    Raises:
        HarnessError: it is no host, or the image cannot be had.
    """

    limit = 1
    proof = ""

    def __init__(self, keeper: Keeper, image: Image, where: str, say: Say) -> None:
        self._where = parse(where)
        self._image = image
        self._say = say
        self._keys = cache.login(keeper.cache)
        self._facts: dict[str, str] = {}
        self._free = threading.Semaphore(1)
        self._login: Login | None = None
        self._guard: Guard | None = None
        self._before: State = {}
        self._ready: State = {}
        golden.prepare_image(keeper, image, say)

    @property
    def facts(self) -> Mapping[str, str]:
        """What the host is made of; empty before `prepare`."""
        return self._facts

    def prepare(self) -> None:
        """Log in, see that a run may begin, and load the image for root.

        Raises:
            HarnessError: it may not, or cannot; the host is as it was then.
        """
        if self._facts:
            return
        try:
            self._facts = self._take_over()
        except BaseException:
            for thing in self.close():
                self._say(f"{self._where}: {thing}")
            raise

    def _take_over(self) -> dict[str, str]:
        self._say(f"machine: logging in: {self._where.ssh}")
        login = self._login = Login(self._where)
        for line in clean_up(login):
            self._say(f"machine: {line}")
        found = look.ask(login)
        look.refuse(self._where, found)
        self._say("machine: looking at everything that could be changed")
        self._before = look.look(login)
        guard = self._guard = Guard(login)
        keep = f"{PYTHON} {STATE}/restore.py {STATE}"
        guard.change("how things were", f"{keep}/base.json keep", f"{keep}/base.json put-back")
        host_key, public = _host_key()
        files = {
            "sshd_config": _SSHD_CONFIG,
            "host_key": host_key,
            "authorized_keys": self._keys.private_key.with_suffix(".pub").read_text("utf-8"),
        }
        guard.change("the run's own logins", _KEYS, _NO_KEYS, json.dumps(files).encode())
        self._keys = Keys(self._keys.private_key, public)
        root = SshMachine(
            guard, "host", self._keys, {}, USUAL, list, contextlib.nullcontext(), user="root"
        )
        root.wait_until_up()
        self._image.load(root, self._say)
        guard.do(f"podman save --quiet --output {ARCHIVE} {NAME}")
        facts = {**made_of(root), **of_kernel(root), "lacks": " ".join(found.lacks)}
        root.destroy()
        guard.do(f"systemctl -q stop '{UNIT}-shell-*'")
        # Scenarios expect the addresses of a podman that has given none yet; building the image
        # took some, and so did whatever ran here before. Containers that are there keep theirs.
        guard.do(f'test -n "$(podman ps --all --quiet)" || rm -f {IPAM}')
        guard.do(f"{keep}/ready.json keep")
        self._ready = look.look(login)
        self._say("machine: the host is ready")
        return facts

    def fork(self, name: str, network: Network = USUAL) -> SshMachine:
        """The host, once nobody else has it."""
        assert self._guard is not None, "not prepared"
        return SshMachine(
            self._guard, name, self._keys, self._facts, network, self._compare, self._free
        )

    def _compare(self) -> list[str]:
        assert self._login is not None
        return look.differences(self._ready, look.look(self._login))

    def close(self) -> list[str]:
        """Change everything back, and compare; what is not as it was, in words."""
        guard, self._guard = self._guard, None
        login, self._login = self._login, None
        if login is None:
            return []
        try:
            left = guard.close() if guard is not None else []
            if self._before:
                left += look.differences(self._before, look.look(login))
                if not left:
                    self.proof = f"{self._where} is as it was before the run"
        except HarnessError as error:
            return [f"{self._where}: whether it is as it was cannot be told: {error}"]
        finally:
            login.close()
        return left


def _host_key() -> tuple[str, str]:
    """A new host key: the private half, and the public one as a host shows it."""
    import asyncssh

    key = asyncssh.generate_private_key("ssh-ed25519")
    public = key.export_public_key().decode().split()
    return key.export_private_key().decode(), " ".join(public[:2])


def clean_up(login: Login) -> list[str]:
    """Undo what a dead run left on a host; what was undone, in words.

    Raises:
        HostError: something cannot be undone, or another run is using the host.
    """
    # The guard of a run that has just been killed is still at work.
    again = (
        f"test ! -e {STATE}/guard.py || {{ flock --timeout 60 {STATE}/lock true;"
        f" test ! -e {STATE}/guard.py || {PYTHON} {STATE}/guard.py {STATE} --undo; }}"
    )
    done = login.run(login.as_root(again), within=600)
    if not done.stdout.strip():
        if done.status != 0:
            raise HostError(f"{login.where}: {again}: {done.stderr.strip()}")
        return []
    told = json.loads(done.stdout)
    if "error" in told:
        raise HostError(f"{login.where}: {told['error']}", "wait for its end")
    if told["stuck"]:
        raise HostError(
            f"{login.where}: what a dead run left cannot be undone: {'; '.join(told['stuck'])}",
            f"see {STATE}/undo.jsonl there",
        )
    return [f"undone what a dead run had left: {what}" for what in told["undone"]]
