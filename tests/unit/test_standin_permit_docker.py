"""What the stand-in trusts by PERMIT_DOCKER, for each way to connect a container."""

import re
import shlex
import subprocess

import pytest
from standin_support import LIBRARY

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
