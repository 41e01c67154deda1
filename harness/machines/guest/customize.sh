#!/bin/sh
# Run by mmdebstrap on the finished root file system: what a systemd-nspawn machine needs before
# its first boot. Everything else is done by provision.sh, on machines of every kind.
#   $1 root file system   $2 public SSH key   $3 file with the units to mask
set -eu

install -d -m 700 "$1/root/.ssh"
printf '%s\n' "$2" > "$1/root/.ssh/authorized_keys"
chmod 600 "$1/root/.ssh/authorized_keys"

grep -v -e '^#' -e '^$' "$3" | while read -r unit; do
    ln -sf /dev/null "$1/etc/systemd/system/$unit"
done

# Only the network's settings are the machine's own; all others would change the host's kernel.
install -d "$1/etc/systemd/system/systemd-sysctl.service.d"
cat > "$1/etc/systemd/system/systemd-sysctl.service.d/network-only.conf" <<'UNIT'
[Service]
ExecStart=
ExecStart=/usr/lib/systemd/systemd-sysctl --prefix=/net
UNIT

# Its network is there before it boots. On a host, what brings it up waits for the firewall, and
# what waits for the network so does too: containers that start before lose rules that it flushes.
# firewalld up to 2.3 counts as started when its name is on the bus, before it flushes, 2.5 even
# before that; what it is asked, it answers afterwards.
cat > "$1/etc/systemd/system/network-after-firewall.service" <<'UNIT'
[Unit]
Description=The network, once the firewall is there
After=network-pre.target
Before=network-online.target

[Service]
Type=oneshot
RemainAfterExit=yes
TimeoutStartSec=60
Environment=FIREWALL=org.fedoraproject.FirewallD1
ExecCondition=systemctl --quiet is-active firewalld.service
ExecStart=sh -c 'until busctl get-property $FIREWALL /org/fedoraproject/FirewallD1 $FIREWALL state \
    2>&1; do sleep 0.05; done'
UNIT
install -d "$1/etc/systemd/system/network-online.target.wants"
ln -s ../network-after-firewall.service "$1/etc/systemd/system/network-online.target.wants/"

# systemd-nspawn mounts a boot id of the machine's own. A service in a mount namespace sees the
# computer's: from systemd 258 on logind then takes all who log in for processes of another machine.
if [ -e "$1/usr/lib/systemd/system/systemd-logind-varlink.socket" ]; then
    install -d "$1/etc/systemd/system/systemd-logind.service.d"
    cat > "$1/etc/systemd/system/systemd-logind.service.d/same-boot-id.conf" <<'UNIT'
[Service]
PrivateTmp=no
ProtectClock=no
ProtectControlGroups=no
ProtectHome=no
ProtectHostname=no
ProtectKernelLogs=no
ProtectKernelModules=no
ProtectSystem=no
ReadWritePaths=
UNIT
fi

# mmdebstrap copies these two from the computer that it runs on.
rm -f "$1/etc/hostname" "$1/etc/resolv.conf"

# A fixed identity: an empty one would make every boot a first boot.
systemd-id128 new > "$1/etc/machine-id"
rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin "$1"/var/log/*.log
