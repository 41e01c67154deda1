"""The stand-in image's recipe: mistakes that can be seen without building it."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

STANDIN = Path(__file__).parents[2] / "harness" / "mailserver" / "standin"
ROOTFS = STANDIN / "rootfs"
LIBRARY = ROOTFS / "usr/local/lib/standin"
COMMANDS = ROOTFS / "usr/local/bin"


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


# ---- PERMIT_DOCKER -----------------------------------------------------------

OWN = "127.0.0.0/8 [::1]/128 [fe80::]/64"

FAKE_IP = r"""
ip() {
    if [[ $* == "addr show "* ]]; then
        [[ -n ${FAKE_ADDRESSES[$3]:-} ]] || { echo "Device \"$3\" does not exist." >&2; return 1; }
        echo "2: $3: <BROADCAST,UP> mtu 1500 qdisc noqueue state UP group default"
        echo "    link/ether 8e:11:22:33:44:55 brd ff:ff:ff:ff:ff:ff"
        for one in ${FAKE_ADDRESSES[$3]}; do
            echo "    inet $one brd 10.89.0.255 scope global $3"
        done
        echo "    inet6 fe80::8c11:22ff:fe33:4455/64 scope link"
    elif [[ $* == "-o -4 addr show type veth" ]]; then
        for name in lo "${!FAKE_ADDRESSES[@]}"; do
            for one in ${FAKE_ADDRESSES[$name]:-127.0.0.1/8}; do
                printf '2: %s    inet %s brd 10.89.0.255 scope global %s' "$name" "$one" "$name"
                printf '%s\n' '\       valid_lft forever'
            done
        done
    else
        echo "unexpected: ip $*" >&2; return 1
    fi
}
"""


def mynetworks(value, addresses="10.89.0.2/24", interface="eth0"):
    script = f"""
        source {shlex.quote(str(LIBRARY / "network.sh"))}
        declare -A FAKE_ADDRESSES=([{interface}]='{addresses}')
        {FAKE_IP}
        address=$(interface_addresses {interface}) || exit 9
        mynetworks_for {shlex.quote(value)} "$address"
    """
    result = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert result.stderr == ""
    return result.returncode, result.stdout.rstrip("\n")


# What was measured with the original, for each way to connect a container.
FORMS = {
    "bridge": ("10.89.0.2/24", "eth0", "10.89.0.0/16", "10.89.0.0/24"),
    "slirp4netns": ("10.0.2.100/24", "tap0", "10.0.0.0/16", "10.0.2.0/24"),
    "pasta": ("10.79.0.2/16", "enp1s0", "10.79.0.0/16", "10.79.0.0/16"),
}


@pytest.mark.parametrize("form", FORMS)
def test_permit_docker(form):
    address, interface, host, connected = FORMS[form]
    expected = {
        "none": "",
        "container": f"{OWN} {address.partition('/')[0]}/32",
        "host": f"{OWN} {host}",
        "network": f"{OWN} 172.16.0.0/12",
        "connected-networks": f"{OWN} 127.0.0.0/8 {connected}",
    }
    for value, networks in expected.items():
        assert mynetworks(value, address, interface) == (0, networks), value


def test_permit_docker_unset_or_empty_means_none():
    settings = (LIBRARY / "settings.sh").read_text()
    assert re.search(r"^ +\[PERMIT_DOCKER\]=none$", settings, re.M)
    script = f"""
        source {shlex.quote(str(LIBRARY / "log.sh"))}
        source {shlex.quote(str(LIBRARY / "settings.sh"))}
        DOMAIN=example.com PERMIT_DOCKER=
        apply_defaults
        echo "$PERMIT_DOCKER $NETWORK_INTERFACE $POSTMASTER_ADDRESS"
    """
    result = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["none", "eth0", "postmaster@example.com"]


def test_permit_docker_with_a_wrong_value_trusts_nobody():
    assert mynetworks("everyone") == (1, "")


def test_permit_docker_with_several_addresses_leaves_postfix_alone():
    """The original's postconf refuses a value of two lines, and nothing is changed."""
    two = "10.89.0.2/24 10.90.0.2/24"
    assert mynetworks("container", two) == (2, OWN)
    assert mynetworks("host", two) == (2, OWN)
    assert mynetworks("connected-networks", two) == (
        0,
        f"{OWN} 127.0.0.0/8 10.89.0.0/24 10.90.0.0/24",
    )


