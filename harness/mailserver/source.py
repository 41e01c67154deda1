"""A docker-mailserver checkout as the image's source: built here with its own recipe."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from harness import cache
from harness.errors import HostError
from harness.keeper.client import Keeper
from harness.keeper.hostrun import TARGET
from harness.mailserver.archive import PODMAN, Archived, Kept
from harness.mailserver.image import Label, Say
from harness.mailserver.recipe import for_podman, recipe_of

BUILD_WITHIN = 3600.0
"""Seconds that a checkout's own build may take; docker-mailserver's takes a few minutes."""


class Checkout(Archived):
    """A docker-mailserver checkout, built with its own recipe.

    Args:
        folder: the harness's cache.
        source: the checkout.

    Raises:
        HostError: there is no recipe in it.
    """

    def __init__(self, folder: Path, source: Path) -> None:
        if recipe_of(source) is None:
            raise HostError(
                f"{source} has neither a Dockerfile nor a Containerfile",
                "--mailserver takes the folder of a docker-mailserver checkout",
            )
        self.source = source.resolve()
        digest, version = state(self.source)
        self._key = f"source-{digest}"
        super().__init__(folder, "built", str(self.source), Label("source", version, "asked for"))

    def key(self) -> str:
        """Changes with the commit and with every file that differs from it."""
        return self._key

    def kept(self) -> Kept | None:
        """The archive, where it was built from this state of the checkout."""
        kept = Kept.read(self.archive)
        return kept if kept is not None and kept.recipe == self._key else None

    def make(self, keeper: Keeper, say: Say, rootfs: str) -> Kept:
        """Build it.

        Raises:
            HostError: the build failed; the text holds its last lines.
        """
        say(f"mail server: building {self.source}")
        try:
            recipe, changed = for_podman(self.source)
        except (OSError, UnicodeDecodeError) as error:
            raise HostError(f"{self.source}: its recipe cannot be read: {error}") from error
        for each in changed:
            say(f"mail server: its recipe's --chmod={each}, as podman may know octal modes alone")
        given, by = (f"printf %s {shlex.quote(recipe)} | ", "--file -") if changed else ("", "")
        # Dockerfiles mean docker.io where they name no registry. podman's own default limits can
        # be above what this computer allows even root.
        script = f"""
            echo 'unqualified-search-registries = ["docker.io"]' \\
                > /etc/containers/registries.conf.d/00-docker.conf
            files=$(ulimit -Hn) processes=$(ulimit -Hu | sed s/unlimited/-1/)
            {given}{PODMAN} build {by} --format docker --isolation chroot --network host \\
                --retry 1 --ulimit nofile="$files:$files" --ulimit nproc="$processes:$processes" \\
                --tag localhost/built /source
            {PODMAN} save --quiet --format docker-archive --output {TARGET} localhost/built
        """
        try:
            self.run(keeper, say, rootfs, script, BUILD_WITHIN, {"/source": str(self.source)})
        except OSError as error:
            said = error.strerror or str(error)
            lines = [line for line in said.splitlines() if line.strip()]
            hint = "the lines before:\n" + "\n".join(lines[-8:-1])
            if "parsing chmod" in lines[-1]:  # one that says different things of different files
                hint = "build it with docker, and pass the archive that `docker save` writes"
            raise HostError(f"{self.source} cannot be built: {lines[-1]}", hint) from error
        return Kept.note(self.archive, [], self._key)


def state(source: Path) -> tuple[str, str]:
    """A checkout's digest, and what to call it: `git describe`, or the digest where git cannot."""

    def git(*command: str) -> bytes:
        return subprocess.run(
            ["git", "-C", source, *command], capture_output=True, check=True
        ).stdout

    try:
        if Path(os.fsdecode(git("rev-parse", "--show-toplevel")).strip()) == source:
            new = git("ls-files", "--others", "--exclude-standard", "-z").split(b"\0")
            paths = [source / os.fsdecode(name) for name in new if name]
            changes = git("diff", "--no-ext-diff", "--no-textconv", "--binary", "HEAD")
            digest = cache.digest(git("rev-parse", "HEAD"), changes, *_named(source, paths))
            return digest, git("describe", "--tags", "--always", "--dirty").decode().strip()
    except (OSError, subprocess.CalledProcessError):
        pass  # no git here, or no repository, or one that git does not trust
    files = sorted(
        path for path in source.rglob("*") if ".git" not in path.relative_to(source).parts
    )
    digest = cache.digest(*_named(source, files))
    return digest, f"tree {digest[:12]}"


def _named(folder: Path, paths: Sequence[Path]) -> list[str | Path]:
    """Regular files for a digest, each after its place in the folder; links by their targets."""
    parts: list[str | Path] = []
    for path in paths:
        parts.append(str(path.relative_to(folder)))
        if path.is_symlink():
            parts.append(str(path.readlink()))
        elif path.is_file():
            parts.append(path)
    return parts
