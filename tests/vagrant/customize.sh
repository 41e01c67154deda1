#!/bin/sh
# Run by mmdebstrap on the finished root file system of a computer with Vagrant, which is a
# systemd-nspawn machine. It takes the same words as harness/machines/guest/customize.sh.
#   $1 root file system   $2 public SSH key   $3 file with the units to mask
set -eu

install -d -m 700 "$1/root/.ssh"
printf '%s\n' "$2" > "$1/root/.ssh/authorized_keys"
chmod 600 "$1/root/.ssh/authorized_keys"

# Beside what no machine on a shared kernel runs: what the tests use nothing of, and what costs
# a part of a second at every boot.
for unit in $(grep -v -e '^#' -e '^$' "$3") libvirt-guests.service virtlockd.socket \
    virtlockd-admin.socket libvirtd-ro.socket libvirtd-admin.socket; do
    ln -sf /dev/null "$1/etc/systemd/system/$unit"
done

# Only the network's settings are the machine's own; all others would change the host's kernel.
install -d "$1/etc/systemd/system/systemd-sysctl.service.d"
cat > "$1/etc/systemd/system/systemd-sysctl.service.d/network-only.conf" <<'UNIT'
[Service]
ExecStart=
ExecStart=/usr/lib/systemd/systemd-sysctl --prefix=/net
UNIT

# There is no AppArmor, no cgroup controllers that could be handed on, and no other user.
cat >> "$1/etc/libvirt/qemu.conf" <<'CONF'
user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = [ ]
namespaces = [ ]
CONF

rm -f "$1/etc/hostname" "$1/etc/resolv.conf"
systemd-id128 new > "$1/etc/machine-id"
rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin "$1"/var/log/*.log
