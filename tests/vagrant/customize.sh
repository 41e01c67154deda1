#!/bin/sh
# Run by mmdebstrap on the finished root file system of a computer with Vagrant, which is a
# systemd-nspawn machine like all others.
#   $1 root file system   $2 public SSH key   $3 file with the units to mask
#   $4 what does that for all machines: harness/machines/guest/customize.sh
set -eu

"$4" "$1" "$2" "$3"

# What the tests use nothing of, and what costs a part of a second at every boot.
for unit in libvirt-guests.service virtlockd.socket virtlockd-admin.socket libvirtd-ro.socket \
    libvirtd-admin.socket; do
    ln -sf /dev/null "$1/etc/systemd/system/$unit"
done

# There is no AppArmor, no cgroup controllers that could be handed on, and no other user.
cat >> "$1/etc/libvirt/qemu.conf" <<'CONF'
user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = [ ]
namespaces = [ ]
CONF
