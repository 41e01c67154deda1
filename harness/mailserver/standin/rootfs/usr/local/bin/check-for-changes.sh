#!/bin/bash
# Applies changed accounts, aliases, relays and certificates to the running programs.

shopt -s nullglob
LIB=/usr/local/lib/standin
for part in log settings accounts tls postfix relay watch; do
    # shellcheck source=/dev/null
    source "${LIB}/${part}.sh"
done
# shellcheck source=/dev/null
source /etc/dms-settings
find_hostname

changed() {
    local name
    for name in "$@"; do
        [[ ${CHANGED} != *"${CONFIG_DIR}/${name}.cf"* ]] || return 0
    done
    return 1
}

apply_changes() {
    if changed postfix-accounts postfix-virtual; then
        create_domains
    fi
    if [[ ${SSL_TYPE} == manual && (${CHANGED} == *"${SSL_CERT_PATH}"* || ${CHANGED} == *"${SSL_KEY_PATH}"*) ]]; then
        set_up_tls
    fi
    if [[ ${SMTP_ONLY} -ne 1 ]] && changed postfix-accounts postfix-virtual postfix-aliases dovecot-quotas; then
        create_accounts
    fi
    if changed postfix-accounts postfix-virtual postfix-relaymap postfix-sasl-password; then
        apply_relay
    fi
    if changed postfix-virtual postfix-regexp; then
        create_aliases
    fi
    if changed postfix-aliases; then
        create_system_aliases
    fi
    own_mail_folder
    age_main_cf
    postfix reload
    [[ ${SMTP_ONLY} -eq 1 ]] || doveadm reload
}

apply_relay() {
    local key
    MAIN=()
    set_up_relay
    for key in "${!MAIN[@]}"; do
        postconf "${key} = ${MAIN[${key}]}"
    done
}

while true; do
    # Unchanged times and sizes are unchanged contents; cheaper to look at.
    mapfile -t files < <(watched_files)
    seen=$(stat -L -c '%n %i %s %Y %Z' -- "${files[@]:-/}" 2>/dev/null)
    if [[ ${seen} != "${last_seen-}" ]]; then
        last_seen=${seen}
        checksums >"${CHECKSUMS}.new"
        if ! cmp -s "${CHECKSUMS}" "${CHECKSUMS}.new"; then
            log info 'Change detected'
            CHANGED=$(comm -3 <(sort "${CHECKSUMS}") <(sort "${CHECKSUMS}.new"))
            apply_changes
            log debug 'Completed handling of detected change'
            mv "${CHECKSUMS}.new" "${CHECKSUMS}"
        fi
    fi
    sleep "${DMS_CONFIG_POLL}"
done
