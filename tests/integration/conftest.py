"""What the tests of whole runs ask for."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from harness import cache
from harness.keeper.client import Keeper

# As for the unit tests: a background job of a shell's has what it starts ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module")
def looker() -> Iterator[Keeper]:
    """A keeper that lives beside the runs of a file, and so does not sweep what they leave."""
    keeper = Keeper(cache.folder(), "look")
    yield keeper
    assert keeper.close() == ""
