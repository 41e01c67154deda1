"""Images as archives: a file that the user has, and those that podman makes for the cache.

An archive of the cache has a note beside it that was written when the archive was complete: an
archive whose size or digest is not the noted one is never loaded.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import tarfile
import time
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from harness import cache
from harness.errors import HostError
from harness.keeper.client import Keeper
from harness.machines.base import BaseMachine
from harness.mailserver.image import Label, Rootfs, Say, load_archive

PODMAN = "podman --cgroup-manager cgroupfs --events-backend none"
"""podman where there is neither systemd nor a journal."""
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class Kept:
    """An archive of the cache, as it was when it was complete.

    Attributes:
        path: the archive.
        size: its bytes.
        sha256: its digest, hexadecimal.
        image: the image's id in podman, 64 hexadecimal digits.
        digests: the names that registries know the image by: `name@sha256:…`.
        recipe: what it was made from; another recipe makes another image.
        made: the date, `2026-11-20`.
    """

    path: Path
    size: int
    sha256: str
    image: str
    digests: Sequence[str]
    recipe: str
    made: str

    @classmethod
    def read(cls, path: Path) -> Kept | None:
        """What is noted of an archive that is still there, in its size; None otherwise."""
        try:
            note: dict[str, Any] = json.loads(_note(path).read_text(encoding="utf-8"))
            kept = cls(path=path, **note)
            return kept if path.stat().st_size == kept.size else None
        except (OSError, ValueError, TypeError):
            return None

    @classmethod
    def note(cls, path: Path, digests: Sequence[str], recipe: str) -> Kept:
        """Write down a complete archive.

        Raises:
            HostError: there is not one image in it.
        """
        image = identity(path)
        kept = cls(
            *(path, path.stat().st_size, _sha256(path), image, digests, recipe),
            time.strftime("%Y-%m-%d"),
        )
        fields = asdict(kept)
        del fields["path"]
        fresh = _note(path).with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(fields, indent=1), encoding="utf-8")
        fresh.replace(_note(path))
        return kept

    def is_intact(self) -> bool:
        """Whether the archive still is what was noted. Reads all of it: about a second for 1 GB."""
        return self.path.stat().st_size == self.size and _sha256(self.path) == self.sha256


def _note(archive: Path) -> Path:
    return archive.with_suffix(".json")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def identity(path: Path) -> str:
    """The id of the one image in an archive that `podman save` or `docker save` wrote.

    Only the archive's directory and its small files are read.

    Raises:
        HostError: it is no such archive, is cut off, or does not hold exactly one image.
    """
    remedy = "make one by `podman save --output FILE IMAGE`"
    try:
        with tarfile.open(path) as tar:
            members = {member.name: member for member in tar.getmembers()}

            def content(name: str) -> bytes:
                file: IO[bytes] | None = tar.extractfile(members[name])
                return file.read() if file else b""

            if "manifest.json" in members:
                images = json.loads(content("manifest.json"))
                layers = [layer for image in images for layer in image["Layers"]]
                configs = [image["Config"] for image in images]
            elif "index.json" in members:
                manifests = _manifests(json.loads(content("index.json")), content)
                blobs = [layer for manifest in manifests for layer in manifest["layers"]]
                layers = [_blob(layer) for layer in blobs]
                configs = [_blob(manifest["config"]) for manifest in manifests]
            else:
                raise HostError(f"{path} is not an archive of images", remedy)
            for layer in layers:
                members[layer]
            if len(configs) != 1:
                raise HostError(f"{path} holds {len(configs)} images, and must hold one", remedy)
            return hashlib.sha256(content(configs[0])).hexdigest()
    except KeyError as error:
        raise HostError(f"{path} is cut off or spoilt: it lacks {error}", remedy) from error
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError, TypeError) as error:
        said = str(error).partition("\n")[0]
        raise HostError(f"{path} is not a whole archive of images: {said}", remedy) from error


def _blob(descriptor: Mapping[str, Any]) -> str:
    return "blobs/" + str(descriptor["digest"]).replace(":", "/")


def _manifests(index: Mapping[str, Any], content: Callable[[str], bytes]) -> list[dict[str, Any]]:
    """The manifests of an OCI index that are for this computer, also of indexes inside it."""
    here = _ARCHITECTURES.get(platform.machine(), platform.machine())
    found: list[dict[str, Any]] = []
    for descriptor in index["manifests"]:
        if descriptor.get("platform", {}).get("architecture", here) == here:
            document = json.loads(content(_blob(descriptor)))
            found += _manifests(document, content) if "manifests" in document else [document]
    return found


class ArchiveFile:
    """An archive that the user has, taken as it is.

    Args:
        path: a docker-archive or an oci-archive with one image.

    Raises:
        HostError: it is not that.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._image = identity(path)
        self.label = Label("archive", f"{path.name} {self._image[:12]}", "asked for")

    def key(self) -> str:
        """Changes with the image's content."""
        return f"image-{self._image}"

    def prepare(self, keeper: Keeper, say: Say, rootfs: Rootfs) -> None:
        """Nothing to do: the file is there."""

    def load(self, machine: BaseMachine, say: Say) -> None:
        """Put it into both podman stores."""
        load_archive(machine, self.path, self._image, say)


