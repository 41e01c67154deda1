"""Archives of images: what one is identified by, and which are trusted."""

import hashlib
import json
from pathlib import Path

import pytest
from image_support import DIGEST, config_of, docker_files, pulled, write_tar

from harness.errors import HostError
from harness.mailserver.archive import ArchiveFile, Kept, identity
from harness.mailserver.choose import choose
from harness.mailserver.upstream import Reference, Upstream


def blob(content: bytes) -> tuple[str, dict[str, bytes], str]:
    digest = hashlib.sha256(content).hexdigest()
    return digest, {f"blobs/sha256/{digest}": content}, f"sha256:{digest}"


def oci_files(architecture: str = "amd64") -> tuple[dict[str, bytes], str]:
    """An archive as buildx writes it: an index in the index, with an attestation beside."""
    identifier, files, config = blob(config_of("oci"))
    _, layers, layer = blob(b"layer")
    manifest = {"config": {"digest": config}, "layers": [{"digest": layer}]}
    _, manifests, digest = blob(json.dumps(manifest).encode())
    index = {
        "manifests": [
            {"digest": digest, "platform": {"architecture": architecture, "os": "linux"}},
            {"digest": DIGEST, "platform": {"architecture": "unknown", "os": "unknown"}},
        ]
    }
    _, indexes, inner = blob(json.dumps(index).encode())
    top = json.dumps({"manifests": [{"digest": inner}]}).encode()
    return files | layers | manifests | indexes | {"index.json": top}, identifier


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_docker_archive_is_identified_by_its_configuration(tmp_path, mode):
    path = write_tar(tmp_path / "some.tar", docker_files("one"), mode)
    identifier = hashlib.sha256(config_of("one")).hexdigest()
    image = choose(str(path), tmp_path)
    assert isinstance(image, ArchiveFile)
    assert image.key() == f"image-{identifier}"
    assert str(image.label) == f"archive some.tar {identifier[:12]} (asked for)"


def test_archive_behind_a_link_is_taken_itself(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "some.tar", docker_files("one"))
    link = tmp_path / "image.tar"
    link.symlink_to(path)
    image = choose(str(link), tmp_path)
    assert isinstance(image, ArchiveFile)
    assert image.path == path


def test_oci_archive_is_identified_by_its_configuration(tmp_path, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    files, identifier = oci_files()
    assert identity(write_tar(tmp_path / "oci.tar", files)) == identifier


def test_oci_archive_for_another_computer_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    files, _ = oci_files("s390x")
    with pytest.raises(HostError, match="holds 0 images"):
        identity(write_tar(tmp_path / "oci.tar", files))


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"hello.txt": b"hello"}, "is not an archive of images"),
        ({}, "is not an archive of images"),
        ({"manifest.json": b"[]"}, "holds 0 images"),
        (docker_files("one", "two"), "holds 2 images, and must hold one"),
        ({"manifest.json": b"{"}, "is not a whole archive"),
        ({"manifest.json": b"[1]"}, "is not a whole archive"),
        ({"manifest.json": b"[{}]"}, "cut off or spoilt: it lacks 'Layers'"),
    ],
)
def test_other_tars_are_refused(files, said, tmp_path):
    with pytest.raises(HostError, match=said):
        choose(str(write_tar(tmp_path / "some.tar", files)), tmp_path)


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_truncated_archive_of_the_user_is_refused_wherever_it_is_cut(tmp_path, mode):
    whole = write_tar(tmp_path / "whole.tar", docker_files("one"), mode).read_bytes()
    # The end of a tar is padding that nobody needs, and shrinks to nearly nothing.
    end = len(whole.rstrip(b"\0")) if mode == "w" else len(whole) // 2
    path = tmp_path / "cut.tar"
    for length in [*range(0, end, 97), end - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(HostError):
            identity(path)


def test_no_tar_is_refused_in_one_line(tmp_path):
    (tmp_path / "some.tar").write_text("hello")
    with pytest.raises(HostError) as raised:
        choose(str(tmp_path / "some.tar"), tmp_path)
    assert "is not a whole archive of images" in raised.value.message
    assert "\n" not in raised.value.message
    assert "podman save" in raised.value.hint


def test_noted_archive_is_trusted_while_it_is_the_same(tmp_path):
    kept = pulled(tmp_path)
    assert Kept.read(kept.path) == kept
    assert kept.is_intact()

    content = kept.path.read_bytes()
    kept.path.write_bytes(content[:700] + b"spoilt" + content[706:])
    assert Kept.read(kept.path) == kept  # its size is right
    assert not kept.is_intact()

    kept.path.write_bytes(content[:-1])
    assert Kept.read(kept.path) is None


@pytest.mark.parametrize("note", ["", "{", "[]", "{}", '{"size": 1}', '"text"'])
def test_archive_with_a_spoilt_note_is_not_trusted(tmp_path, note):
    kept = pulled(tmp_path)
    kept.path.with_suffix(".json").write_text(note)
    assert Kept.read(kept.path) is None


def test_archive_that_was_removed_is_not_in_the_cache(tmp_path):
    kept = pulled(tmp_path)
    kept.path.unlink()
    assert Kept.read(kept.path) is None


def test_digest_is_found_under_the_tag_that_was_pulled(tmp_path):
    kept = pulled(tmp_path)
    image = choose(f"upstream@{DIGEST}", tmp_path)
    assert image.key() == f"image-{kept.image}"
    assert image.label.version == DIGEST[7:19]
    assert choose("upstream:edge", tmp_path).key() is None


def test_names_in_the_cache_do_not_collide(tmp_path):
    names = {
        Upstream(tmp_path, Reference(name), "").archive.name
        for name in ("a/b", "a_b/c", "a/b_c", "a/b/c", "a.io/b/c", "a/b:c")
    }
    assert len(names) == 6
    assert all("/" not in name for name in names)
