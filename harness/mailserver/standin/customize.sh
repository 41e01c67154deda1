#!/bin/sh
# Called by mmdebstrap with the root filesystem's path once the packages are
# in it: everything that a RUN step of the Containerfile would do.
set -eu

root=$1

# Mail is stored as this user. The documented id is 5000.
chroot "$root" groupadd --gid 5000 docker
chroot "$root" useradd --uid 5000 --gid 5000 --home-dir /home/docker --shell /bin/bash docker
# The log folder's owner, which Debian's rsyslog does not create.
chroot "$root" useradd --system --gid nogroup --home-dir /nonexistent --shell /usr/sbin/nologin syslog

# Debian's example configuration would be read before, and mixed with, ours.
rm -f "$root"/etc/dovecot/conf.d/*
rm -f "$root"/etc/fail2ban/jail.d/defaults-debian.conf   # watches sshd in the journal
rm -f "$root"/etc/rsyslog.d/postfix.conf                 # a socket in a chroot that is not used

# A banned network ("10.0.0.0/8") needs a set with intervals.
nft_action=$root/etc/fail2ban/action.d/nftables.conf
# shellcheck disable=SC2016
sed -i '/^_nft_add_set = /s/type <addr_type>\\;/& flags interval\\;/' "$nft_action"
grep -q '^_nft_add_set = .*flags interval' "$nft_action" || {
    echo "customize.sh: fail2ban's nftables action is not as expected" >&2
    exit 1
}

mkdir -p "$root/var/log/mail" "$root/etc/dms/tls"
chroot "$root" chown syslog:root /var/log/mail
ln -sf /var/log/mail/mail.log "$root/var/log/mail.log"
ln -sf /var/log/mail/fail2ban.log "$root/var/log/fail2ban.log"
: >"$root/etc/aliases"
# The queue's folders, which the first start would make otherwise; not the chroot's.
chroot "$root" postfix check
rm -rf "$root"/var/spool/postfix/dev "$root"/var/spool/postfix/etc "$root"/var/spool/postfix/usr

# What must not be shared between containers.
rm -f "$root/etc/mailname" "$root/etc/hostname" "$root/var/lib/dovecot/instances"
: >"$root/etc/machine-id"

# Spam that an outside filter marked goes to Junk. Compiled here: starting is faster.
mkdir -p "$root/usr/lib/dovecot/sieve-global"
cat >"$root/usr/lib/dovecot/sieve-global/spam-to-junk.sieve" <<'SIEVE'
require ["fileinto", "special-use"];
if anyof (header :contains "X-Spam-Flag" "YES", header :contains "X-Spam" "Yes") {
    fileinto :specialuse "\\Junk" "Junk";
}
SIEVE
printf '%s\n' 'dovecot_config_version = 2.4.0' 'dovecot_storage_version = 2.4.0' \
    'sieve_extensions {' '  special-use = yes' '}' >"$root/tmp/sievec.conf"
chroot "$root" sievec -c /tmp/sievec.conf /usr/lib/dovecot/sieve-global/spam-to-junk.sieve
rm "$root/tmp/sievec.conf"
# Compiled scripts count only where they are newer than their source, in whole seconds.
touch -d 2020-01-01 "$root/usr/lib/dovecot/sieve-global/spam-to-junk.sieve"

# Nothing reads these in a container, and every copy of the image would carry them.
rm -rf "$root"/usr/share/locale/* "$root"/usr/share/man/* "$root"/usr/share/info/* \
    "$root"/usr/share/lintian "$root"/usr/share/bash-completion "$root"/usr/share/zsh \
    "$root"/usr/share/fish "$root"/usr/share/gcc "$root"/usr/share/gdb \
    "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/cache/debconf/* \
    "$root"/var/log/apt "$root"/var/log/dpkg.log "$root"/var/log/alternatives.log
find "$root/usr/share/doc" -mindepth 1 ! -name copyright ! -type d -delete
find "$root/usr/share/doc" -mindepth 1 -type d -empty -delete
find "$root/usr/lib/python3" -type d -name tests -prune -exec rm -rf {} +
