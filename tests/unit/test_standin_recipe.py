"""The stand-in image's recipe: mistakes that can be seen without building it."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from standin_support import COMMANDS, LIBRARY, ROOTFS, STANDIN


def interpreter(path: Path) -> str:
    first = path.read_text().partition("\n")[0]
    return first.removeprefix("#!").split()[0].rpartition("/")[2] if first.startswith("#!") else ""


SHELL_SCRIPTS = sorted(
    [
        STANDIN / "customize.sh",
        *LIBRARY.glob("*.sh"),
        *(path for path in COMMANDS.iterdir() if interpreter(path) in ("sh", "bash")),
    ]
)


def relative(path: Path) -> str:
    return str(path.relative_to(STANDIN))


# ---- scripts -----------------------------------------------------------------


@pytest.mark.parametrize("script", SHELL_SCRIPTS, ids=relative)
def test_shell_script_parses(script):
    result = subprocess.run(["bash", "-n", script], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("script", sorted(COMMANDS.iterdir()), ids=relative)
def test_command_can_be_executed(script):
    assert os.access(script, os.X_OK)
    assert interpreter(script) in ("sh", "bash", "python3")


@pytest.mark.parametrize(
    "script", [path for path in COMMANDS.iterdir() if interpreter(path) == "python3"], ids=relative
)
def test_python_command_compiles(script):
    compile(script.read_text(), script, "exec")


def test_every_part_of_the_start_exists():
    for name in ("start-mailserver.sh", "check-for-changes.sh"):
        loop = re.search(r"^for part in (.+); do$", (COMMANDS / name).read_text(), re.M)
        for part in loop[1].split():
            assert (LIBRARY / f"{part}.sh").is_file(), f"{name} reads {part}.sh"


def test_every_called_function_is_defined():
    """A misspelt call in a branch that is seldom taken shows up only there."""
    sources = {path: path.read_text() for path in SHELL_SCRIPTS}
    defined = set()
    for text in sources.values():
        defined |= set(re.findall(r"^([a-z_0-9]+)\(\) \{", text, re.M))
    for path in (COMMANDS / "start-mailserver.sh", COMMANDS / "check-for-changes.sh"):
        text = sources[path]
        calls = set(re.findall(r"^ +([a-z]+(?:_[a-z0-9]+)+)(?: |$)", text, re.M))
        assert calls - defined - {"last_seen"} == set(), path.name


# ---- packages ----------------------------------------------------------------


def package_lines():
    for line in (STANDIN / "packages").read_text().splitlines():
        if name := line.partition("#")[0].strip():
            yield name


def test_packages_are_listed_once_and_one_per_line():
    names = list(package_lines())
    assert names
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", name) for name in names)


def test_packages_have_what_the_scripts_call():
    assert {
        "postfix",
        "postfix-pcre",
        "dovecot-core",
        "dovecot-imapd",
        "dovecot-lmtpd",
        "supervisor",
        "rsyslog",
        "dumb-init",
        "iproute2",
        "hostname",
        "openssl",
        "ssl-cert",
        "fail2ban",
        "nftables",
    } <= set(package_lines())


# ---- Containerfile -----------------------------------------------------------


def instructions():
    text = (STANDIN / "Containerfile").read_text().replace("\\\n", " ")
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            word, _, rest = line.partition(" ")
            yield word.upper(), rest.strip()


def test_containerfile_builds_without_a_network():
    words = [word for word, _ in instructions()]
    assert words[0] == "FROM"
    assert ("FROM", "scratch") in instructions()
    assert "RUN" not in words
    assert "VOLUME" not in words, "the original declares none, and state would go astray"


def test_containerfile_copies_what_exists():
    for word, rest in instructions():
        if word in ("ADD", "COPY"):
            *sources, _ = [part for part in shlex.split(rest) if not part.startswith("--")]
            for source in sources:
                assert source == "rootfs.tar" or (STANDIN / source).exists(), source


def test_containerfile_interface():
    found = dict(instructions())
    assert found["ENTRYPOINT"] == '["/usr/bin/dumb-init", "--"]'
    assert {"25", "143", "465", "587", "993"} <= set(found["EXPOSE"].split())
    assert found["HEALTHCHECK"].endswith("CMD dms-healthcheck")
    assert any('org.dms-harness.image="stand-in"' in rest for _, rest in instructions())


# ---- Postfix -----------------------------------------------------------------


def main_cf():
    return dict(
        re.findall(r"^(\w+) *= *(.*)$", (ROOTFS / "etc/postfix/main.cf.static").read_text(), re.M)
    )


def test_postfix_parameters_are_set_in_one_place():
    computed = set()
    for path in LIBRARY.glob("*.sh"):
        computed |= set(re.findall(r"\bMAIN\[(\w+)\]=", path.read_text()))
    assert {"mynetworks", "smtpd_recipient_restrictions", "myhostname"} <= computed
    assert computed & set(main_cf()) == set()


def test_postfix_offers_logins_on_the_submission_ports_only():
    assert main_cf()["smtpd_sasl_auth_enable"] == "no"
    master = (ROOTFS / "etc/postfix/master.cf").read_text()
    services = re.split(r"^(?=\S)", master, flags=re.M)
    with_login = [s.split()[0] for s in services if "smtpd_sasl_auth_enable=yes" in s]
    assert with_login == ["submission", "submissions"]
