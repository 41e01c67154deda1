"""What `--mailserver` chooses, and which archives are trusted."""

import hashlib
import io
import json
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from harness.errors import HostError
from harness.mailserver.archive import ArchiveFile, Kept, identity
from harness.mailserver.choose import choose, registry_answers
from harness.mailserver.image import Label
from harness.mailserver.source import Checkout, state
from harness.mailserver.standin import StandIn
from harness.mailserver.upstream import Reference, Upstream, _explained

DIGEST = "sha256:" + "0123456789abcdef" * 4
UPSTREAM = "docker.io/mailserver/docker-mailserver"


# ---- a registry that answers, and others --------------------------------------


@pytest.fixture
def serve() -> Iterator:
    """Start web servers on loopback that answer every request with one status."""
    servers = []

    def start(status: int) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/v2/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def closed() -> str:
    """A URL where nothing listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}/v2/"


@pytest.mark.parametrize("status", [200, 401, 404, 429, 503])
def test_any_status_is_an_answer(serve, status):
    assert registry_answers(serve(status), 5)


def test_nobody_listening_is_no_answer(closed):
    assert not registry_answers(closed, 5)


def test_unknown_name_is_no_answer():
    assert not registry_answers("http://registry.invalid/v2/", 5)


def test_silence_is_no_answer():
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        started = time.monotonic()
        assert not registry_answers(f"http://127.0.0.1:{server.getsockname()[1]}/", 0.2)
        assert time.monotonic() - started < 2


def test_another_protocol_is_no_answer():
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def greet() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"220 mail.example.com ESMTP\r\n")

        threading.Thread(target=greet, daemon=True).start()
        assert not registry_answers(f"http://127.0.0.1:{server.getsockname()[1]}/", 5)


# ---- choosing -----------------------------------------------------------------


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
    ("name", "local"),
    [
        ("localhost/x", True),
        ("localhost:5000/x", True),
        ("127.0.0.1:5000/x", True),
        ("[::1]:5000/x", True),
        ("localhost.example.com/x", False),
        ("localhosts:5000/x", False),
        ("127.example.com:5000/x", False),
        ("quay.io/x/y", False),
        ("x/localhost", False),
    ],
)
def test_only_this_computers_registries_may_speak_plain_http(name, local):
    assert Reference(name).local is local


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


# ---- archives -----------------------------------------------------------------


def config_of(text: str) -> bytes:
    return json.dumps({"architecture": "amd64", "config": {"Labels": {"text": text}}}).encode()


def write_tar(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def docker_files(*texts: str) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    images = []
    for text in texts:
        config = config_of(text)
        name = f"{hashlib.sha256(config).hexdigest()}.json"
        files |= {f"{text}.tar": text.encode() * 2000, name: config}
        images.append({"Config": name, "RepoTags": None, "Layers": [f"{text}.tar"]})
    return files | {"manifest.json": json.dumps(images).encode()}


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


def pulled(folder: Path) -> Kept:
    """A cache in which upstream's latest image is."""
    image = Upstream(folder, Reference(UPSTREAM), "")
    image.archive.parent.mkdir()
    write_tar(image.archive, docker_files("upstream"))
    return Kept.note(image.archive, [f"{UPSTREAM}@{DIGEST}"], str(image.reference))


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


# ---- checkouts ----------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY hello /\n")
    (folder / "hello").write_text("hello")
    return folder


def git(folder: Path, *command: str) -> None:
    who = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
    subprocess.run(["git", *who, *command], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(checkout: Path) -> Path:
    git(checkout, "init", "--quiet")
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "--message", "Begin")
    git(checkout, "tag", "v1.0")
    return checkout


def test_folder_is_a_checkout(checkout, tmp_path):
    image = choose(str(checkout), tmp_path)
    assert isinstance(image, Checkout)
    assert image.label.source == "source"
    assert image.label.version.startswith("tree ")


def test_folder_without_a_recipe_is_refused(tmp_path):
    with pytest.raises(HostError, match="neither a Dockerfile nor a Containerfile"):
        choose(str(tmp_path), tmp_path)


def test_tree_has_another_key_after_each_change(checkout, tmp_path):
    keys = [state(checkout)]
    (checkout / "hello").write_text("hello there")
    keys.append(state(checkout))
    (checkout / "hello").chmod(0o755)
    keys.append(state(checkout))
    (checkout / "hello").rename(checkout / "there")
    keys.append(state(checkout))
    (checkout / "link").symlink_to("there")
    keys.append(state(checkout))
    (checkout / "link").unlink()
    (checkout / "link").symlink_to("elsewhere")
    keys.append(state(checkout))
    assert len(set(keys)) == 6


def test_repository_has_another_key_after_each_change(repository):
    keys = [state(repository)]
    assert keys[0][1] == "v1.0"
    (repository / "hello").write_text("hello there")
    keys.append(state(repository))
    assert keys[1][1] == "v1.0-dirty"
    (repository / "new").write_text("new")
    keys.append(state(repository))
    (repository / "new").write_text("newer")
    keys.append(state(repository))
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "--message", "Go on")
    keys.append(state(repository))
    assert keys[4][1].startswith("v1.0-1-g")
    assert len({digest for digest, _ in keys}) == 5


def test_repository_has_its_key_back_after_a_change_is_undone(repository):
    before = state(repository)
    (repository / "hello").write_text("hello there")
    (repository / "hello").write_text("hello")
    assert state(repository) == before


def test_folder_of_a_repository_goes_by_its_own_tree(repository):
    inner = repository / "inner"
    inner.mkdir()
    (inner / "Dockerfile").write_text("FROM scratch\n")
    before = state(inner)
    assert before[1].startswith("tree ")
    (repository / "hello").write_text("hello there")
    assert state(inner) == before


# ---- errors of a pull ---------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        ("reading manifest 9 in docker.io/a/b: manifest unknown", "no such name, tag or digest"),
        ("requested access to the resource is denied", "podman login"),
        ("unauthorized: authentication required", "podman login"),
        ("toomanyrequests: You have reached your pull rate limit", "wait"),
        ("pinging: dial tcp: lookup docker.io: no such host", "stand-in"),
        ("pinging: dial tcp 127.0.0.1:1: connect: connection refused", "stand-in"),
        ("net/http: TLS handshake timeout", "stand-in"),
        ("writing blob: write /var/tmp/x: no space left on device", "DMS_HARNESS_CACHE"),
        ("x509: certificate signed by unknown authority", "certificate"),
        ("something new", "podman pull"),
    ],
)
def test_failed_pull_is_explained(line, remedy):
    said = f"env ended with status 125:\nTrying to pull a/b:c...\nError: {line}\nmore\n"
    message, hint = _explained("a/b:c", said)
    assert message == f"a/b:c cannot be pulled: {line}"
    assert remedy in hint
