"""What a maintainer asks a reporter for, collected while the deployment still stands."""

from __future__ import annotations

import asyncio
from pathlib import Path

from harness.launchers.base import Launcher

_ON_MACHINE = {
    "podman-ps.txt": "podman ps --all",
    "podman-inspect.json": "podman inspect {container}",
    "podman-logs.txt": "podman logs {container}",
    "podman-info.yaml": "podman info",
    "uid_map.txt": "podman exec {container} cat /proc/self/uid_map /proc/self/gid_map",
    "postconf.txt": "podman exec {container} postconf -n",
    "mail.log": "podman exec {container} cat /var/log/mail/mail.log",
    "container-addresses.txt": "podman exec {container} ip address; "
    "podman exec {container} ip route; podman exec {container} ip -6 route",
}
_BY_ROOT = {
    "journal.txt": "journalctl --no-pager -q -b -o short-precise | tail -n 1000",
    "nft-ruleset.txt": "nft list ruleset",
    "addresses.txt": "ip address; ip route; ip -6 route",
    "listening.txt": "ss -Hltunp",
    "processes.txt": "ps axfo user:12,pid,etime,rss,args",
    "versions.txt": "cat /etc/os-release; uname -a; systemctl --version; podman version;"
    " dpkg-query -W podman passt slirp4netns netavark crun firewalld docker-compose 2>/dev/null",
}


async def collect(launcher: Launcher, folder: Path) -> None:
    """Write everything into files of a folder that is there.

    What cannot be had says why in its own file.
    """
    container = launcher.scenario.table.container

    async def save(name: str, command: str, user: str) -> None:
        done = await launcher.machine.run_async(command.format(container=container), user)
        text = done.stdout
        if done.status != 0 or done.stderr:
            text += f"\n# status {done.status}; on standard error:\n{done.stderr}"
        (folder / name).write_text(text, encoding="utf-8")

    await asyncio.gather(
        *(save(name, command, launcher.user) for name, command in _ON_MACHINE.items()),
        *(save(name, command, "root") for name, command in _BY_ROOT.items()),
    )
