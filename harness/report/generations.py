"""What tells runs apart: the machine's kind, its distribution, podman's version, the image.

Deployments with the same of all four are of one generation, however many runs they are from. A
generation is named by what others differ in, and by nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, astuple, dataclass, fields, replace

UNKNOWN = ""
_NUMBER = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class Made:
    """What a deployment was made of; each part is `UNKNOWN` where it was not observed.

    Attributes:
        kind: of machine, such as `nspawn`.
        distribution: `debian-13`.
        podman: its version.
        image: the mail server's label, without why it was taken.
    """

    kind: str = UNKNOWN
    distribution: str = UNKNOWN
    podman: str = UNKNOWN
    image: str = UNKNOWN

    @property
    def source(self) -> str:
        """What the image is, whatever its version: `stand-in`."""
        return re.split(r"[ :]", self.image, maxsplit=1)[0]

    def is_like(self, other: Made) -> bool:
        """Whether it has all that is known of another one, if anything is."""
        known = {name: text for name, text in asdict(other).items() if text != UNKNOWN}
        return bool(known) and all(getattr(self, name) == text for name, text in known.items())

    @property
    def order(self) -> tuple[tuple[tuple[bool, int, str], ...], ...]:
        """Sorts as people do: 4.3 before 4.10, `debian-12` before `debian-forky`."""
        return tuple(
            tuple(
                (not part.isdigit(), int(part) if part.isdigit() else 0, part)
                for part in _NUMBER.split(text)
                if part
            )
            for text in astuple(self)
        )


def made_of(seen: Iterable[tuple[str, str, str]]) -> Made:
    """What a deployment was made of.

    Args:
        seen: kind, subject and outcome of its observations, at least of those of the kinds
            `machine` and `mail server`.
    """
    known = {(kind, subject): outcome for kind, subject, outcome in seen if outcome != "error"}
    return Made(
        known.get(("machine", "kind"), UNKNOWN),
        # As `--distro` names it, also where a record only has what the system calls itself.
        known.get(("machine", "distro"))
        or known.get(("machine", "distribution"), UNKNOWN).replace(" ", "-"),
        known.get(("machine", "podman"), UNKNOWN).removeprefix("podman version "),
        known.get(("mail server", "image"), UNKNOWN).partition(" (")[0],
    )


def settled(runs: Sequence[str], made: Sequence[Made]) -> list[Made]:
    """The same, with what one deployment does not know and all others of its run agree about.

    Args:
        runs: the run of each deployment.
        made: what each was made of; one whose machine never booted says nothing of it.
    """
    names = [field.name for field in fields(Made)]
    known: dict[tuple[str, str], set[str]] = {}
    for run, each in zip(runs, made, strict=True):
        for name in names:
            if getattr(each, name) != UNKNOWN:
                known.setdefault((run, name), set()).add(getattr(each, name))
    settled_ = []
    for run, each in zip(runs, made, strict=True):
        filled = {
            name: next(iter(values))
            for name in names
            if getattr(each, name) == UNKNOWN and len(values := known.get((run, name), set())) == 1
        }
        settled_.append(replace(each, **filled))
    return settled_


def names(made: Sequence[Made]) -> list[str]:
    """What each generation is called: by the parts that are not the same in all of them."""
    every = [parts(each) for each in made]
    telling = [number for number, of in enumerate(zip(*every, strict=True)) if len(set(of)) > 1]
    # Of a single one, what people call it by.
    return [", ".join(each[number] for number in telling or (1, 2)) for each in every]


def parts(made: Made) -> tuple[str, str, str, str]:
    """All that a generation is, each part in words."""
    return (
        made.kind or "unknown kind of machine",
        made.distribution or "unknown distribution",
        f"podman {made.podman or 'of unknown version'}",
        made.image or "unknown mail server",
    )


_ALIKE: Sequence[Callable[[Made], tuple[str, ...]]] = (
    lambda made: (made.kind, made.distribution, made.image, made.podman),
    lambda made: (made.kind, made.distribution, made.image),
    lambda made: (made.kind, made.distribution, made.source, made.podman),
    lambda made: (made.kind, made.distribution, made.source),
)
"""What two generations have in common that are compared, the most telling first."""


def matched(first: Sequence[Made], second: Sequence[Made]) -> list[tuple[Made | None, Made | None]]:
    """Which generations of two nights are the same but for what may change between nights.

    That is the version of podman, and of the mail server's image. Where both nights have only
    one, these two are meant, whatever they are.

    Returns:
        Pairs in the generations' order; None where the other night has no such generation.
    """
    if len(first) == len(second) == 1:
        return [(first[0], second[0])]
    left, right = [*first], [*second]
    pairs: list[tuple[Made | None, Made | None]] = []
    for alike in _ALIKE:
        for one in [*left]:
            same = [other for other in right if alike(other) == alike(one)]
            rivals = [other for other in left if alike(other) == alike(one)]
            if len(same) == len(rivals) == 1:
                left.remove(one)
                right.remove(same[0])
                pairs.append((one, same[0]))
    pairs += [(one, None) for one in left] + [(None, other) for other in right]
    return sorted(pairs, key=lambda pair: next(made for made in pair if made).order)
