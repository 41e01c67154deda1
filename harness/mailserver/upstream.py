"""Images from a registry: docker-mailserver's own, or any that the user names.

What was pulled once stays: a tag that has moved since is fetched again only after the archive in
the cache was removed, so that two runs never differ by what somebody pushed between them. The
label says when it was pulled and which digest it is.
"""

from __future__ import annotations

import ipaddress
import os
import re
import shlex
from pathlib import Path
from typing import Final

from harness import cache
from harness.errors import HostError
from harness.keeper.client import Keeper
from harness.keeper.hostrun import TARGET
from harness.mailserver.archive import PODMAN, Archived, Kept
from harness.mailserver.image import Label, Say

UPSTREAM: Final = "docker.io/mailserver/docker-mailserver"
PULL_WITHIN = 1800.0
"""Seconds that a pull may take: 200 MB over a slow line."""
CREDENTIALS = "REGISTRY_AUTH_FILE"
"""podman's own variable that names the file that `podman login` wrote."""

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    r"(?:(?P<host>(?:[a-zA-Z0-9-]+\.)+[a-zA-Z0-9-]+(?::\d+)?|[a-zA-Z0-9-]+:\d+|localhost"
    r"|\[[0-9a-fA-F:]+\](?::\d+)?)/)?"
    rf"(?P<path>{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127})|@(?P<digest>sha256:[0-9a-f]{64}))?",
    re.ASCII,
)

# What podman's last line contains → what the user can do about it; the first that fits.
_REMEDIES = (
    (
        ("toomanyrequests", "rate limit"),
        f"the registry limits pulls: wait, or `podman login` and set {CREDENTIALS} to its file",
    ),
    (
        ("manifest unknown", "name unknown", "not found"),
        "the registry has no such name, tag or digest: see its list of tags",
    ),
    (
        ("unauthorized", "denied", "authentication required", "forbidden"),
        f"misspelt or private: if private, `podman login` and set {CREDENTIALS} to its file",
    ),
    (
        ("no image found in manifest", "no matching manifest", "choosing an image"),
        "the image is not made for this computer's architecture: name another tag",
    ),
    (("no space left",), f"free some space, or set {cache.ENVIRONMENT} to a larger disk"),
    (
        ("x509", "tls:", "http response to https"),
        "the registry's certificate is not one that this computer trusts; plain HTTP is spoken "
        "only to localhost",
    ),
    (
        ("no such host", "dial tcp", "timeout", "unreachable", "refused", "did not end", ": eof"),
        "the registry does not answer: `--mailserver stand-in` needs none",
    ),
)


class Reference:
    """A parsed image reference.

    Attributes:
        name: with registry, without tag and digest.
        digest: `sha256:…`, where the reference has one.
        tag: the tag, or the digest where there is one.
        local: whether the registry is on this computer, where plain HTTP may be spoken.

    Raises:
        HostError: the text is no such reference.
    """

    def __init__(self, text: str) -> None:
        found = _REFERENCE.fullmatch(text)
        if found is None:
            raise HostError(
                f"{text!r} is not an image reference",
                "write [REGISTRY/]NAME:TAG in lower case, or NAME@sha256:DIGEST with 64 digits",
            )
        host = found["host"] or "docker.io"
        self.name = f"{host}/{found['path']}"
        self.digest: str | None = found["digest"]
        self.tag = self.digest or found["tag"] or "latest"
        self.local = _is_loopback(re.sub(r":\d+$", "", host).strip("[]"))

    def __str__(self) -> str:
        return f"{self.name}{'@' if self.digest else ':'}{self.tag}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Upstream(Archived):
    """An image that is pulled.

    Args:
        folder: the harness's cache.
        reference: its name.
        why: why it was taken, for reports, where it has to be pulled yet.
    """

    def __init__(self, folder: Path, reference: Reference, why: str) -> None:
        self.reference = reference
        source = "upstream" if reference.name == UPSTREAM else "image"
        super().__init__(folder, "pulled", str(reference), Label(source, "", why))
        self._source, self._why = source, why
        self._describe(self.kept())

    def _describe(self, kept: Kept | None) -> None:
        tag = self.reference.tag.removeprefix("sha256:")[:12]
        if self._source == "image":
            tag = f"{self.reference.name}:{tag}"
        if kept is None:
            self.label = Label(self._source, f"{tag}, not pulled yet", self._why)
        else:
            digest = (kept.digests or [kept.image])[0].rpartition(":")[2][:12]
            version = tag if tag.endswith(digest) else f"{tag} {digest}"
            self.label = Label(self._source, version, f"cached, pulled {kept.made}")

    def key(self) -> str | None:
        """Changes with the image's content; None until it was pulled."""
        kept = self._ready or self.kept()
        return f"image-{kept.image}" if kept is not None else None

    def kept(self) -> Kept | None:
        """What was pulled under this name, or, where it is a digest, under any tag of it."""
        kept = Kept.read(self.archive)
        if kept is not None or self.reference.digest is None:
            return kept
        for archive in self.archive.parent.glob("pulled-*.tar"):
            other = Kept.read(archive)
            if other is not None and str(self.reference) in other.digests:
                return other
        return None

    def make(self, keeper: Keeper, say: Say, rootfs: str) -> Kept:
        """Pull it.

        Raises:
            HostError: it cannot be had; the text holds podman's last line.
        """
        say(f"mail server: pulling {self.reference}")
        reference = shlex.quote(str(self.reference))
        options = "--retry 1"
        readable = {}
        if self.reference.local:
            options += " --tls-verify=false"
        if os.environ.get(CREDENTIALS):
            credentials = Path(os.environ[CREDENTIALS]).absolute()
            if not credentials.is_file():
                raise HostError(f"{CREDENTIALS} names {credentials}, which is no file", "unset it")
            readable["/auth.json"] = str(credentials)
            options += " --authfile /auth.json"
        script = f"""
            {PODMAN} pull {options} {reference}
            {PODMAN} save --quiet --format docker-archive --output {TARGET} {reference}
            {PODMAN} image inspect --format '{{{{range .RepoDigests}}}}{{{{.}}}} {{{{end}}}}' \\
                {reference}
        """
        try:
            last = self.run(keeper, say, rootfs, script, PULL_WITHIN, readable)
        except OSError as error:
            said = error.strerror or str(error)
            raise HostError(*_explained(str(self.reference), said)) from error
        kept = Kept.note(self.archive, last[-1].split(), str(self.reference))
        self._describe(kept)
        self.label = Label(self._source, self.label.version, self._why)
        return kept


def _explained(reference: str, said: str) -> tuple[str, str]:
    """An error's text and remedy, from what a pull that failed said."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    line = next((each for each in reversed(lines) if each.startswith("Error: ")), lines[-1])
    remedy = next(
        (remedy for words, remedy in _REMEDIES if any(word in line.lower() for word in words)),
        "see whether `podman pull` works on this computer, or take `--mailserver stand-in`",
    )
    return f"{reference} cannot be pulled: {line.removeprefix('Error: ')}", remedy
