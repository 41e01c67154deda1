"""Which image a run takes: what the option `--mailserver` says."""

from __future__ import annotations

import difflib
import http.client
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final

from harness import cache
from harness.errors import HostError
from harness.mailserver.archive import ArchiveFile
from harness.mailserver.image import Image
from harness.mailserver.source import Checkout
from harness.mailserver.standin import StandIn
from harness.mailserver.upstream import UPSTREAM, Reference, Upstream

REGISTRY: Final = "https://registry-1.docker.io/v2/"
ANSWER_WITHIN: Final = 10.0
"""Seconds in which a registry must answer, name resolution included."""
ASKED_FOR: Final = "asked for"
WORDS: Final = ("auto", "stand-in", "upstream")
FORMS: Final = "auto, stand-in, upstream[:TAG], an image REGISTRY/NAME:TAG, a checkout or a .tar"


def choose(
    option: str,
    folder: Path | None = None,
    registry: str = REGISTRY,
    within: float = ANSWER_WITHIN,
    why: str = ASKED_FOR,
) -> Image:
    """The image that an option names; nothing is fetched or made yet.

    `auto` takes upstream's where it is in the cache or a registry answers, else the stand-in.
    With neither it waits for `within` seconds at most: a run asks once.

    Args:
        option: `auto`, `stand-in`, `upstream[:TAG]`, `upstream@sha256:…`, an image reference,
            the folder of a docker-mailserver checkout, or an archive that `podman save` wrote.
        folder: the harness's cache, by default the user's.
        registry: what `auto` asks whether it answers.
        within: seconds in which it must.
        why: the reason for the label where the option itself names the source.

    Raises:
        HostError: the option is none of these; says what was meant, or what can be meant.
    """
    folder = folder or cache.folder()
    word, colon, tag = option.partition("@" if "@" in option else ":")
    if option == "auto":
        return _auto(folder, registry, within)
    if option == "stand-in":
        return StandIn(why)
    if word == "upstream":
        return Upstream(folder, Reference(f"{UPSTREAM}{colon}{tag}"), why)
    path = Path(option).expanduser()
    if option and path.is_dir():
        return Checkout(folder, path)
    if path.is_file():
        # What copies it to a machine would copy a link as such.
        return ArchiveFile(path.resolve())
    if option.startswith(("/", "./", "../", "~")) or path.suffix in (".tar", ".tgz", ".gz"):
        raise HostError(f"--mailserver {option}: no such folder or archive", f"it takes {FORMS}")
    if "/" in option:
        return Upstream(folder, Reference(option), why)
    meant = difflib.get_close_matches(word, WORDS, 1)
    raise HostError(
        f"--mailserver {option or repr(option)}: no such source",
        f"did you mean {meant[0]}{colon}{tag}?" if meant else f"it takes {FORMS}",
    )


def _auto(folder: Path, registry: str, within: float) -> Image:
    upstream = Upstream(folder, Reference(UPSTREAM), "a container registry answers")
    if upstream.kept() is not None or registry_answers(registry, within):
        return upstream
    return StandIn("no container registry answers")


def registry_answers(url: str, within: float) -> bool:
    """Whether a web server answers there, with whatever status, within `within` seconds."""
    answers: list[bool] = []

    def ask() -> None:
        try:
            urllib.request.urlopen(url, timeout=within).close()  # noqa: S310 — https, or a test's
        except urllib.error.HTTPError as error:
            error.close()  # a status is an answer: an anonymous request deserves 401
        except (OSError, http.client.HTTPException):
            return
        answers.append(True)

    # A resolver that does not answer holds a thread up for longer than any timeout says.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(within)
    return bool(answers)
