"""Image sources against real registries, builds and archives; needs root and a Debian mirror."""

import hashlib
import io
import json
import os
import re
import shutil
import socket
import subprocess
import tarfile
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness import cache
from harness.errors import HostError
from harness.keeper.client import Keeper
from harness.machines.rootfs import ensure_rootfs
from harness.mailserver.archive import Archived, identity
from harness.mailserver.choose import choose

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="the keeper needs root"),
]

CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def layer_of(text: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo("greeting")
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


def image_of(layer: bytes) -> tuple[bytes, bytes]:
    """A configuration and a manifest."""
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["/greeting"]},
            "rootfs": {"type": "layers", "diff_ids": [sha256(layer)]},
        }
    ).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": sha256(config), "size": len(config)},
            "layers": [{"mediaType": LAYER, "digest": sha256(layer), "size": len(layer)}],
        }
    ).encode()
    return config, manifest


@dataclass
class Registry:
    """A registry on loopback, and what it has been asked."""

    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _send(self, method: str, url: str, data: bytes, kind: str) -> str:
        request = urllib.request.Request(  # noqa: S310
            url, data, {"Content-Type": kind}, method=method
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return str(answer.headers.get("Location", ""))

    def push(self, name: str, tag: str, text: str) -> str:
        """Push an image with one small file; return its id."""
        layer = layer_of(text)
        config, manifest = image_of(layer)
        for blob in (layer, config):
            place = self._send("POST", f"{self.url}/v2/{name}/blobs/uploads/", b"", "text/plain")
            joint = "&" if "?" in place else "?"
            octets = "application/octet-stream"
            self._send("PUT", f"{place}{joint}digest={sha256(blob)}", blob, octets)
        self._send("PUT", f"{self.url}/v2/{name}/manifests/{tag}", manifest, MANIFEST)
        return sha256(config).removeprefix("sha256:")

    def pulls(self) -> int:
        """How many manifests it was asked for."""
        lines = self.log.read_text().splitlines()
        return sum('"GET /v2/' in line and "/manifests/" in line for line in lines)


def registry_program(folder: Path) -> str:
    """Debian's docker-registry: installed, or unpacked from its package."""
    found = shutil.which("docker-registry")
    if found:
        return found
    if shutil.which("apt-get") is None:
        pytest.skip("neither docker-registry nor apt-get to download it with")
    fetched = subprocess.run(
        ["apt-get", "-o", "APT::Sandbox::User=root", "download", "docker-registry"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if fetched.returncode != 0:
        pytest.skip(f"docker-registry cannot be downloaded: {fetched.stderr.strip()[-200:]}")
    (package,) = folder.glob("docker-registry_*.deb")
    subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
    return str(folder / "usr/bin/docker-registry")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    folder = tmp_path_factory.mktemp("registry")
    program = registry_program(folder)
    config = folder / "config.yml"
    config.write_text(
        "version: 0.1\n"
        "log: {accesslog: {disabled: false}, level: info}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder}/data}}}}\n"
        "http: {addr: '127.0.0.1:0'}\n"
    )
    log = folder / "log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [program, "serve", config], stdout=out, stderr=subprocess.PIPE, text=True
        )
    try:
        # It says itself which port it got.
        assert process.stderr is not None
        for line in process.stderr:
            if "listening on 127.0.0.1:" in line:
                port = int(line.partition("listening on 127.0.0.1:")[2].split('"')[0].split(",")[0])
                break
        else:
            pytest.fail("the registry did not start")
        yield Registry(port, log)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


@pytest.fixture(scope="module")
def keeper() -> Iterator[Keeper]:
    keeper = Keeper(cache.folder(), "image-sources")
    yield keeper
    assert keeper.close() == ""
    assert not list((cache.folder() / "ledger").glob(f"{keeper.owner}*"))


@pytest.fixture(scope="module")
def rootfs(keeper: Keeper) -> str:
    return ensure_rootfs(keeper, cache.login(keeper.cache), print)


@pytest.fixture
def prepare(keeper: Keeper, rootfs: str):
    """Prepare what an option names in a cache; return it and what was said."""

    def prepared(option: str, folder: Path) -> tuple[Archived, list[str]]:
        said: list[str] = []
        image = choose(option, folder)
        image.prepare(keeper, said.append, lambda: rootfs)
        return image, said

    return prepared


def greeting_in(archive: Path) -> str:
    """The content of the one file in the one layer of a docker-archive."""
    with tarfile.open(archive) as tar:
        (layer,) = json.load(tar.extractfile("manifest.json"))[0]["Layers"]
        with tarfile.open(fileobj=tar.extractfile(layer)) as inner:
            (member,) = [each for each in inner.getmembers() if each.isfile()]
            return inner.extractfile(member).read().decode()


def test_reference_is_pulled_once(registry, prepare, tmp_path):
    identifier = registry.push("some/image", "one", "hello")
    option = f"localhost:{registry.port}/some/image:one"
    assert choose(option, tmp_path).key() is None
    before = registry.pulls()

    image, said = prepare(option, tmp_path)
    assert image.key() == f"image-{identifier}"
    assert greeting_in(image.archive) == "hello"
    assert image.label.why == "asked for"
    assert any("Copying blob" in line for line in said)
    pulled = registry.pulls()
    assert pulled > before

    again, said = prepare(option, tmp_path)
    assert registry.pulls() == pulled
    assert not said
    assert again.key() == image.key()
    assert again.label.version == image.label.version
    assert again.label.why.startswith("cached, pulled 20")
    assert [path.suffix for path in sorted((tmp_path / "images").iterdir())] == [".json", ".tar"]


def test_digest_is_served_by_the_tag_that_was_pulled(registry, prepare, tmp_path):
    registry.push("some/image", "by-tag", "tagged")
    name = f"localhost:{registry.port}/some/image"
    image, _ = prepare(f"{name}:by-tag", tmp_path)
    digest = json.loads(image.archive.with_suffix(".json").read_text())["digests"][0]
    pulled = registry.pulls()
    again, _ = prepare(digest, tmp_path)
    assert registry.pulls() == pulled
    assert again.key() == image.key()

    elsewhere, _ = prepare(digest, tmp_path / "elsewhere")
    assert registry.pulls() > pulled
    assert elsewhere.key() == image.key()


def test_truncated_archive_is_fetched_again(registry, prepare, tmp_path):
    registry.push("some/image", "cut", "whole")
    option = f"localhost:{registry.port}/some/image:cut"
    image, _ = prepare(option, tmp_path)
    with image.archive.open("r+b") as file:
        file.truncate(1000)
    again, _ = prepare(option, tmp_path)
    assert greeting_in(again.archive) == "whole"


def test_changed_archive_is_fetched_again_and_said(registry, prepare, tmp_path):
    registry.push("some/image", "changed", "whole")
    option = f"localhost:{registry.port}/some/image:changed"
    image, _ = prepare(option, tmp_path)
    with image.archive.open("r+b") as file:
        file.seek(700)
        file.write(b"spoilt")
    again, said = prepare(option, tmp_path)
    assert any("damaged" in line for line in said)
    assert greeting_in(again.archive) == "whole"


def test_missing_tag_is_explained(registry, prepare, tmp_path):
    registry.push("some/image", "there", "hello")
    with pytest.raises(HostError) as raised:
        prepare(f"localhost:{registry.port}/some/image:not-there", tmp_path)
    assert (
        f"localhost:{registry.port}/some/image:not-there cannot be pulled" in raised.value.message
    )
    assert "unknown" in raised.value.message
    assert "no such name, tag or digest" in raised.value.hint
    assert not list((tmp_path / "images").iterdir())


def test_unreachable_registry_is_explained(prepare, tmp_path):
    with pytest.raises(HostError) as raised:
        prepare("localhost:1/some/image:one", tmp_path)
    assert "refused" in raised.value.message
    assert "does not answer" in raised.value.hint


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "a checkout: mine"
    folder.mkdir()
    (folder / "Dockerfile").write_text(
        'FROM scratch\nCOPY greeting /\nLABEL of="a test"\nHEALTHCHECK CMD /greeting\n'
    )
    (folder / "greeting").write_text("built")
    return folder


def test_checkout_is_built_once_for_each_state(prepare, checkout, tmp_path):
    image, said = prepare(str(checkout), tmp_path)
    assert any("STEP " in line for line in said)
    assert greeting_in(image.archive) == "built"
    with tarfile.open(image.archive) as tar:
        config = json.load(tar.extractfile(f"{identity(image.archive)}.json"))["config"]
    assert config["Labels"]["of"] == "a test"
    assert config["Healthcheck"]["Test"]  # docker's format only

    _, said = prepare(str(checkout), tmp_path)
    assert not said
    (checkout / "greeting").write_text("built anew")
    image, said = prepare(str(checkout), tmp_path)
    assert greeting_in(image.archive) == "built anew"


def test_build_runs_commands_with_the_network_of_this_computer(registry, prepare, tmp_path):
    """Also limits: podman's own default ones can be above what this computer allows."""
    folder = tmp_path / "runs"
    folder.mkdir()
    # A shell and its libraries: nothing that a registry has to give.
    listed = subprocess.run(["ldd", "/bin/bash"], capture_output=True, text=True, check=True).stdout
    with tarfile.open(folder / "shell.tar", "w", dereference=True) as tar:
        for path in ["/bin/bash", *re.findall(r"(/\S+) \(0x", listed)]:
            tar.add(path)
    (folder / "Containerfile").write_text(
        "FROM scratch AS base\nADD shell.tar /\nFROM base\n"
        f'RUN ["/bin/bash", "-c", ": < /dev/tcp/127.0.0.1/{registry.port} && echo ran > /ran"]\n'
    )
    image, said = prepare(str(folder), tmp_path)
    assert any("[2/2] STEP 2/2" in line for line in said)
    with tarfile.open(image.archive) as tar:
        newest = json.load(tar.extractfile("manifest.json"))[0]["Layers"][-1]
        with tarfile.open(fileobj=tar.extractfile(newest)) as layer:
            assert layer.extractfile("ran").read() == b"ran\n"


def test_failed_build_is_explained(prepare, checkout, tmp_path):
    (checkout / "Dockerfile").write_text("FROM scratch\nCOPY nothing /\n")
    with pytest.raises(HostError, match=r"cannot be built: .*nothing"):
        prepare(str(checkout), tmp_path)


def test_mode_in_words_is_what_the_files_have_in_the_image(prepare, checkout, tmp_path):
    (checkout / "Dockerfile").write_text("FROM scratch\nCOPY --chmod=+x greeting /\n")
    (checkout / "greeting").chmod(0o640)
    image, said = prepare(str(checkout), tmp_path)
    assert [line for line in said if "--chmod=+x → 0751" in line]
    with tarfile.open(image.archive) as tar:
        newest = json.load(tar.extractfile("manifest.json"))[0]["Layers"][-1]
        with tarfile.open(fileobj=tar.extractfile(newest)) as layer:
            assert layer.getmember("greeting").mode == 0o751


def test_mode_in_words_of_a_folder_is_explained(prepare, checkout, tmp_path):
    (checkout / "Dockerfile").write_text("FROM scratch\nCOPY --chmod=go-w . /\n")
    with pytest.raises(HostError, match=r"cannot be built: .*parsing chmod go-w") as raised:
        prepare(str(checkout), tmp_path)
    assert "docker save" in raised.value.hint


def test_archive_of_the_user_is_taken_as_it_is(registry, prepare, tmp_path):
    identifier = registry.push("some/image", "saved", "saved")
    image, _ = prepare(f"localhost:{registry.port}/some/image:saved", tmp_path)
    mine = shutil.copy(image.archive, tmp_path / "mine.tar")
    taken, said = prepare(str(mine), tmp_path)
    assert not said
    assert taken.key() == f"image-{identifier}"
    assert taken.label.source == "archive"


@pytest.fixture
def endless(tmp_path: Path) -> Iterator[Path]:
    """A checkout whose build waits for ever: for a web server that takes calls and is silent."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        folder = tmp_path / "endless"
        folder.mkdir()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/silence"
        (folder / "Dockerfile").write_text(f"FROM scratch\nADD {url} /\n")
        yield folder


class CutOffError(Exception):
    """What Ctrl-C does to a run."""


@pytest.mark.parametrize("end", ["in order", "killed"])
def test_run_that_ends_amid_a_build_leaves_nothing(rootfs, endless, tmp_path, end):
    keeper = Keeper(cache.folder(), "image-sources-cut")
    image = choose(str(endless), tmp_path)

    def say(line: str) -> None:
        if "STEP 2" in line:
            raise CutOffError

    with pytest.raises(CutOffError):
        image.prepare(keeper, say, lambda: rootfs)
    assert [path.name for path in (tmp_path / "images").iterdir()] != []
    assert processes_of(keeper.owner)
    if end == "in order":
        assert keeper.close() == ""
    else:
        keeper._process.kill()
        keeper._process.communicate()
        sweeper = Keeper(cache.folder(), "image-sources-sweep")
        swept = sweeper.call("hello")
        assert len([each for each in swept["swept"] if keeper.owner in each]) >= 3
        assert not swept["stuck"]
        assert sweeper.close() == ""
    assert not processes_of(keeper.owner)
    assert not list((tmp_path / "images").iterdir())
    assert keeper.owner not in Path("/proc/1/mountinfo").read_text()


def processes_of(owner: str) -> list[str]:
    """The command lines of all processes in a run's cgroups; those that are dead have none."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"/dms-harness/build-{owner}" in (folder / "cgroup").read_text():
                found.append((folder / "cmdline").read_text().replace("\0", " "))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return [each for each in found if each]


def test_pull_has_a_deadline(rootfs, keeper, endless, tmp_path, monkeypatch):
    monkeypatch.setattr("harness.mailserver.source.BUILD_WITHIN", 2.0)
    image = choose(str(endless), tmp_path)
    with pytest.raises(HostError, match="did not end within 2 s"):
        image.prepare(keeper, print, lambda: rootfs)
    assert not processes_of(keeper.owner)
    assert not list((tmp_path / "images").iterdir())


def test_two_runs_pull_once(registry, rootfs, keeper, tmp_path):
    registry.push("some/image", "shared", "hello")
    option = f"localhost:{registry.port}/some/image:shared"
    before = registry.pulls()
    other = Keeper(cache.folder(), "image-sources-other")
    try:
        images = [choose(option, tmp_path) for _ in range(2)]
        with ThreadPoolExecutor(2) as pool:
            for work in [
                pool.submit(image.prepare, each, print, lambda: rootfs)
                for image, each in zip(images, (keeper, other), strict=True)
            ]:
                work.result()
    finally:
        assert other.close() == ""
    one = registry.pulls() - before
    assert images[0].key() == images[1].key() is not None
    prepared = choose(option, tmp_path / "alone")
    prepared.prepare(keeper, print, lambda: rootfs)
    assert registry.pulls() - before == 2 * one
