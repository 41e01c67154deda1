"""What `--mailserver` chooses."""

from collections.abc import Iterator

import pytest
from image_support import DIGEST, UPSTREAM, closed_url, pulled, web_servers

from harness.errors import HostError
from harness.mailserver.choose import choose
from harness.mailserver.image import Label
from harness.mailserver.standin import StandIn
from harness.mailserver.upstream import Upstream


@pytest.fixture
def serve() -> Iterator:
    with web_servers() as start:
        yield start


@pytest.fixture
def closed() -> str:
    return closed_url()


def test_auto_takes_upstream_where_a_registry_answers(serve, tmp_path):
    image = choose("auto", tmp_path, serve(401), 5)
    assert isinstance(image, Upstream)
    assert image.label == Label(
        "upstream", "latest, not pulled yet", "a container registry answers"
    )
    assert image.key() is None


def test_auto_takes_the_standin_elsewhere(closed, tmp_path):
    image = choose("auto", tmp_path, closed, 5)
    assert isinstance(image, StandIn)
    assert image.label.why == "no container registry answers"
    assert image.label.version == image.key()


def test_auto_takes_what_is_cached_without_asking(closed, tmp_path):
    kept = pulled(tmp_path)
    image = choose("auto", tmp_path, closed, 5)
    assert isinstance(image, Upstream)
    assert image.label.why == f"cached, pulled {kept.made}"
    assert image.label.version == f"latest {DIGEST[7:19]}"
    assert image.key() == f"image-{kept.image}"


def test_auto_does_not_take_a_truncated_archive(closed, tmp_path):
    kept = pulled(tmp_path)
    with kept.path.open("r+b") as file:
        file.truncate(kept.size - 1)
    assert isinstance(choose("auto", tmp_path, closed, 5), StandIn)


def test_standin(tmp_path):
    image = choose("stand-in", tmp_path)
    assert isinstance(image, StandIn)
    assert str(image.label) == f"stand-in {image.key()} (asked for)"


@pytest.mark.parametrize(
    ("option", "reference", "source"),
    [
        ("upstream", f"{UPSTREAM}:latest", "upstream"),
        ("upstream:15.1", f"{UPSTREAM}:15.1", "upstream"),
        (f"upstream@{DIGEST}", f"{UPSTREAM}@{DIGEST}", "upstream"),
        ("mailserver/docker-mailserver:edge", f"{UPSTREAM}:edge", "upstream"),
        ("ghcr.io/some/image:edge", "ghcr.io/some/image:edge", "image"),
        ("localhost:5000/x:y", "localhost:5000/x:y", "image"),
        ("[::1]:5000/x", "[::1]:5000/x:latest", "image"),
        (f"127.0.0.1:5000/x@{DIGEST}", f"127.0.0.1:5000/x@{DIGEST}", "image"),
    ],
)
def test_references(option, reference, source, tmp_path):
    image = choose(option, tmp_path)
    assert isinstance(image, Upstream)
    assert str(image.reference) == reference
    assert image.label.source == source
    assert image.label.why == "asked for"


@pytest.mark.parametrize(
    ("option", "said", "remedy"),
    [
        ("standin", "standin: no such source", "did you mean stand-in?"),
        ("Upstream", "no such source", "did you mean upstream?"),
        ("upstrem:14", "no such source", "did you mean upstream:14?"),
        ("atuo", "no such source", "did you mean auto?"),
        ("", "'': no such source", "it takes auto, stand-in"),
        ("podman", "no such source", "it takes auto, stand-in"),
        ("./not-there", "no such folder", "it takes auto"),
        ("/not/there.tar", "no such folder or archive", "it takes auto"),
        ("not-there.tar", "no such folder or archive", "it takes auto"),
        ("upstream:", "not an image reference", "NAME:TAG"),
        ("upstream:a b", "not an image reference", "NAME:TAG"),
        ("upstream@sha256:123", "not an image reference", "64 digits"),
        ("Some/Image:tag", "not an image reference", "lower case"),
        (f"a/b:c@{DIGEST}", "not an image reference", "or NAME@sha256"),
        ("quay.io/a//b", "not an image reference", "NAME:TAG"),
    ],
)
def test_wrong_options_are_explained(option, said, remedy, tmp_path):
    with pytest.raises(HostError) as raised:
        choose(option, tmp_path)
    assert said in raised.value.message
    assert remedy in raised.value.hint
    assert "\n" not in raised.value.message
