"""What the keeper makes for a virtual machine, and what is left of it: without a virtual machine.

There need not be any libvirt: what it is asked is answered by a script of the test's.
"""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from keeper_support import ROOT_ONLY, until

from harness.keeper import vm
from harness.keeper.client import Keeper

pytestmark = ROOT_ONLY

LAN = ["203.0.113.1/25", "203.0.113.51/25", "2001:db8:0:1::51/64"]
FAR = ["198.51.100.53", "2001:db8:ffff::53"]


def links() -> set[str]:
    return {name for _, name in socket.if_nameindex()}


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    before = links()
    keeper = Keeper(tmp_path / "cache", "vm", with_store=False)
    yield keeper
    if keeper._process.returncode is None:
        assert keeper.close() == ""
    assert until(lambda: links() <= before, 5), links() - before


def opened(keeper: Keeper) -> dict[str, Any]:
    return keeper.call("open_outside", name="vm", lan=LAN, far=FAR, second_lan=["192.0.2.1/24"])


def vagrant(keeper: Keeper, tmp_path: Path, script: str, within: float = 30.0) -> list[str]:
    last: list[str] = keeper.call(
        "vagrant",
        name="vm",
        command=["sh", "-c", script],
        environment={"PATH": os.environ["PATH"], "DMS_VAGRANT_BOX": "a box"},
        log=str(tmp_path / "vagrant.log"),
        within=within,
    )["last"]
    return last


def test_the_outside_has_its_addresses_and_a_bridge_leads_there(keeper: Keeper) -> None:
    bridge = opened(keeper)["bridge"]
    assert bridge in links()
    for family, address in ((socket.AF_INET, "203.0.113.51"), (socket.AF_INET6, LAN[2][:-3])):
        keeper.open_socket("vm", family, socket.SOCK_STREAM, (address, 25), listen=True).close()
    ports = subprocess.run(
        ["ip", "-brief", "link", "show", "master", bridge],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert ports.split()[0].startswith(f"{bridge}p@")


def test_the_computer_itself_has_no_part_in_it(keeper: Keeper) -> None:
    bridge = opened(keeper)["bridge"]
    shown = subprocess.run(
        ["ip", "address", "show", bridge], capture_output=True, text=True, check=True
    ).stdout
    assert "inet" not in shown
    ignored = Path(f"/proc/sys/net/ipv4/conf/{bridge}/arp_ignore").read_text(encoding="ascii")
    assert ignored.strip() == "8"


def test_what_was_made_goes_and_can_be_made_again(keeper: Keeper) -> None:
    for _ in range(2):
        bridge = opened(keeper)["bridge"]
        assert keeper.call("close_outside", name="vm") == {"left": []}
        assert bridge not in links()


def test_a_killed_run_has_its_bridge_removed(keeper: Keeper) -> None:
    bridge = opened(keeper)["bridge"]
    assert keeper._process.stdin is not None
    keeper._process.stdin.close()  # as it is when a run is killed
    assert until(lambda: bridge not in links(), 10)


def test_a_killed_keeper_has_its_bridge_removed_by_the_next(keeper: Keeper) -> None:
    bridge = opened(keeper)["bridge"]
    keeper._process.kill()
    keeper._process.wait()
    following = Keeper(keeper.cache, "next", with_store=False)
    try:
        assert f"link {bridge}" in following.call("hello")["swept"]
        assert bridge not in links()
    finally:
        assert following.close() == ""


def test_vagrant_gets_the_variables_and_no_others(keeper: Keeper, tmp_path: Path) -> None:
    opened(keeper)
    said = vagrant(keeper, tmp_path, "echo box: $DMS_VAGRANT_BOX")
    assert said == ["box: a box"]
    assert (tmp_path / "vagrant.log").read_text(encoding="utf-8") == "box: a box\n"


def test_what_vagrant_fails_with_is_told(keeper: Keeper, tmp_path: Path) -> None:
    opened(keeper)
    with pytest.raises(OSError, match=r"(?s)sh ended with status 3:.*no such box"):
        vagrant(keeper, tmp_path, "echo no such box; exit 3")


def test_vagrant_that_does_not_end_is_ended(keeper: Keeper, tmp_path: Path) -> None:
    opened(keeper)
    with pytest.raises(OSError, match="did not end within 0 s"):
        vagrant(keeper, tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 600", within=0.1)
    pid = (tmp_path / "pid").read_text(encoding="ascii").strip()
    assert until(lambda: not Path(f"/proc/{pid}").exists(), 5)


def test_what_vagrant_leaves_running_goes_with_the_machine(keeper: Keeper, tmp_path: Path) -> None:
    opened(keeper)
    vagrant(keeper, tmp_path, f"sleep 600 >/dev/null 2>&1 & echo $! > {tmp_path}/pid")
    running = Path("/proc") / (tmp_path / "pid").read_text(encoding="ascii").strip()
    assert running.exists()
    keeper.call("close_outside", name="vm")
    assert until(lambda: not running.exists(), 5)


def test_a_domain_goes_with_all_its_disks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A disk that was made before the domain was is found by its name."""
    asked = tmp_path / "asked"
    script = tmp_path / "virsh"
    script.write_text(
        f"""#!/bin/sh
shift 3
echo "$*" >> {asked}
case "$*" in
"list --all --name") printf 'other\\nmachine-x-vm\\n' ;;
"pool-list --name") echo default ;;
"vol-list default") printf ' %s /images/%s\\n' machine-x-vm.img a machine-x-vm2.img b other.img c ;;
"destroy "*) echo "error: domain is not running" >&2; exit 1 ;;
esac
""",
        encoding="utf-8",
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert vm.remove_domain("machine-x-vm") is True
    told = asked.read_text(encoding="utf-8")
    assert "destroy machine-x-vm\n" in told
    assert "undefine machine-x-vm --managed-save --snapshots-metadata --nvram" in told
    assert "--remove-all-storage" in told
    assert told.count("vol-delete") == 1
    assert "vol-delete --pool default machine-x-vm.img\n" in told


def test_a_domain_that_cannot_be_removed_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = tmp_path / "virsh"
    script.write_text("#!/bin/sh\necho 'error: no connection' >&2; exit 1\n", encoding="utf-8")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(OSError, match="no connection"):
        vm.remove_domain("machine-x-vm")
