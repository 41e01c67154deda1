"""What is measured, and when one way counts as faster than another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

PASTA = "pasta"
SLIRP4NETNS = "slirp4netns"
SLIRP4NETNS_ROOTLESSPORT = "slirp4netns rootlessport"
BRIDGE_ROOTLESSPORT = "bridge rootlessport"
ROOTFUL = "rootful bridge"

MARGIN = 1.2
"""The ratio of the medians up to which two ways count as equal."""


@dataclass(frozen=True, slots=True)
class Measure:
    """Something that is measured; more of it is better.

    Attributes:
        name: what it is called in subjects.
        unit: of a sample.
        better: the word for a way that has more of it.
        worse: the word for one that has less.
    """

    name: str
    unit: str
    better: str = "faster"
    worse: str = "slower"


BITS_IN = Measure("bits in", "Mbit/s")
BITS_OUT = Measure("bits out", "Mbit/s")
WORK_IN = Measure("work in", "Mbit per processor second", "cheaper", "dearer")
"""Of all that the machine's processors did meanwhile, iperf3 at both ends included. What else this
computer does hardly changes it, other than the others."""
MESSAGES = Measure("messages", "messages/s over one connection")
CONNECTIONS = Measure("connections", "messages/s, each over a connection of its own")
WORK_OF_MESSAGES = Measure("work of messages", "messages per processor second", "cheaper", "dearer")
CROWD = Measure("crowd", "connections/s, all begun before the first is served")
MEASURES = (
    BITS_IN,
    BITS_OUT,
    WORK_IN,
    MESSAGES,
    WORK_OF_MESSAGES,
    CONNECTIONS,
    CROWD,
)

PAIRS = (
    (PASTA, SLIRP4NETNS),
    (PASTA, SLIRP4NETNS_ROOTLESSPORT),
    (PASTA, BRIDGE_ROOTLESSPORT),
    (SLIRP4NETNS, SLIRP4NETNS_ROOTLESSPORT),
    (PASTA, ROOTFUL),
)
"""Which ways are held against each other."""
SAME = "about the same"

Samples = Mapping[Measure, Sequence[float]]
"""What was measured of one way: a sample for each round, in the rounds' order."""


def subject(first: str, second: str, measure: Measure) -> str:
    """What the comparison of two ways is called."""
    return f"{first} against {second}, {measure.name}"


SUBJECTS = tuple(subject(*pair, measure) for pair in PAIRS for measure in MEASURES)


def compared(measure: Measure, first: Sequence[float], second: Sequence[float]) -> str:
    """Whether the first of two ways is better, worse, or about the same.

    It is better where its worst sample is above the other's best one, and the medians differ by
    more than `MARGIN`. That three samples of equals all lie above three others happens once in
    ten times by chance; that they differ so much as well, less often. The ways take turns, so that
    a computer that is slow for a while is slow for all of them. What is true and hidden by noise
    is called the same: nobody is to be told of a difference that is none.

    Args:
        measure: what was measured.
        first: a sample for each round.
        second: the other way's.
    """
    if min(first) > max(second) and median(first) > MARGIN * median(second):
        return measure.better
    if max(first) < min(second) and median(second) > MARGIN * median(first):
        return measure.worse
    return SAME
