"""Run as root on a host that is somebody's own: remembers how it is, and makes it so again.

    restore.py FILE keep         note in FILE how things are
    restore.py FILE put-back     make them so again; status 1 where something cannot be

For what a mail server's operator changes beside what is undone one by one: root's podman, the
firewall, kernel settings, configuration files, root's files. Nothing is touched that is as it was.

Standard library only, for every Python since 3.9.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

SYSCTLS = (
    "net.ipv4.ip_forward",
    "net.ipv6.conf.all.forwarding",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.icmp_ratelimit",
)
FOLDERS = ("/etc/sysctl.d", "/etc/firewalld", "/etc/containers", "/etc/systemd")
"""What operators configure; restored file by file."""
PLACES = ("/root", "/srv")
"""Where operators put a mail server's files; what is new there goes, but for hidden files."""
IPAM = Path("/run/containers/networks/ipam.db")
RUNTIME = ("crun", "runc", "libpod", "netavark")
"""Folders in /run that root's first container makes."""
NETNS = Path("/run/netns")
"""What the first named network namespace makes; a host may have it, with nothing in it."""
ZONE = ("services", "ports", "protocols", "forward-ports", "rich-rules")
"""What firewalld lists of a zone."""
WITHIN = 120


def told(*command: str) -> str:
    """What a command writes; nothing where it fails or is not there."""
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=WITHIN, check=False
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace") if done.returncode == 0 else ""


def lines(*command: str) -> list[str]:
    """The lines that a command writes, sorted."""
    return sorted(line for line in told(*command).splitlines() if line.strip())


def do(*command: str) -> str:
    """Run a command; what is wrong with it, or nothing."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=WITHIN, check=False
    )
    if done.returncode == 0:
        return ""
    return f"{' '.join(command)}: {done.stdout.decode(errors='replace').strip()}"


# -- units --------------------------------------------------------------------------------------


def keep_units() -> list[str]:
    """The services, sockets and timers that run, or have failed."""
    words = ("--state=active,activating,failed", "--type=service,socket,timer")
    listed = lines("systemctl", "list-units", "--plain", "--no-legend", *words)
    return [line.partition(" ")[0] for line in listed]


def put_back_units(kept: list[str]) -> list[str]:
    """Stop what is new and comes from an operator's files, or from podman."""
    new = [
        unit
        for unit in keep_units()
        if unit not in kept
        and not unit.startswith("dms-harness")
        and (
            unit.startswith("podman")
            or told("systemctl", "show", "--value", "-p", "FragmentPath", unit).startswith(
                ("/etc/systemd/system/", "/run/systemd/generator")
            )
        )
    ]
    if not new:
        return []
    wrong = [do("systemctl", "stop", "--no-block", *new)]
    # A mail server may take a minute to stop; nobody needs its mail any more. Its conmon must live.
    for unit in new:
        if found := podman("ps", "--quiet", "--filter", f"label=PODMAN_SYSTEMD_UNIT={unit}"):
            do("podman", "kill", *found)
    wrong.append(do("systemctl", "stop", *new))
    do("systemctl", "reset-failed", *new)
    return wrong


# -- root's podman -----------------------------------------------------------------------------


def podman(*words: str) -> list[str]:
    """What root's podman lists."""
    return lines("podman", *words)


def keep_podman() -> dict[str, list[str]]:
    """Containers, volumes, networks, and images with their names."""
    return {
        "containers": podman("ps", "--all", "--no-trunc", "--format", "{{.ID}}"),
        "volumes": podman("volume", "ls", "--format", "{{.Name}}"),
        "networks": podman("network", "ls", "--format", "{{.Name}}"),
        "images": podman(
            *("images", "--all", "--no-trunc", "--format", "{{.Id}} {{.Repository}}:{{.Tag}}")
        ),
        "running": podman("ps", "--no-trunc", "--format", "{{.ID}}"),
    }


def put_back_podman(kept: dict[str, list[str]]) -> list[str]:
    """Remove what is new; give images that were there the names that they had."""
    now = keep_podman()

    def new(sort: str) -> list[str]:
        return [each for each in now[sort] if each not in kept[sort]]

    wrong = []
    if found := new("containers"):
        # What its unit is just removing as well may be there no more, or not just now.
        remove = ("podman", "rm", "--force", "--ignore", "--time", "0", "--volumes", *found)
        wrong.append(do(*remove) and do(*remove))
    if found := new("volumes"):
        wrong.append(do("podman", "volume", "rm", "--force", *found))
    if found := new("networks"):
        wrong.append(do("podman", "network", "rm", "--force", *found))
    there = {line.partition(" ")[0] for line in kept["images"]}
    for line in new("images"):
        image, _, name = line.partition(" ")
        if image in there and "<none>" not in name:
            wrong.append(do("podman", "untag", image, name))
    for image in dict.fromkeys(line.partition(" ")[0] for line in new("images")):
        if image not in there:
            wrong.append(do("podman", "rmi", "--force", image))
    for line in kept["images"]:
        image, _, name = line.partition(" ")
        # What is kept for one scenario is gone where the whole run was put back first.
        is_there = any(each.startswith(f"{image} ") for each in now["images"])
        if is_there and line not in now["images"] and "<none>" not in name:
            wrong.append(do("podman", "tag", image, name))
    return wrong


