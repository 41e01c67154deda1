"""What is decided about somebody's own host before anything on it is changed."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import pytest

from harness.errors import HostError
from harness.machines.ssh import look, network
from harness.machines.ssh.applicable import why_not
from harness.machines.ssh.login import Login, Where, parse
from harness.scenario_file import load_all

SCENARIOS = Path(__file__).parents[2] / "scenarios"
ALL_THERE = "id debian\nfirewalld running\ndone\n"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("mail.example.com", Where("mail.example.com")),
        ("root@mail", Where("mail", "root")),
        ("root@mail:2222", Where("mail", "root", 2222)),
        ("192.0.2.1:22", Where("192.0.2.1", None, 22)),
        ("me@[2001:db8::1]:22", Where("2001:db8::1", "me", 22)),
        ("[2001:db8::1]", Where("2001:db8::1")),
    ],
)
def test_a_host_is_named_as_for_ssh(text: str, where: Where) -> None:
    assert parse(text) == where
    assert parse(str(where)) == where


@pytest.mark.parametrize(
    "text", ["", "a b", "root@", "host:", "host:0", "host:65536", "2001:db8::1"]
)
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(HostError, match="this is no host"):
        parse(text)


def test_a_host_with_everything_and_nothing_in_the_way_is_taken() -> None:
    look.refuse("host", look.understand(ALL_THERE + 'listens 0.0.0.0:22 users:(("sshd"))\n'))


def test_what_is_missing_comes_with_the_distributions_install_line() -> None:
    lacking = "lacks nft\nlacks ip\n"
    with pytest.raises(HostError) as debian:
        look.refuse("host", look.understand("id ubuntu debian\n" + lacking))
    assert debian.value.hint == "apt-get install nftables iproute2"
    with pytest.raises(HostError) as fedora:
        look.refuse("host", look.understand("id rocky rhel centos fedora\n" + lacking))
    assert fedora.value.hint == "dnf install nftables iproute"


def test_what_only_some_scenarios_launch_with_need_not_be_there() -> None:
    look.refuse("host", look.understand(ALL_THERE + "lacks podman-compose\nlacks slirp4netns\n"))


@pytest.mark.parametrize("at", ["0.0.0.0:25", "127.0.0.1:25", "[::]:993", "*:10587"])
def test_a_mail_server_that_runs_there_is_named(at: str) -> None:
    found = look.understand(ALL_THERE + f'listens {at} users:(("master",pid=7,fd=13))\n')
    with pytest.raises(HostError, match=r"in use there: port \d+: users:\(\(\"master\",pid=7"):
        look.refuse("host", found)


@pytest.mark.parametrize("thing", ["the user mailop", "a route to 203.0.113.0/25"])
def test_what_the_run_would_make_may_not_be_there(thing: str) -> None:
    with pytest.raises(HostError, match=f"{thing} already"):
        look.refuse("host", look.understand(ALL_THERE + f"has {thing}\n"))


def test_the_question_is_understood_by_this_computers_shell() -> None:
    asked = subprocess.run(["sh", "-c", look._ASK], capture_output=True, text=True, check=False)
    assert asked.stdout.endswith("done\n")
    assert look.understand(asked.stdout).install == "apt-get install"


@pytest.mark.parametrize(
    "script",
    [network.up((4, 6)), network.up((4,)), network.up((6,)), network.down(), *look._LOOKS.values()],
)
def test_every_script_is_one_for_sh(script: str) -> None:
    done = subprocess.run(["sh", "-n", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_host_that_cannot_be_reached_is_told_with_a_remedy() -> None:
    with pytest.raises(HostError) as told:
        Login(Where("127.0.0.1", "nobody", 1))
    assert told.value.hint.endswith("ssh -p 1 nobody@127.0.0.1")


def test_differences_are_told_in_both_directions() -> None:
    before = {"users": frozenset({"root", "mail"}), "processes": frozenset({"a"})}
    after = {"users": frozenset({"root", "mailop"}), "processes": frozenset({"b"})}
    assert look.differences(before, after) == [
        "new: processes: b",
        "new: users: mailop",
        "gone: users: mail",
    ]
    assert look.differences(before, before) == []
    one, other = ({"files in /etc": frozenset({f"{digit * 64}  ./shadow"})} for digit in "01")
    assert look.differences(one, other) == [
        "new: files in /etc: ./shadow",
        "gone: files in /etc: ./shadow",
    ]


def test_what_sockets_and_timers_start_comes_and_goes() -> None:
    waiting = {"proxy.socket", "apt-daily.timer"}
    before = {"units": frozenset({*waiting, "proxy.service", "mine.service"})}
    after = {"units": frozenset({*waiting, "apt-daily.service", "other.service"})}
    assert look.differences(before, after) == [
        "new: units: other.service",
        "gone: units: mine.service",
    ]


FACTS = {"podman": "podman version 5.4.2", "lacks": ""}
SCENARIO = {each.id: each for each in load_all(SCENARIOS)}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("rootless_pasta_quadlet-permit_host", ""),
        ("rootful_compose-permit_unset", ""),
        ("rootless_slirp4netns-permit_container", ""),
        ("rootless_pasta_quadlet-reboot", "it reboots the machine"),
        ("rootless_pasta_interface-two_interfaces", "a second network interface"),
        ("rootless_pasta_quadlet-timezone", "event change_of_zone is root's"),
        ("rootless_pasta_run-throughput", "how fast the machine is"),
        ("rootless_uidmap_quadlet-at_1000", "by the number 1000"),
    ],
)
def test_which_variants_can_be_judged_follows_from_what_they_do(name: str, reason: str) -> None:
    if not reason:
        assert why_not(SCENARIO[name], FACTS) == ""
    else:
        assert reason in why_not(SCENARIO[name], FACTS)


def test_a_matrix_is_judged_whatever_the_scenario() -> None:
    reasons = {
        each.id: why_not(each, FACTS)
        for each in SCENARIO.values()
        if each.settings.checks == "matrix" and why_not(each, FACTS)
    }
    assert set(reasons.values()) == {
        "its machine has a second network interface",
        "it reloads firewalld, which forgets what somebody has set for the time being only",
    }, reasons


@pytest.mark.parametrize(
    ("name", "facts", "reason"),
    [
        ("rootless_pasta_quadlet-permit_host", {"podman": "podman version 4.9.4"}, "before 5.0"),
        ("rootless_compose-permit_host", {"podman": "podman version 4.9.4"}, ""),
        ("rootless_pasta_quadlet-permit_host", {"lacks": "pasta"}, "has no pasta"),
        ("rootless_compose-permit_host", {"lacks": "pasta podman-compose"}, ""),
        ("rootless_compose-permit_host", {"lacks": "docker-compose"}, "has no docker-compose"),
        ("rootless_slirp4netns-permit_host", {"lacks": "slirp4netns"}, "has no slirp4netns"),
    ],
)
def test_what_the_host_is_made_of_counts(name: str, facts: dict[str, str], reason: str) -> None:
    said = why_not(SCENARIO[name], FACTS | facts)
    assert reason in said
    assert bool(reason) is bool(said)


def test_a_step_of_roots_must_say_how_it_is_undone() -> None:
    scenario = SCENARIO["rootless_pasta_quadlet-permit_host"]
    step = scenario.prepare[0]
    careless = step.model_copy(update={"undo": None})
    table = scenario.table.model_copy(update={"prepare": (careless,)})
    assert why_not(dataclasses.replace(scenario, table=table), FACTS) == (
        "a step is root's, and nothing says how it is undone"
    )
