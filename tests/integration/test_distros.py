"""What machines of each generation say that their podman can do, and what one's own needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from support import NEEDS_ROOT

from harness import cache
from harness.keeper.client import Keeper
from harness.machines import golden
from harness.machines.distros import find
from harness.mailserver.choose import choose

pytestmark = NEEDS_ROOT

EXPECTED: Mapping[str, Mapping[str, str]] = {
    "debian-12": {
        "quadlet": "no",
        "pasta network": "no",
        "slirp4netns network": "yes",
        "rootless network": "slirp4netns",
        # Without a storage.conf, which Debian's podman only suggests, and also with fuse-overlayfs.
        "rootless storage": "vfs",
    },
    "debian-13": {
        "quadlet": "yes",
        "pasta network": "yes",
        "slirp4netns network": "yes",
        "rootless network": "pasta",
        "rootless storage": "overlay",
    },
}
"""What is known of releases that do not change any more, from elsewhere than from them."""


@pytest.fixture(scope="module")
def keeper() -> Iterator[Keeper]:
    keeper = Keeper(cache.folder(), "distros")
    yield keeper
    assert keeper.close() == ""


@pytest.mark.parametrize("name", EXPECTED)
def test_a_machine_says_what_its_podman_can_do(
    request: pytest.FixtureRequest, keeper: Keeper, name: str
) -> None:
    image = choose(request.config.getoption("--mailserver"))
    facts = golden.ensure(keeper, image, print, find(name)).facts
    assert facts["distro"] == name
    assert {fact: facts[fact] for fact in EXPECTED[name]} == EXPECTED[name]
    assert facts["rootful containers"] == "yes"
    assert facts["network backend"] == "netavark"
