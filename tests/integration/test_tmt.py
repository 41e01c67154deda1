"""The tmt plans, run by tmt on a guest: a machine that plays a fresh one of somebody's farm."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from junitparser import JUnitXml
from proxy import proxy_at
from ssh_host import Reachable, somebodys_host
from support import NEEDS_ROOT, ROOT

from harness import addresses, cache
from harness.machines import golden
from harness.mailserver.choose import choose
from harness.mailserver.image import NAME
from harness.observations import read

pytestmark = NEEDS_ROOT

TMT = Path(sys.executable).with_name("tmt")
VARIANT = "rootless_pasta_quadlet-permit_unset"
WITHIN = 900.0
"""Seconds on a busy computer; alone, less than a sixth of it."""
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
TRUSTED = (
    ssl.get_default_verify_paths().cafile,
    CERTIFICATES,
    "/etc/pki/tls/certs/ca-bundle.crt",
)
"""Where this computer may have its certificates."""
ARCHIVE = "/var/tmp/image.tar"

APT_FILE = """set -e
mkdir -p /root/package/DEBIAN /root/package/usr/bin
cd /root/package
cat > usr/bin/apt-file <<'END'
#!/bin/sh
[ "$1" != search ] || dpkg -S "$3" | cut -d: -f1
END
chmod +x usr/bin/apt-file
cat > DEBIAN/control <<'END'
Package: apt-file
Version: 99
Architecture: all
Maintainer: nobody
Description: answers from what is installed
END
dpkg-deb --build . ../package.deb
dpkg -i ../package.deb
rm -r ../package ../package.deb
"""
"""tmt asks apt-file which package has flock. Its lists are 50 MB, which apt then fetches beside its
own, and not all mirrors have them. This one knows what is installed, as flock is."""


@pytest.fixture(scope="module")
def guest(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Reachable, str]]:
    """A host with packages, the mail server's image as an archive, and the way out by a proxy."""
    folder = tmp_path_factory.mktemp("guest")
    with somebodys_host(folder, "guest") as host:
        machine = host.machine
        made = golden.ensure(
            machine.keeper, choose(request.config.getoption("--mailserver")), print
        )
        other = made.fork("image")
        other.start()
        other.wait_until_up()
        other.succeed(f"podman save --quiet --output {ARCHIVE} {NAME}", within=120)
        other.copy_from(ARCHIVE, folder)
        assert other.destroy() == []
        machine.copy_to(folder / "image.tar", ARCHIVE)
        (folder / "image.tar").unlink()
        # Whom this computer trusts may be an office's own, through whom it reaches all others.
        trusted = next((each for each in TRUSTED if each and Path(each).is_file()), None)
        if trusted is not None:
            machine.copy_to(Path(trusted).resolve(), CERTIFICATES)
        with proxy_at(machine.outside, addresses.SECOND_NEIGHBOUR[4]) as proxy:
            machine.succeed(
                f"echo 'Acquire::http::Proxy \"{proxy}\";' > /etc/apt/apt.conf.d/90proxy"
            )
            machine.succeed(APT_FILE)
            yield host, proxy


def tmt(*words: str, before: list[str] | None = None) -> subprocess.CompletedProcess[str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("TMT_", "PYTEST_"))}
    return subprocess.run(
        [*(before or []), TMT, "--root", ROOT, *words],
        cwd=ROOT,
        env=inherited | {"NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=WITHIN,
    )


def results(run: Path) -> dict[str, dict[str, Any]]:
    """What tmt has made of the test's own results: name → result."""
    text = (run / "plans" / "one" / "execute" / "results.yaml").read_text(encoding="utf-8")
    return {each["name"]: each for each in yaml.safe_load(text)}


def test_plans_and_tests_are_as_tmt_wants_them() -> None:
    done = tmt("lint")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "/plans/one" in done.stdout


def test_a_plan_deploys_on_the_guest_itself(guest: tuple[Reachable, str], tmp_path: Path) -> None:
    host, proxy = guest
    machine = host.machine
    run = tmp_path / "run"
    key = cache.login(machine.keeper.cache).private_key
    done = tmt(
        *("run", "--id", str(run), "-vv", "--all"),
        *(f"--environment={name}={proxy}" for name in ("http_proxy", "https_proxy")),
        f"--environment=MAILSERVER={ARCHIVE}",
        *("provision", "--how", "connect", "--guest", addresses.SECOND[4], "--key", str(key)),
        *("plan", "--name", "^/plans/one$"),
        before=machine.outside.entered_by(),
    )
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    found = results(run)
    assert list(found) == ["/tests/tmt", f"/tests/tmt/{VARIANT}"]
    assert {each["result"] for each in found.values()} == {"pass"}
    (counted,) = found[f"/tests/tmt/{VARIANT}"]["note"][:1]
    passed = dict(each.split(": ") for each in counted.split(", "))
    assert int(passed["pass"]) > 100
    execute = run / "plans" / "one" / "execute"
    kept = {Path(log).name: execute / log for log in found["/tests/tmt"]["log"]}
    assert set(kept) == {"junit.xml", "report.html", "observations.jsonl"}
    # It was the guest itself, by its own podman, which is as it was.
    (suite,) = JUnitXml.fromfile(str(kept["junit.xml"]))
    assert {each.name: each.value for each in suite.properties()}["machine"] == "ssh"
    seen = {each.subject: each.outcome for each in read(kept["observations.jsonl"], ("machine",))}
    assert seen["podman"] == machine.succeed("podman --version").strip()
    (output,) = execute.glob("data/guest/default-0/tests/tmt-1/output.txt")
    assert "root@localhost is as it was before the run" in output.read_text(encoding="utf-8")
