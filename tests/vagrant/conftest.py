"""One computer with Vagrant for all tests here, and what its runs have left on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from computer import Computer

from harness import cache
from harness.keeper.client import Keeper


@pytest.fixture(scope="session")
def computer() -> Iterator[Computer]:
    keeper = Keeper(cache.folder(), "vagrant")
    try:
        made = Computer(keeper)
        try:
            made.start()
            yield made
        finally:
            assert made.machine.destroy() == []
    finally:
        assert keeper.close() == ""


@pytest.fixture(autouse=True)
def nothing_is_left(computer: Computer) -> Iterator[None]:
    before = computer.what_there_is()
    yield
    assert computer.what_there_is() == before
