# shellcheck shell=bash
# shellcheck disable=SC2034,SC2153,SC2154 # keys of MAIN, read where main.cf is written
# Outgoing mail through other servers. Parameters go into MAIN.

RELAY_PASSWORDS=${CONFIG_DIR}/postfix-sasl-password.cf
RELAY_MAP=${CONFIG_DIR}/postfix-relaymap.cf

relay_host_from_environment() {
    printf '[%s]:%s' "${RELAY_HOST}" "${RELAY_PORT}"
}

relay_credentials() {
    local host
    if [[ ! -f ${RELAY_PASSWORDS} && (-z ${RELAY_USER} || -z ${RELAY_PASSWORD}) ]]; then
        log warn "Missing relay-host mapped credentials provided via ENV, or from ${RELAY_PASSWORDS}"
        return 0
    fi
    (
        umask 077
        {
            valid_lines "${RELAY_PASSWORDS}"
            if [[ -n ${DEFAULT_RELAY_HOST}${RELAY_HOST} && -n ${RELAY_USER} && -n ${RELAY_PASSWORD} ]]; then
                host=${DEFAULT_RELAY_HOST:-$(relay_host_from_environment)}
                printf '%s    %s:%s\n' "${host}" "${RELAY_USER}" "${RELAY_PASSWORD}"
            fi
        } >/etc/postfix/sasl_passwd
    )
    [[ ! -f ${RELAY_PASSWORDS} ]] || MAIN[smtp_sender_dependent_authentication]=yes
    MAIN[smtp_sasl_password_maps]=texthash:/etc/postfix/sasl_passwd
    MAIN[smtp_sasl_auth_enable]=yes
    MAIN[smtp_sasl_security_options]=noanonymous
    MAIN[smtp_tls_security_level]=encrypt
}

# Senders to relays. A domain of ours goes through RELAY_HOST unless the map says
# otherwise; a line with the domain alone says "directly".
relay_map() {
    local sender relay domain
    local -A listed=()
    (
        umask 077
        {
            while read -r sender relay; do
                listed[${sender}]=1
                [[ -z ${relay} ]] || printf '%s %s\n' "${sender}" "${relay}"
            done < <(valid_lines "${RELAY_MAP}")
            if [[ -n ${RELAY_HOST} ]]; then
                while read -r domain; do
                    [[ -v listed[@${domain}] ]] ||
                        printf '@%s    %s\n' "${domain}" "$(relay_host_from_environment)"
                done </etc/postfix/vhost
            fi
        } >/etc/postfix/relayhost_map
    )
    MAIN[sender_dependent_relayhost_maps]=texthash:/etc/postfix/relayhost_map
}

set_up_relay() {
    [[ -f ${RELAY_MAP} || -n ${DEFAULT_RELAY_HOST} || -n ${RELAY_HOST} ]] || return 0
    relay_credentials
    relay_map
}
