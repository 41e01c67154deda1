#!/bin/sh
# Fills a folder with a root file system of Fedora's packages, by this computer's dnf: what
# mmdebstrap is for Debian's. Run as root in a mount namespace of its own.
#   $1 folder   $2 release   $3 definitions of its repositories   then the packages
set -eu
export LC_ALL=C
target=$1 release=$2 repositories=$3
shift 3

# Fedora's rpm has its database elsewhere than Debian's, and is asked for it on the machine.
own=$(mktemp -d)
trap 'rm -rf "$own"' EXIT
mkdir "$own/repositories"
printf '%s\n' "$repositories" >"$own/repositories/fedora.repo"
echo '%_dbpath /usr/lib/sysimage/rpm' >"$own/.rpmmacros"

# What packages' scripts may expect of the system that they believe to be installed into.
devices='full null random tty urandom zero'
mkdir -p "$target/dev" "$target/proc" "$target/sys"
mount -t proc proc "$target/proc"
mount -t sysfs -o ro sysfs "$target/sys"
for device in $devices; do
    : >"$target/dev/$device"
    mount --bind "/dev/$device" "$target/dev/$device"
done

# As mmdebstrap makes root file systems: without what is only recommended, and without manuals.
HOME=$own dnf -y --installroot="$target" --releasever="$release" \
    --setopt=reposdir="$own/repositories" --setopt=cachedir="$own/cache" \
    --setopt=install_weak_deps=False --setopt=tsflags=nodocs --setopt=retries=3 \
    --setopt=skip_if_unavailable=False install "$@"

for device in $devices; do umount "$target/dev/$device"; done
umount "$target/sys" "$target/proc"
# systemd-nspawn mounts its own; files of these names are no devices.
# shellcheck disable=SC2086 # a word for each
(cd "$target/dev" && rm -f $devices)
# dnf 4 takes the cache's path for one below the folder.
rm -rf "$target"/var/cache/dnf "$target"/var/cache/libdnf5 "${target:?}$own"
