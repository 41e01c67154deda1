#!/bin/sh
# Install what the harness needs: system packages by apt or dnf, Python packages into .venv.
# Run by `make`; quick where everything is there. Asks sudo for a password only if it must.
#   $1 "box" for what making a Vagrant box takes as well, "vagrant" for Vagrant and libvirt too,
#      "browser" for what shows and checks the HTML report, "tmt" for what runs the tmt plans,
#      "dnf" for what makes machines of Fedora's packages, "actionlint" for what looks at the
#      workflows, "host" for only what deploys on a host that is there: no machine is made, and no
#      linter run
set -eu
cd "$(dirname "$0")/.."
started=$(date +%s)

say() { printf '[%4d s] %s\n' $(($(date +%s) - started)) "$*"; }
die() { printf 'setup: %s\n  → %s\n' "$1" "$2" >&2; exit 1; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "system packages are missing, and there is no sudo" "run as root, or install: $packages"
    fi
}

command -v python3 >/dev/null || die "python3 is missing" "install Python 3.11 or later"
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    die "$(python3 --version) is too old" "put Python 3.11 or later first in PATH"

# command, package of Debian and Ubuntu, package of Fedora
PATH=$PATH:/usr/sbin:/sbin
needed="mmdebstrap mmdebstrap mmdebstrap
systemd-nspawn systemd-container systemd-container
mkfs.btrfs btrfs-progs btrfs-progs
ip iproute2 iproute
setpriv util-linux util-linux
unshare util-linux util-linux
/usr/share/keyrings/debian-archive-keyring.gpg debian-archive-keyring debian-keyring"
case ${1-} in box | vagrant)
    needed="$needed
qemu-img qemu-utils qemu-img
mke2fs e2fsprogs e2fsprogs
xz xz-utils xz"
    ;;
esac
groups=
if [ "${1-}" = browser ]; then
    groups="--group browser"
    # Ubuntu's package of that name is a wrapper for a snap; another Chromium in PATH will do.
    browser=chromium
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        command -v "$name" >/dev/null && browser=$name && break
    done
    needed="$needed
$browser chromium chromium"
fi
if [ "${1-}" = host ]; then
    needed=
    groups=--no-default-groups
fi
case ${1-} in actionlint | tmt) groups="--group $1" ;; esac
if [ "${1-}" = tmt ]; then
    needed="$needed
rsync rsync rsync
ssh openssh-client openssh-clients"
fi
if [ "${1-}" = dnf ]; then
    needed="$needed
dnf dnf dnf5
rpmkeys rpm rpm"
fi
if [ "${1-}" = vagrant ]; then
    for driver in /usr/lib/*/libvirt/connection-driver /usr/lib64/libvirt/connection-driver; do
        [ -d "$driver" ] && break
    done
    needed="$needed
vagrant vagrant-libvirt vagrant-libvirt
virsh libvirt-clients libvirt-client
libvirtd libvirt-daemon-system libvirt-daemon
qemu-system-x86_64 qemu-system-x86 qemu-system-x86
dnsmasq dnsmasq-base dnsmasq
$driver/libvirt_driver_interface.so libvirt-daemon-driver-interface libvirt-daemon-driver-interface"
fi

if command -v apt-get >/dev/null; then column=2; else column=3; fi
packages=$(echo "$needed" | while read -r command debian fedora; do
    { [ -e "$command" ] || command -v "$command" >/dev/null; } && continue
    if [ $column -eq 2 ]; then echo "$debian"; else echo "$fedora"; fi
done | sort -u | tr '\n' ' ')
# Debian's python3 comes without what makes virtual environments.
if [ $column -eq 2 ] && ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    packages="$packages python3-venv"
fi

if [ -n "${packages# }" ]; then
    say "installing system packages: $packages"
    log=$(mktemp)
    if [ $column -eq 2 ]; then
        # shellcheck disable=SC2086 # one word for each package
        { as_root apt-get -q update && as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get -q -y --no-install-recommends install $packages; } >"$log" 2>&1 ||
            { tail -n 5 "$log" >&2; die "apt-get failed" "is a package mirror reachable?"; }
    elif command -v dnf >/dev/null; then
        # shellcheck disable=SC2086
        as_root dnf -q -y install $packages >"$log" 2>&1 ||
            { tail -n 5 "$log" >&2; die "dnf failed" "is a package mirror reachable?"; }
    else
        die "neither apt-get nor dnf is here" "install by hand: $packages"
    fi
    rm -f "$log"
fi

# A virtual environment that was cut off half-way has no pip that runs.
if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    say "making .venv with $(python3 --version)"
    rm -rf .venv
    python3 -m venv .venv
fi
if ! .venv/bin/uv --version >/dev/null 2>&1; then
    say "installing uv"
    .venv/bin/python -m pip -q --disable-pip-version-check install uv ||
        die "uv cannot be installed" "is a Python package index reachable?"
fi
# The system's certificates: a mirror or a proxy of one's own is trusted there.
# shellcheck disable=SC2086 # nothing, or words
UV_SYSTEM_CERTS=true .venv/bin/uv sync --quiet --frozen --inexact --compile-bytecode $groups ||
    die "the Python packages of uv.lock cannot be installed" "is a Python package index reachable?"
say "system and Python packages are there"
