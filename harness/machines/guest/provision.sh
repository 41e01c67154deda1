#!/bin/sh
# What an administrator does once on a fresh host before following the guide: packages, the user,
# and what has to run. It is written here alone, for machines of every kind, of Debian's family
# and of Fedora's. Idempotent: where all is there, it changes nothing, needs no network and takes
# less than a second. Run as root.
#   $1 name of the user who runs rootless containers
#   $2 public SSH key that root and the user are entered with
#   $3 the text of the table `packages`; where it is empty, nothing is installed
#   $4 "packages" where this is a root file system that nothing runs on yet: they are all it gets
# No sysctl is set: those that the guide names are its reader's own steps.
set -eu
export LC_ALL=C

say() { printf '%s\n' "$*"; }
die() {
    printf 'provision: %s\n  → %s\n' "$1" "$2" >&2
    exit 1
}

. /etc/os-release
user=$1 key=$2 table=$3 stage=${4-}
case " $ID ${ID_LIKE-} " in
*' debian '*) family=debian sshd=ssh.service registry=docker-registry.service ;;
*' fedora '*) family=fedora sshd=sshd.service registry=docker-distribution.service ;;
*) die "${PRETTY_NAME-$ID} is neither of Debian's family nor of Fedora's" \
    "take a machine of one of them, or teach provision.sh its packages and units" ;;
esac
[ "$(id -u)" -eq 0 ] || die "not root" "run it as root"

# -- packages -----------------------------------------------------------------------------------

wanted() {
    printf '%s\n' "$table" | while read -r debian fedora _; do
        case $debian in '' | '#'*) continue ;; esac
        if [ $family = debian ]; then name=$debian; else name=$fedora; fi
        [ "$name" = - ] || printf '%s\n' "$name"
    done
}

# shellcheck disable=SC2086 # one word for each package
missing() {
    [ -n "$*" ] || return 0
    if [ $family = debian ]; then
        there=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null |
            sed -n 's/^installed //p')
        printf '%s\n' "$@" | grep -vxF -e "$there" || true
    else
        # Not by name alone: Fedora has changed before which package provides a thing.
        rpm -q --whatprovides "$@" | sed -n 's/^no package provides //p'
    fi
}

# As mmdebstrap makes root file systems: without what is only recommended.
fetch_and_install() {
    if [ $family = debian ]; then
        export DEBIAN_FRONTEND=noninteractive
        set -- -q -y -o Acquire::Retries=3 -o Acquire::Languages=none -o DPkg::Lock::Timeout=120 \
            -o APT::Install-Recommends=false -o APT::Update::Error-Mode=any -- "$@"
        # A fresh host may know of no packages yet, or of ones that the mirror has no more.
        apt-get -q -o Acquire::Retries=3 -o Acquire::Languages=none \
            -o APT::Update::Error-Mode=any update && apt-get install "$@"
    else
        # Where a repository that does not answer is skipped, its packages seem not to exist.
        dnf -y --setopt=install_weak_deps=False --setopt=tsflags=nodocs --setopt=retries=3 \
            --setopt=skip_if_unavailable=False install "$@"
    fi
}

install_packages() {
    log=$(mktemp)
    say "installing $*"
    if ! fetch_and_install "$@" >"$log" 2>&1; then
        unknown=$(sed -n -e 's/^E: Unable to locate package //p' \
            -e "s/^E: Package '\(.*\)' has no installation candidate/\1/p" \
            -e 's/^No match for argument: //p' "$log" | sort -u | xargs)
        why=$(grep -v '^[[:space:]]*$' "$log" | tail -n 2 | tr -s '\n ' ' ')
        rm -f "$log"
        [ -z "$unknown" ] || die "${PRETTY_NAME-$ID} has no package $unknown" \
            "correct its column of the table of packages, or take another release"
        why=${why# }
        die "cannot install $*: ${why% }" \
            "is a mirror of its distribution reachable from this machine?"
    fi
    rm -f "$log"
}

# shellcheck disable=SC2046
set -- $(missing $(wanted))
[ $# -eq 0 ] || install_packages "$@"
[ "$stage" != packages ] || exit 0

# -- users --------------------------------------------------------------------------------------

# useradd gives sub-ids only where these files are.
for file in /etc/subuid /etc/subgid; do
    [ -e $file ] || install -m 644 /dev/null $file
done
if ! id "$user" >/dev/null 2>&1; then
    useradd --create-home --shell /bin/bash "$user"
    [ "$(id -u "$user")" -eq 1000 ] || say "$user is user $(id -u "$user"), as 1000 is" \
        "$(id -un 1000): what scenarios say of the ids 1000 and 100000 does not hold here"
fi

give_range() { # subuid or subgid
    grep -q -e "^$user:" -e "^$(id -u "$user"):" "/etc/$1" && return
    first=$(awk -F: 'BEGIN { n = 100000 } $2 + $3 > n { n = $2 + $3 } END { print n }' "/etc/$1")
    usermod "--add-$1s" "$first-$((first + 65535))" "$user"
}
give_range subuid
give_range subgid

admit() { # whose account the key opens
    home=$(getent passwd "$1" | cut -d: -f6)
    keys=$home/.ssh/authorized_keys
    ! grep -qxF -e "$key" "$keys" 2>/dev/null || return 0
    install -d -m 700 -o "$1" -g "$(id -gn "$1")" "$home/.ssh"
    [ -z "$(tail -c 1 "$keys" 2>/dev/null)" ] || echo >>"$keys"
    printf '%s\n' "$key" >>"$keys"
    chown "$1:$(id -gn "$1")" "$keys"
    chmod 600 "$keys"
    # With SELinux, sshd may not read what root has made in somebody's home.
    ! command -v restorecon >/dev/null || restorecon -R "$home/.ssh"
}
admit root
admit "$user"

# -- what runs ----------------------------------------------------------------------------------

runs() { systemctl -q is-enabled "$1" 2>/dev/null && systemctl -q is-active "$1"; }

for unit in $sshd firewalld.service; do
    runs "$unit" || systemctl enable --now "$unit"
done
# firewalld's own default, Debian's, and that of Fedora's cloud images: SSH, and nothing that a
# mail server needs. Fedora's servers have FedoraServer, which is public and cockpit; with its
# workstations' zone all ports above 1024 are open, and a port that nobody has opened would answer.
# Fedora's firewalld.conf is a link, which editing the file would replace.
[ "$(sed -n 's/^DefaultZone=//p' /etc/firewalld/firewalld.conf)" = public ] ||
    firewall-cmd -q --set-default-zone=public

# The guide's `systemctl enable --now podman.socket`, for root and for every user.
runs podman.socket || systemctl enable --now podman.socket
systemctl -q --global is-enabled podman.socket 2>/dev/null ||
    systemctl --global enable podman.socket

# Only the check that updates from it starts the registry; Debian's package does at every boot.
if systemctl -q is-enabled $registry 2>/dev/null; then systemctl disable --now $registry; fi

# The journal survives a reboot, as on Fedora.
if ! [ -d /var/log/journal ]; then
    install -d -g systemd-journal -m 2755 /var/log/journal
    journalctl --flush
fi

# Rootless Quadlet units wait 90 s for this target where nothing else on the host pulls it in.
[ -e /etc/systemd/system/multi-user.target.wants/network-online.target ] ||
    systemctl add-wants multi-user.target network-online.target
systemctl start network-online.target
