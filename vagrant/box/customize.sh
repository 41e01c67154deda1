#!/bin/sh
# Run by mmdebstrap on the finished root file system of the box.
#   $1 root file system   $2 folder of the recipe   $3 folder for what the boot sector needs
#   $4 what the kernel is told beside; the last word of a kind counts
set -eu

grep -v -e '^#' -e '^$' "$2/masked-units" | while read -r unit; do
    ln -sf /dev/null "$1/etc/systemd/system/$unit"
done
systemctl --root="$1" --quiet disable docker-registry.service
systemctl --root="$1" --quiet enable systemd-networkd.service systemd-networkd-wait-online.service

# Vagrant's own account, which everybody has the key of. The first ordinary user's number, and
# subordinate numbers, are left for whoever is to have them.
chroot "$1" useradd --system --create-home --shell /bin/bash --user-group vagrant
install -d -m 700 "$1/home/vagrant/.ssh"
install -m 600 "$2/vagrant.pub" "$1/home/vagrant/.ssh/authorized_keys"
chroot "$1" chown -R vagrant:vagrant /home/vagrant/.ssh
echo 'vagrant ALL=(ALL) NOPASSWD: ALL' > "$1/etc/sudoers.d/vagrant"
chmod 440 "$1/etc/sudoers.d/vagrant"

# Modules are compressed, and a firewall has forty of them: to unpack them is work for this
# computer, not for one that is emulated.
version=$(basename "$1"/usr/lib/modules/*)
find "$1/usr/lib/modules/$version" -name '*.ko.xz' -exec xz --decompress {} +
chroot "$1" depmod "$version"
chroot "$1" /etc/kernel/postinst.d/zz-small-initrd "$version"

# Made here once for each box, not at each machine's first boot; see sshd_config.d/box.conf.
rm -f "$1"/etc/ssh/ssh_host_rsa_key* "$1"/etc/ssh/ssh_host_ecdsa_key*

# A host that is not told otherwise asks the DNS server of Vagrant's network.
rm -f "$1/etc/hostname" "$1/etc/resolv.conf"
echo mailhost > "$1/etc/hostname"
printf '127.0.0.1 localhost\n::1 localhost ip6-localhost\n127.0.1.1 mailhost\n' > "$1/etc/hosts"
echo 'nameserver 192.168.121.1' > "$1/etc/resolv.conf"

# Empty, so that systemd takes the domain's UUID, at every boot; and not a first boot's.
: > "$1/etc/machine-id"

# The boot loader, by the tools of the box's own distribution.
# What reads its commands knows no comments, and waits for the end of a quote.
grep -v '^#' "$2/grub.cfg" | sed "/^linux /s/\$/ $4/" > "$1/tmp/grub.cfg"
chroot "$1" grub-mkimage --format=i386-pc --prefix=/boot/grub --config=/tmp/grub.cfg \
    --output=/tmp/core.img biosdisk part_msdos ext2 linux serial terminal
mv "$1/tmp/core.img" "$3/core.img"
rm "$1/tmp/grub.cfg"
cp "$1/usr/lib/grub/i386-pc/boot.img" "$3/boot.img"

rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin "$1"/var/cache/apt/archives/*.deb \
    "$1"/var/log/*.log "$1"/var/cache/debconf/*-old
