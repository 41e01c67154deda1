#!/bin/sh
# Run when all files are there: labels them, which a boot would take minutes for.
#   $1 root file system
set -eu
chroot "$1" setfiles -F /etc/selinux/default/contexts/files/file_contexts /
