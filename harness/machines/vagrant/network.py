"""The network of a virtual machine, as a script that it runs now and at every boot.

Vagrant reaches a machine over a network of its own, which leads into this computer's. While a
scenario runs, that one is off, and the machine has what a scenario asks for and nothing else: one
interface (or two) whose other end is the outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from harness import addresses
from harness.machines.stock import Network

SCRIPT: Final = "/etc/dms-harness/network"
UNIT: Final = "dms-harness-network.service"

FILES: Final[Mapping[str, str]] = {
    f"/etc/systemd/system/{UNIT}": f"""\
[Unit]
Description=The scenario's network
ConditionPathExists={SCRIPT}
DefaultDependencies=no
After=local-fs.target systemd-udev-settle.service NetworkManager.service systemd-networkd.service
Before=network-online.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh {SCRIPT}

[Install]
WantedBy=multi-user.target network-online.target
""",
    # The distributions' own network managers keep away, and nobody waits for them.
    "/etc/NetworkManager/conf.d/90-dms-harness.conf": (
        "[main]\ndns=none\n[keyfile]\nunmanaged-devices=*\n"
    ),
    "/etc/systemd/network/01-dms-harness.network": "[Match]\nName=*\n[Link]\nUnmanaged=yes\n",
    "/etc/systemd/system/systemd-networkd-wait-online.service.d/dms-harness.conf": (
        "[Service]\nExecStart=\nExecStart=true\n"
    ),
}
"""What a machine has of it before it is known what its network will be like."""

_SCRIPT: Final = """\
set -eu
for manager in 'nmcli general reload conf' 'networkctl reload'; do
    $manager 2>/dev/null || :
done
# Interfaces are called what the distribution calls them, and the name may be another one's.
ours=
for each in /sys/class/net/*; do
    [ -e "$each/device" ] || continue
    name=${{each##*/}}
    if [ "$(cat "$each/address")" = {mac} ]; then
        ours=$name
    elif [ "$name" != vagrant0 ]; then
        ip link set "$name" down
        ip link set "$name" name vagrant0
    fi
done
[ -n "$ours" ] || {{ echo "no interface has the address {mac}" >&2; exit 1; }}
# No probing for duplicates: pasta never learns of an address that becomes usable later.
for which in all default "$ours"; do
    echo 0 > "/proc/sys/net/ipv6/conf/$which/dad_transmits"
    echo 0 > "/proc/sys/net/ipv6/conf/$which/accept_ra"
done
ip link set "$ours" down
[ "$ours" = {name} ] || ip link set "$ours" name {name}
ip address flush dev {name}
ip link set {name} up
{addresses}
rm -f /etc/resolv.conf
printf '{servers}' > /etc/resolv.conf
"""


def script(network: Network, mac: str) -> str:
    """The shell script that gives a machine its network; it may run again.

    Args:
        network: what the network is like.
        mac: the address of the interface that leads to the outside, `52:54:00:…`, lower case.
    """
    name, families = network.interface, network.families

    def added(address: str, device: str) -> str:
        return f"ip address add {address} dev {device}" + (" nodad" if ":" in address else "")

    lines = [added(f"{addresses.MACHINE[f]}/{addresses.PREFIX[f]}", name) for f in families]
    lines += [f"ip route replace default via {addresses.GATEWAY[f]} dev {name}" for f in families]
    if network.second is not None:
        lines += [
            f"ip link add link {name} name {network.second} type macvlan mode bridge",
            f"ip link set {network.second} up",
            *(
                added(f"{addresses.SECOND[f]}/{addresses.SECOND_PREFIX[f]}", network.second)
                for f in families
            ),
        ]
    return _SCRIPT.format(
        mac=mac,
        name=name,
        addresses="\n".join(lines),
        servers="".join(f"nameserver {addresses.DNS[f]}\\n" for f in families),
    )
