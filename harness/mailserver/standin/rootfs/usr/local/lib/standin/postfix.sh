# shellcheck shell=bash
# Postfix' variable configuration. Parameters are collected in MAIN and written
# in one go: each call of postconf would cost a process and a rewrite of the file.

declare -A MAIN=()

set_up_networks() {
    local address networks
    address=$(interface_addresses "${NETWORK_INTERFACE}")
    if [[ -z ${address} ]]; then
        log error 'Detecting the container IP address failed'
        shut_down 'Network Setup [docker_permit] | NETWORK_INTERFACE appears to be misconfigured, please verify.'
    fi
    networks=$(mynetworks_for "${PERMIT_DOCKER}" "${address}")
    case $? in
        1) log warn "Invalid value for PERMIT_DOCKER: '${PERMIT_DOCKER}'" ;;
        2) log error "'${NETWORK_INTERFACE}' has several addresses: PERMIT_DOCKER=${PERMIT_DOCKER} is without effect" ;;
    esac
    MAIN[mynetworks]=${networks}
}

postfix_identity() {
    MAIN[myhostname]=${FQDN}
    MAIN[mydomain]=${DOMAIN}
    MAIN[inet_protocols]=${POSTFIX_INET_PROTOCOLS}
    MAIN[relayhost]=${DEFAULT_RELAY_HOST}
    MAIN[message_size_limit]=${POSTFIX_MESSAGE_SIZE_LIMIT}
    MAIN[mailbox_size_limit]=${POSTFIX_MAILBOX_SIZE_LIMIT}
    MAIN[virtual_mailbox_limit]=${POSTFIX_MAILBOX_SIZE_LIMIT}
    printf '%s\n' "${DOMAIN}" >/etc/mailname
}

postfix_tls() {
    local protocols='!SSLv2,!SSLv3,!TLSv1,!TLSv1.1' level=may side
    [[ ${TLS_OFF} -eq 0 ]] || level=none
    MAIN[smtpd_tls_chain_files]=${TLS_KEYS[*]}
    MAIN[tls_high_cipherlist]=${TLS_CIPHERS}
    MAIN[smtpd_tls_mandatory_protocols]=${protocols}
    for side in smtp smtpd; do
        MAIN[${side}_tls_protocols]=${protocols}
        MAIN[${side}_tls_security_level]=${level}
    done
    if [[ ${TLS_OFF} -eq 1 ]]; then
        sed -i -e '/-o smtpd_tls_security_level=/s/=.*/=none/' \
            -e '/-o smtpd_tls_wrappermode=/s/=.*/=no/' /etc/postfix/master.cf
    fi
}

postfix_restrictions() {
    local sender='permit_sasl_authenticated, permit_mynetworks, reject_unknown_sender_domain'
    local recipient='permit_sasl_authenticated, permit_mynetworks, reject_unauth_destination, reject_invalid_helo_hostname, reject_non_fqdn_helo_hostname, reject_unknown_recipient_domain'
    local send=${CONFIG_DIR}/postfix-send-access.cf receive=${CONFIG_DIR}/postfix-receive-access.cf

    [[ ${ENABLE_QUOTAS} -ne 1 ]] || recipient+=', check_policy_service inet:localhost:65265'
    [[ ${POSTFIX_REJECT_UNKNOWN_CLIENT_HOSTNAME} -ne 1 ]] || sender+=', reject_unknown_client_hostname'
    [[ ! -f ${send} ]] || sender="check_sender_access texthash:${send}, ${sender}"
    [[ ! -f ${receive} ]] || recipient="check_recipient_access texthash:${receive}, ${recipient}"
    MAIN[smtpd_recipient_restrictions]=${recipient}
    MAIN[dms_smtpd_sender_restrictions]=${sender}

    # A login may send as any address, or with SPOOF_PROTECTION as its own and its aliases.
    # shellcheck disable=SC2016
    MAIN[mua_sender_restrictions]='$dms_smtpd_sender_restrictions'
    if [[ ${SPOOF_PROTECTION} -eq 1 ]]; then
        # shellcheck disable=SC2016
        MAIN[mua_sender_restrictions]='reject_authenticated_sender_login_mismatch, $dms_smtpd_sender_restrictions'
        MAIN[smtpd_sender_login_maps]='unionmap:{ texthash:/etc/postfix/virtual, hash:/etc/aliases, pcre:/etc/postfix/maps/sender_login_maps.pcre, pcre:/etc/postfix/regexp }'
    fi
    if [[ ${SMTP_ONLY} -eq 1 ]]; then
        sed -i '/-o smtpd_sasl_auth_enable=/s/=.*/=no/' /etc/postfix/master.cf
    fi
}

postfix_postscreen() {
    MAIN[postscreen_greet_action]=${POSTSCREEN_ACTION}
    MAIN[postscreen_bare_newline_action]=${POSTSCREEN_ACTION}
    MAIN[postscreen_dnsbl_action]=ignore
    MAIN[postscreen_dnsbl_sites]=
    if [[ ${ENABLE_DNSBL} -eq 1 ]]; then
        MAIN[postscreen_dnsbl_action]=${POSTSCREEN_ACTION}
        MAIN[postscreen_dnsbl_sites]='zen.spamhaus.org=127.0.0.[2..11]*3 bl.mailspike.net=127.0.0.[2;14;13;12;11;10] b.barracudacentral.org*2 bl.spameatingmonkey.net=127.0.0.2 dnsbl.sorbs.net psbl.surriel.com list.dnswl.org=127.0.[0..255].0*-2 list.dnswl.org=127.0.[0..255].1*-3 list.dnswl.org=127.0.[0..255].[2..3]*-4'
    fi
}

postfix_delivery() {
    MAIN[virtual_alias_maps]='texthash:/etc/postfix/virtual'
    [[ ! -f ${CONFIG_DIR}/postfix-regexp.cf ]] || MAIN[virtual_alias_maps]+=' pcre:/etc/postfix/regexp'
    if [[ ${SMTP_ONLY} -ne 1 ]]; then
        MAIN[virtual_mailbox_maps]='texthash:/etc/postfix/vmailbox'
        MAIN[virtual_transport]='lmtp:unix:/var/run/dovecot/lmtp'
    fi
    [[ -z ${POSTFIX_DAGENT} ]] || MAIN[virtual_transport]=${POSTFIX_DAGENT}
}

# Postfix waits for a configuration file that was written less than two seconds ago.
age_main_cf() {
    touch -d '2 seconds ago' /etc/postfix/main.cf
}

write_main_cf() {
    local key
    {
        cat /etc/postfix/main.cf.static
        for key in "${!MAIN[@]}"; do
            printf '%s = %s\n' "${key}" "${MAIN[${key}]}"
        done | LC_ALL=C sort
    } >/etc/postfix/main.cf
    age_main_cf
}

# The operator's own parameters, after ours.
postfix_overrides() {
    local line
    if [[ -f ${CONFIG_DIR}/postfix-master.cf ]]; then
        while read -r line; do
            [[ ${line} =~ ^[0-9a-z] ]] && postconf -P "${line}"
        done < <(valid_lines "${CONFIG_DIR}/postfix-master.cf")
    fi
    if [[ -f ${CONFIG_DIR}/postfix-main.cf ]]; then
        cat "${CONFIG_DIR}/postfix-main.cf" >>/etc/postfix/main.cf
        age_main_cf
        # One entry for each parameter, the last one.
        postconf -n >/etc/postfix/main.cf.new 2> >(grep -v 'overriding earlier entry' >&2)
        mv /etc/postfix/main.cf.new /etc/postfix/main.cf
        age_main_cf
    fi
}