class Archived(ABC):
    """A source whose image is made once by podman and kept in the cache as an archive.

    Args:
        folder: the harness's cache.
        name: what the archive's name begins with.
        subject: what the user asked for: a reference, a folder.
        label: how reports name it.
    """

    def __init__(self, folder: Path, name: str, subject: str, label: Label) -> None:
        slug = re.sub(r"[^\w.-]+", "_", subject).strip("_")[-60:]
        self.cache = folder
        self.subject = subject
        self.archive = folder / "images" / f"{name}-{slug}-{cache.digest(subject)[:8]}.tar"
        self.label = label
        self._ready: Kept | None = None

    @abstractmethod
    def key(self) -> str | None:
        """See `harness.mailserver.image.Image.key`."""

    @abstractmethod
    def kept(self) -> Kept | None:
        """The archive in the cache, where there is one of this very source."""

    @abstractmethod
    def make(self, keeper: Keeper, say: Say, rootfs: str) -> Kept:
        """Make the archive."""

    def prepare(self, keeper: Keeper, say: Say, rootfs: Rootfs) -> None:
        """Make the archive, unless a good one is in the cache.

        Raises:
            HostError: it cannot be made; names the source and what to do.
        """
        self.archive.parent.mkdir(parents=True, exist_ok=True)
        waiting = f"another run is fetching {self.subject}; waiting for it"
        with cache.exclusive(self.cache, f"image-{self.archive.stem}", lambda: say(waiting)):
            kept = self.kept()
            if kept is not None and not kept.is_intact():
                say(f"mail server: {kept.path.name} in the cache is damaged; making it anew")
                kept = None
            self._ready = kept or self.make(keeper, say, rootfs())

    def load(self, machine: BaseMachine, say: Say) -> None:
        """Put the archive into both podman stores."""
        assert self._ready is not None
        load_archive(machine, self._ready.path, self._ready.image, say)

    def run(
        self,
        keeper: Keeper,
        say: Say,
        rootfs: str,
        script: str,
        within: float,
        readable: Mapping[str, str] | None = None,
    ) -> list[str]:
        """Run a bash script that writes the archive to `hostrun.TARGET`; return its last lines.

        Raises:
            OSError: it failed, or did not end within `within` seconds.
        """
        # sudo drops these, and a registry may be behind such a proxy.
        proxies = {name: os.environ[name] for name in _PROXIES if name in os.environ}
        result = keeper.call(
            "make_file_online",
            progress=lambda line: say(f"mail server: {_short(line)}"),
            name="image",
            source=rootfs,
            path=str(self.archive),
            command=["bash", "-ec", script],
            readable=dict(readable or {}),
            environment=proxies,
            within=within,
        )
        last: list[str] = result["last"]
        return last


def _short(line: str) -> str:
    return re.sub(r"\b(sha256:[0-9a-f]{12})[0-9a-f]+", r"\1", line)[:100]
