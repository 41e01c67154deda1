#!/bin/sh
# Run by mmdebstrap after the box's own customize.sh.
#   $1 root file system   $2 this folder
set -eu

# It boots permissive; whoever wants it otherwise says `setenforce 1`.
sed -i -e 's/^SELINUX=.*/SELINUX=permissive/' -e 's/^SELINUXTYPE=.*/SELINUXTYPE=default/' \
    "$1/etc/selinux/config"

cp "$2/pipes.cil" "$1/tmp/pipes.cil"
chroot "$1" semodule --noreload --install /tmp/pipes.cil
rm "$1/tmp/pipes.cil"
# With all categories, as Debian has it, users' pipes would be above any container's. After
# semodule, which writes the file anew.
sed -i -E 's/^(root|__default__):.*/\1:unconfined_u:s0-s0/' "$1/etc/selinux/default/seusers"