@pytest.mark.parametrize(
    ("address", "subnet"),
    [
        ("10.89.0.2/24", "10.89.0.0/24"),
        ("172.31.255.254/12", "172.16.0.0/12"),
        ("192.0.2.77/27", "192.0.2.64/27"),
        ("203.0.113.9/32", "203.0.113.9/32"),
        ("203.0.113.9/0", "0.0.0.0/0"),
    ],
)
def test_subnet_of(address, subnet):
    command = f"source {shlex.quote(str(LIBRARY / 'network.sh'))}; subnet_of {address}"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == subnet


# ---- setup -------------------------------------------------------------------


@pytest.fixture
def setup(tmp_path):
    """setup, with its folders moved into tmp_path."""
    text = (COMMANDS / "setup").read_text()
    text = text.replace("/usr/local/lib/standin", str(LIBRARY))
    text = text.replace("CONFIG_DIR=/tmp/docker-mailserver", f"CONFIG_DIR={tmp_path}")
    script = tmp_path / "setup"
    script.write_text(text)

    def run(*arguments, status=0):
        result = subprocess.run(
            ["bash", script, *arguments],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "ACCOUNT_PROVISIONER": "FILE"},
        )
        assert result.returncode == status, result.stderr
        return result

    return run


def test_setup_accounts(setup, tmp_path):
    accounts = tmp_path / "postfix-accounts.cf"
    setup("email", "add", "User@example.com", "p|w $1")
    setup("email", "add", "a.user@example.com", "PW")
    lines = accounts.read_text().splitlines()
    assert [line.partition("|")[0] for line in lines] == ["user@example.com", "a.user@example.com"]
    assert all(line.partition("|")[2].startswith("{SHA512-CRYPT}$6$") for line in lines)

    setup("email", "add", "user@example.com", "PW", status=1)
    setup("email", "update", "user@example.com", "new")
    assert accounts.read_text().splitlines()[0] != lines[0]
    assert accounts.read_text().splitlines()[1] == lines[1]
    assert setup("email", "list").stdout.split() == [
        "*",
        "user@example.com",
        "*",
        "a.user@example.com",
    ]

    setup("email", "del", "-n", "user@example.com")
    assert accounts.read_text() == lines[1] + "\n"
    setup("email", "del", "-n", "user@example.com", status=1)


def test_setup_aliases(setup, tmp_path):
    aliases = tmp_path / "postfix-virtual.cf"
    setup("email", "add", "user@example.com", "PW")
    setup("alias", "add", "info@example.com", "user@example.com")
    setup("alias", "add", "info@example.com", "else@example.org")
    assert aliases.read_text() == "info@example.com user@example.com,else@example.org\n"
    setup("alias", "add", "info@example.com", "else@example.org", status=1)
    setup("alias", "add", "user@example.com", "else@example.org", status=1)
    setup("email", "add", "info@example.com", "PW", status=1)
    assert "aliases -> info@example.com" in setup("email", "list").stdout

    setup("alias", "del", "info@example.com", "else@example.org")
    assert aliases.read_text() == "info@example.com user@example.com\n"
    setup("email", "del", "-n", "user@example.com")
    assert aliases.read_text() == ""


def test_setup_says_what_it_is(setup):
    assert "stand-in" in setup("--version").stdout
    assert "email add" in setup("help").stdout
    setup("no-such-command", status=2)
