"""Puts our own names, secrets and certificates into what a report asks for."""

from __future__ import annotations

import posixpath
from dataclasses import replace
from typing import Final

from harness.mailserver.image import NAME
from harness.outside.smart_host import PASSWORD, PORT, USER
from harness.reproduce.environment import is_secret
from harness.reproduce.gather import Report
from harness.reproduce.model import Mount, Wanted
from harness.reproduce.notes import Notes
from harness.reproduce.scrub import HOST, RESERVED, Scrubber

RELAY: Final = {"RELAY_PASSWORD": PASSWORD, "RELAY_USER": USER, "RELAY_PORT": str(PORT)}


def learn(report: Report, wanted: Wanted, scrub: Scrubber) -> None:
    """Find out which names and values are the reporter's, before anything is written."""
    settings = wanted.environment
    host = settings.get("OVERRIDE_HOSTNAME") or wanted.hostname
    if wanted.domainname and "." not in host:
        host = f"{host}.{wanted.domainname}" if host else wanted.domainname
    zone = wanted.domainname or (host.partition(".")[2] if host.count(".") > 1 else host)
    scrub.site(host.lower(), zone.lower())
    for key, value in settings.items():
        if is_secret(key):
            scrub.secret(value)
        elif key in ("RELAY_HOST", "DEFAULT_RELAY_HOST"):
            bare = value.strip("[]").partition("]")[0].partition(":")[0]
            if not RESERVED.fullmatch(bare):
                scrub.smart_host(bare)
        elif key == "RELAY_USER" and "@" not in value and value != USER:
            scrub.secret(value)
    for name, content in report.data.items():
        if name.rpartition("/")[2] == ".env":
            from harness.reproduce.environment import settings_of

            found = settings_of(content.decode(errors="replace"), name, Notes())
            for key, value in found.items():
                if is_secret(key):
                    scrub.secret(value)


def substitute(wanted: Wanted, scrub: Scrubber, notes: Notes) -> dict[str, str]:
    """Rewrite what is to be deployed.

    Returns:
        Host name of a certificate → the folder, relative to the operator's, that it is put in.
    """
    image = wanted.image or "no image"
    if image != NAME:
        notes.add("substituted", f"image {image}", f"{NAME}, as --mailserver chooses it")
    for settings in (wanted.settings, wanted.inline):
        for key in list(settings):
            settings[key] = _setting(key, settings[key], scrub, notes)
    _names(wanted, scrub, notes)
    if not wanted.ports:
        notes.add("unmatched", "ports", "none is published: nobody can connect", decides=True)
    elif not any(port.container == 25 for port in wanted.ports):
        notes.add("unmatched", "ports", "none leads to 25, where relaying is tried", decides=True)
    _bound(wanted, scrub, notes)
    return _certificates(wanted, notes)


def _setting(key: str, value: str, scrub: Scrubber, notes: Notes) -> str:
    if is_secret(key) and value:
        fresh = RELAY.get(key) or scrub.secret(value)
    elif key in RELAY and value:
        fresh = RELAY[key]
    else:
        fresh = scrub.text(value)
    if fresh != value:
        notes.add("substituted", key, "a value of our own" if is_secret(key) else fresh)
    return fresh


def _names(wanted: Wanted, scrub: Scrubber, notes: Notes) -> None:
    before = f"{wanted.hostname} {wanted.domainname}".strip()
    wanted.hostname = scrub.name(wanted.hostname) if wanted.hostname else ""
    wanted.domainname = scrub.name(wanted.domainname) if wanted.domainname else ""
    after = f"{wanted.hostname} {wanted.domainname}".strip()
    if after != before:
        notes.add("substituted", "the host name", after)
    if not wanted.container:
        wanted.container = "mailserver"
        notes.add("assumed", "the container's name", "mailserver")


def _bound(wanted: Wanted, scrub: Scrubber, notes: Notes) -> None:
    """Ports that are bound to an address of the reporter's host are bound to the machine's."""
    import ipaddress

    from harness.addresses import MACHINE

    for number, port in enumerate(wanted.ports):
        if port.address and not ipaddress.ip_address(port.address).is_loopback:
            ip = ipaddress.ip_address(port.address)
            fresh = MACHINE[4 if ip.version == 4 else 6]
            if fresh != port.address:
                scrub.address(port.address)
                notes.add("substituted", f"port {port.host} on {port.address}", f"on {fresh}")
                wanted.ports[number] = replace(port, address=fresh)


def _certificates(wanted: Wanted, notes: Notes) -> dict[str, str]:
    settings = wanted.environment
    host = wanted.hostname if "." in wanted.hostname else HOST
    if wanted.domainname and "." not in wanted.hostname:
        host = f"{wanted.hostname}.{wanted.domainname}".lstrip(".")
    host = settings.get("OVERRIDE_HOSTNAME") or host
    kind = settings.get("SSL_TYPE", "")
    if kind in ("self-signed", "custom"):
        _set(wanted, "SSL_TYPE", "manual")
        notes.add("substituted", f"SSL_TYPE={kind}", "manual, with a certificate of the run's own")
        _set(wanted, "SSL_CERT_PATH", "/etc/letsencrypt/own/fullchain.pem")
        _set(wanted, "SSL_KEY_PATH", "/etc/letsencrypt/own/privkey.pem")
        mount = _folder_of(wanted, "/etc/letsencrypt", notes)
        return {host: f"{mount.source}/own"}
    if kind == "manual":
        folder = posixpath.dirname(settings.get("SSL_CERT_PATH", ""))
        above = [m for m in wanted.mounts if (folder + "/").startswith(m.target + "/")]
        files = [m for m in wanted.mounts if m.target.startswith(f"{folder}/")]
        for each in files if not above else []:
            wanted.mounts.remove(each)
        if not above and not files:
            return {}
        source = above[0] if above else Mount("volumes/certificates", folder, ("ro",))
        if not above:
            wanted.mounts.append(source)
        _set(wanted, "SSL_CERT_PATH", f"{folder}/fullchain.pem")
        _set(wanted, "SSL_KEY_PATH", f"{folder}/privkey.pem")
        notes.add("substituted", "SSL_TYPE=manual: the certificate", "one of the run's own")
        below = folder.removeprefix(source.target).strip("/")
        return {host: posixpath.join(source.source, below).rstrip("/")}
    if kind == "letsencrypt" and any(
        m.target.startswith("/etc/letsencrypt") for m in wanted.mounts
    ):
        mount = _folder_of(wanted, "/etc/letsencrypt", notes)
        notes.add("substituted", "SSL_TYPE=letsencrypt: the certificate", "one of the run's own")
        return {host: f"{mount.source}/live/{host}"}
    return {}


def _folder_of(wanted: Wanted, target: str, notes: Notes) -> Mount:
    """The mount of a whole folder, in the place of mounts of files in it."""
    for mount in wanted.mounts:
        if mount.target == target:
            return mount
    inside = [mount for mount in wanted.mounts if mount.target.startswith(f"{target}/")]
    for each in inside:
        wanted.mounts.remove(each)
    if inside:
        notes.add("substituted", inside[0].target, f"a folder {target} with a certificate")
    wanted.mounts.append(Mount("volumes/certificates", target, ("ro",)))
    return wanted.mounts[-1]


def _set(wanted: Wanted, key: str, value: str) -> None:
    where = wanted.inline if key in wanted.inline else wanted.settings
    where[key] = value
