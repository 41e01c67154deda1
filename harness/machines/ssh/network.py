"""The outside of somebody's own host: a network namespace on it, and a link into it.

The host's default route and its resolver stay as they are. So that the containers of the run
nevertheless have the addresses of `harness.addresses`, podman's own configuration says for the
time of the run that pasta copies the link's addresses, not those of the default route's interface,
under the name that the scenario gives the machine's interface; and that containers ask the
outside's DNS. Bridges and slirp4netns have addresses of their own anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, get_args

from harness import addresses
from harness.vantage import Family

LINK: Final = "dms0"
"""The host's end of the link."""
NAMESPACE: Final = "dms-outside"
RUN: Final = "/run/dms-harness-host"
"""What the run has on the host: keys and sockets. Nothing of it survives a reboot. Not the keeper's
folder: the host may be this very computer."""
RELAY: Final = f"{RUN}/outside.sock"
DROP_IN: Final = "/etc/containers/containers.conf.d/90-dms-harness.conf"

FAMILIES: tuple[Family, ...] = get_args(Family)
_FAR = {4: "198.51.100.0/24", 6: "2001:db8:ffff::/64"}
SELF: Final = "169.254.1.2/32"
"""As whom pasta shows the host's own connections to a container, which answers by its routes: those
of the link, and there is no default among them. So no container of pasta's reaches the Internet."""
NETWORKS: Final = ("203.0.113.0/25", "198.51.100.0/24", "2001:db8:0:1::/64", "2001:db8:ffff::/64")
"""What the host may have no route to already."""


def up(families: Sequence[Family]) -> str:
    """A script of root's that makes the namespace and the link, and starts the relay there."""
    outside = addresses.outside_of(families)
    own = [f"{addresses.MACHINE[f]}/{addresses.PREFIX[f]}" for f in families]
    there = f"ip -netns {NAMESPACE}"
    lines = [
        "set -e",
        f"ip netns add {NAMESPACE}",
        f"ip link add {LINK} type veth peer name lan netns {NAMESPACE}",
        f"{there} link set lo up",
        *(_address(there, "lo", each) for each in outside.far),
        *(_address(there, "lan", each) for each in outside.lan),
        f"{there} link set lan up",
        *(_address("ip", LINK, each) for each in own),
        f"ip link set {LINK} up",
        *(f"ip -{f} route add {_FAR[f]} via {addresses.GATEWAY[f]} dev {LINK}" for f in families),
        *([f"ip route add {SELF} via {addresses.GATEWAY[4]} dev {LINK}"] if 4 in families else []),
        f"systemd-run --quiet --collect --unit=dms-harness-relay --service-type=exec"
        f" --property=NetworkNamespacePath=/run/netns/{NAMESPACE}"
        f" python3 -I /var/lib/dms-harness/relay.py {RELAY}",
        f"for _ in $(seq 200); do test -S {RELAY} && exit 0; sleep 0.05; done",
        "echo the relay does not start; exit 1",
    ]
    return "\n".join(lines)


def _address(ip: str, device: str, address: str) -> str:
    # Two ends of one link need not look for duplicates.
    return f"{ip} addr add {address} dev {device}" + (" nodad" if ":" in address else "")


def down() -> str:
    """What undoes `up`, whatever of it was done."""
    return "\n".join(
        [
            "systemctl -q stop dms-harness-relay 2>/dev/null",
            f"rm -f {RUN}/outside.*",
            f"ip link delete {LINK} 2>/dev/null",
            f"ip netns delete {NAMESPACE} 2>/dev/null",
            f"! ip link show {LINK} 2>/dev/null && ! test -e /run/netns/{NAMESPACE}",
        ]
    )


def containers_conf(families: Sequence[Family], interface: str) -> str:
    """Podman's drop-in, for root and for every user."""
    servers = ", ".join(f'"{addresses.DNS[f]}"' for f in families)
    return (
        "# Made by dms-harness for the time of a run.\n"
        f"[containers]\ndns_servers = [{servers}]\n"
        f'[network]\npasta_options = ["--interface", "{LINK}", "--ns-ifname", "{interface}"]\n'
    )
