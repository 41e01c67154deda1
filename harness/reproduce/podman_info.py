"""What `podman info` and `podman version` say of the reporter's host."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from harness.machines.distros import KNOWN
from harness.reproduce.notes import Notes, Sort, shown
from harness.reproduce.safe_yaml import NotYamlError, Value, mapping, parse, word

_VERSION = re.compile(r"\d+(?:\.\d+){1,3}(?:[-+~._a-z0-9]{0,24})")
_LINES: Final[Mapping[str, re.Pattern[str]]] = {
    "podman": re.compile(r"(?mi)^\s*(?:podman version|version:)\s+v?(\d+\.\d+[\w.+~-]*)"),
    "passt": re.compile(r"(?mi)^\s*(?:passt|pasta)[ -]v?(\d[\w.+~-]*)"),
    "slirp4netns": re.compile(r"(?mi)^\s*slirp4netns version v?(\d[\w.+~-]*)"),
}


@dataclass(slots=True)
class Host:
    """The reporter's host.

    Attributes:
        source: the file that says so, or nothing.
        rootless: whether podman ran without root; None where it is not said.
        facts: `podman`, `distribution`, `kernel`, `passt`, `slirp4netns`, `selinux`, `netavark`,
            `network backend`, `rootless network`, `cgroup`, `architecture` → what it has.
    """

    source: str = ""
    rootless: bool | None = None
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def podman(self) -> tuple[int, int] | None:
        """Major and minor version, or None where it is not known."""
        match = re.match(r"v?(\d+)\.(\d+)", self.facts.get("podman", ""))
        return (int(match[1]), int(match[2])) if match else None


def looks_like_info(text: str) -> bool:
    """Whether a text is what podman writes about itself."""
    # `podman info` has them in any order; its YAML begins lines with these words, its JSON quotes.
    words = re.findall(
        r"(?m)(?:^\s{0,4}|\")(host|store|version|registries|networkBackend)\"?:", text
    )
    return {"host"} < set(words) or re.search(r"(?mi)^\s*podman version \d", text) is not None


def read_info(text: str, name: str, notes: Notes) -> Host:
    """The host that a text of podman's describes."""
    host = Host(name)
    if not re.search(r"(?m)(?:^\s{0,4}|\")host\"?:", text):
        for fact, form in _LINES.items():
            if match := form.search(text):
                host.facts[fact] = match[1][:40]
        return host
    # Of JSON, the command that was typed may stand above it.
    body = text[text.index("{") :] if re.match(r"\s*([^{}:\n]*\n)?\s*\{", text) else text
    try:
        top = mapping(parse(body, name, notes))
    except NotYamlError as error:
        notes.add("refused", name, str(error))
        return host
    about = mapping(top.get("host"))
    security = mapping(about.get("security"))
    if isinstance(security.get("rootless"), bool):
        host.rootless = security["rootless"] is True
    distribution = mapping(about.get("distribution"))
    version = mapping(top.get("version"))
    facts: dict[str, Value] = {
        "podman": version.get("Version") or version.get("version"),
        "distribution": f"{word(distribution.get('distribution'))} "
        f"{word(distribution.get('version'))}".strip(),
        "kernel": about.get("kernel"),
        "architecture": about.get("arch"),
        "network backend": about.get("networkBackend"),
        "rootless network": about.get("rootlessNetworkCmd"),
        "cgroup": about.get("cgroupVersion"),
        "netavark": _version(mapping(about.get("networkBackendInfo")).get("version")),
        "passt": _version(mapping(about.get("pasta")).get("version")),
        "slirp4netns": _version(mapping(about.get("slirp4netns")).get("version")),
    }
    enabled = security.get("selinuxEnabled")
    if isinstance(enabled, bool):
        facts["selinux"] = "enabled" if enabled else "absent"
    for fact, value in facts.items():
        if text_of := shown(word(value), 60).strip():
            host.facts[fact] = text_of
    return host


def _version(value: Value) -> str:
    match = _VERSION.search(word(value))
    return match[0] if match else word(value).partition("\n")[0]


def compare(host: Host, machine: Mapping[str, str], notes: Notes) -> None:
    """Hold the reporter's host against a machine's facts.

    Args:
        host: the reporter's.
        machine: what machines here are made of (`harness.machines.stock.FACTS`).
        notes: takes what matches and what differs.
    """
    for fact in ("podman", "distribution", "kernel", "passt", "slirp4netns", "netavark"):
        theirs, ours = host.facts.get(fact), machine.get(fact)
        if not theirs or not ours:
            continue
        plain = ours if fact == "distribution" else _version(ours)
        if _same(fact, theirs, plain):
            notes.add("matched", f"{fact} {theirs}", f"{plain} here" if plain != theirs else "")
        else:
            sort: Sort = "unmatched" if fact in ("podman", "distribution") else "differs"
            known = theirs.lower().replace('"', "").replace(" ", "-") if sort == "unmatched" else ""
            other = f"; --distro {known} is it" if known in KNOWN else ""
            notes.add(sort, f"{fact} {theirs}", f"{plain} here{other}")
    if host.facts.get("selinux") == "enabled" and machine.get("selinux", "absent") == "absent":
        notes.add("unmatched", "SELinux", "this machine's kernel shows none to containers")
    if host.facts.get("network backend") == "cni":
        notes.add("unmatched", "network backend cni", "netavark here")
    if host.facts.get("cgroup") == "v1":
        notes.add("unmatched", "cgroup v1", "v2 here")


def _same(fact: str, theirs: str, ours: str) -> bool:
    if fact == "distribution":
        return theirs.lower().strip('"') == ours.lower().strip('"')
    if fact == "kernel":
        return theirs == ours
    return _minor(theirs) == _minor(ours)


def _minor(version: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\d+", version)[:2])
