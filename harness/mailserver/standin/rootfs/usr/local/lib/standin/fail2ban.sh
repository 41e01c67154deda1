# shellcheck shell=bash

set_up_fail2ban() {
    [[ ${ENABLE_FAIL2BAN} -eq 1 ]] || return 0
    if [[ -e ${CONFIG_DIR}/fail2ban-fail2ban.cf ]]; then
        cp "${CONFIG_DIR}/fail2ban-fail2ban.cf" /etc/fail2ban/fail2ban.local
    fi
    if [[ -e ${CONFIG_DIR}/fail2ban-jail.cf ]]; then
        cp "${CONFIG_DIR}/fail2ban-jail.cf" /etc/fail2ban/jail.d/user-jail.local
    fi
    if [[ ${FAIL2BAN_BLOCKTYPE} != reject ]]; then
        printf '[Init]\nblocktype = drop\n' >/etc/fail2ban/action.d/nftables-common.local
    fi
}