# -- the firewall, and the kernel's settings ---------------------------------------------------


def keep_firewall() -> dict[str, Any]:
    """Note firewalld's default zone and direct rules, the tables that there are, and all rules."""
    zone = {sort: told("firewall-cmd", f"--list-{sort}").strip() for sort in ZONE}
    return {
        "firewalld": told("firewall-cmd", "--state").strip(),
        "zone": zone,
        "direct": lines("firewall-cmd", "--direct", "--get-all-rules"),
        "tables": lines("nft", "list", "tables"),
        "rules": told("nft", "--stateless", "--terse", "list", "ruleset"),
        "is permanent": zones() == zones("--permanent"),
    }


def zones(*words: str) -> list[str]:
    """All that firewalld's zones let in, for the time being or for good."""
    listed = told("firewall-cmd", *words, "--list-all-zones").splitlines()
    # Which interfaces are in them, and so which are active, is for the time being only.
    names = ("  interfaces:", "  icmp-block-inversion:")
    return [line.partition(" (")[0] for line in listed if not line.startswith(names)]


def put_back_firewall(kept: dict[str, Any]) -> list[str]:
    """Make the default zone what it was, and remove what netavark has left.

    Tables, and the zones' chains that firewalld makes when netavark asks for them, go only where
    no container of root's needs them.
    """
    now = keep_firewall()
    wrong = []
    for sort in ZONE:
        separator = "\n" if sort in ("rich-rules", "forward-ports") else None
        before = kept["zone"][sort].split(separator)
        after = now["zone"][sort].split(separator)
        word = sort[:-1]
        wrong += [
            do("firewall-cmd", "--quiet", f"--remove-{word}={each.strip()}")
            for each in after
            if each.strip() and each not in before
        ]
        wrong += [
            do("firewall-cmd", "--quiet", f"--add-{word}={each.strip()}")
            for each in before
            if each.strip() and each not in after
        ]
    for rule in now["direct"]:
        if rule not in kept["direct"]:
            wrong.append(do("firewall-cmd", "--direct", "--remove-rule", *rule.split()))
    if not podman("ps", "--format", "{{.ID}}"):
        for table in now["tables"]:
            if table not in kept["tables"] and "firewalld" not in table:
                wrong.append(do("nft", "delete", *table.split()))
        # A reload would take away what somebody has set for the time being only.
        may = kept["is permanent"] and now["firewalld"] == "running"
        if may and keep_firewall()["rules"] != kept["rules"]:
            wrong.append(do("firewall-cmd", "--quiet", "--reload"))
    return wrong


def keep_sysctls() -> dict[str, str]:
    """The kernel settings that operators and netavark change."""
    return {name: told("sysctl", "-n", name).strip() for name in SYSCTLS}


def put_back_sysctls(kept: dict[str, str]) -> list[str]:
    """Set those that are different now."""
    now = keep_sysctls()
    return [
        do("sysctl", "-q", f"{name}={value}")
        for name, value in kept.items()
        if value and value != now[name]
    ]


# -- files -------------------------------------------------------------------------------------


def keep_files() -> dict[str, Any]:
    """Copies of the folders, and what lies in the places."""
    copies = store / "copies"
    shutil.rmtree(copies, ignore_errors=True)
    copies.mkdir(parents=True)
    there = [folder for folder in FOLDERS if Path(folder).is_dir()]
    for folder in there:
        copy = copies / folder.lstrip("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", "-T", folder, copy], check=True)
    places = {place: sorted(os.listdir(place)) for place in PLACES if Path(place).is_dir()}
    return {"folders": there, "places": places}


def same(one: Path, other: Path) -> bool:
    """Whether two files are alike, as far as a reader can tell."""
    if one.is_symlink() or other.is_symlink():
        both = one.is_symlink() and other.is_symlink()
        return both and os.readlink(one) == os.readlink(other)
    a, b = one.lstat(), other.lstat()
    if (a.st_mode, a.st_uid, a.st_gid) != (b.st_mode, b.st_uid, b.st_gid):
        return False
    return not one.is_file() or one.read_bytes() == other.read_bytes()


