#!/bin/sh
# What an administrator does once on a fresh host before following the guide. Idempotent; run as
# root on machines of every kind.
#   $1 name of the user who runs rootless containers
set -eu
user=$1

if ! id "$user" >/dev/null 2>&1; then
    useradd --create-home --shell /bin/bash "$user"
fi
install -d -m 700 -o "$user" -g "$user" "/home/$user/.ssh"
install -m 600 -o "$user" -g "$user" /root/.ssh/authorized_keys "/home/$user/.ssh/authorized_keys"

# The guide's `systemctl enable --now podman.socket`, for root and for every user.
systemctl enable --now podman.socket
systemctl --global enable podman.socket

# The journal survives a reboot, as on Fedora.
install -d -g systemd-journal -m 2755 /var/log/journal

# Rootless Quadlet units wait 90 s for this target where nothing else on the host pulls it in.
systemctl add-wants multi-user.target network-online.target
systemctl start network-online.target