def put_back_files(kept: dict[str, Any]) -> list[str]:
    """Remove what is new, and copy back what is gone or changed."""
    wrong = []
    changed = set()
    for folder in FOLDERS:
        here = Path(folder)
        copy = store / "copies" / here.relative_to("/")
        before = {path.relative_to(copy) for path in copy.rglob("*")} if copy.is_dir() else set()
        after = {path.relative_to(here) for path in here.rglob("*")} if here.is_dir() else set()
        for path in sorted(after - before, key=lambda each: -len(each.parts)):
            changed.add(folder)
            if (here / path).is_dir() and not (here / path).is_symlink():
                (here / path).rmdir()
            else:
                (here / path).unlink()
        for path in sorted(before, key=lambda each: len(each.parts)):
            exists = os.path.lexists(here / path)
            if exists and same(copy / path, here / path):
                continue
            changed.add(folder)
            if (copy / path).is_dir() and not (copy / path).is_symlink():
                (here / path).mkdir(exist_ok=True)
                owner = (copy / path).stat()
                os.chown(here / path, owner.st_uid, owner.st_gid)
            else:
                wrong.append(do("cp", "-a", "-T", str(copy / path), str(here / path)))
        if folder in kept["folders"]:
            for path in [Path(), *before]:
                if (copy / path).is_dir() and not (copy / path).is_symlink():
                    shutil.copystat(copy / path, here / path)
        elif here.is_dir():
            here.rmdir()
    if changed & {"/etc/systemd", "/etc/containers"}:
        wrong.append(do("systemctl", "daemon-reload"))
    for place, names in kept["places"].items():
        for name in set(os.listdir(place)) - set(names):
            if not name.startswith("."):
                wrong.append(do("rm", "-rf", "--one-file-system", f"{place}/{name}"))
    return wrong


# -- what is mounted ---------------------------------------------------------------------------


def keep_mounts() -> list[str]:
    """Where something is mounted."""
    return lines("findmnt", "--list", "--noheadings", "--output", "TARGET")


def put_back_mounts(kept: list[str]) -> list[str]:
    """Take away the places that podman and ip make for their use, once nothing uses them."""
    wrong = []
    for place in keep_mounts():
        if place in kept:
            continue
        if place.endswith("/storage/overlay") or (place == str(NETNS) and not os.listdir(place)):
            wrong.append(do("umount", place))
    return wrong


def keep_runtime() -> list[str]:
    """What there is in /run of podman's, of its helpers, and of ip's."""
    there = [name for name in RUNTIME if Path("/run", name).exists()]
    return [*there, NETNS.name] if NETNS.exists() else there


def put_back_runtime(kept: list[str]) -> list[str]:
    """Remove what is new, where root has no containers that it could be about."""
    if NETNS.name not in kept and NETNS.is_dir() and not os.listdir(NETNS):
        NETNS.rmdir()
    if podman("ps", "--all", "--format", "{{.ID}}"):
        return []
    new = [name for name in RUNTIME if Path("/run", name).exists() and name not in kept]
    return [do("rm", "-rf", "--one-file-system", f"/run/{name}") for name in new]


def keep_addresses() -> str:
    """Which addresses root's podman has given to containers last: the next gets the one after."""
    return base64.b64encode(IPAM.read_bytes()).decode() if IPAM.exists() else ""


def put_back_addresses(kept: str) -> list[str]:
    """Have it begin where it would have begun."""
    if podman("ps", "--all", "--format", "{{.ID}}") or keep_addresses() == kept:
        return []
    if kept:
        IPAM.write_bytes(base64.b64decode(kept))
    else:
        IPAM.unlink()
    return []


PARTS: dict[str, tuple[Callable[[], Any], Callable[[Any], list[str]]]] = {
    "units": (keep_units, put_back_units),
    "podman": (keep_podman, put_back_podman),
    "files": (keep_files, put_back_files),
    "firewall": (keep_firewall, put_back_firewall),
    "sysctls": (keep_sysctls, put_back_sysctls),
    "mounts": (keep_mounts, put_back_mounts),
    "runtime": (keep_runtime, put_back_runtime),
    "addresses": (keep_addresses, put_back_addresses),
}
store = Path()


def main(file: Path, action: str) -> int:
    """Keep, or put back."""
    global store
    store = file.with_suffix("")
    if action == "keep":
        store.mkdir(mode=0o700, exist_ok=True)
        file.write_text(json.dumps({part: keep() for part, (keep, _) in PARTS.items()}))
        return 0
    if not file.exists():
        return 0
    kept = json.loads(file.read_text())
    wrong: list[str] = []
    for part, (_, put_back) in PARTS.items():
        wrong += [each for each in put_back(kept[part]) if each]
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
