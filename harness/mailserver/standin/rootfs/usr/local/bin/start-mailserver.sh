#!/bin/bash
# Prepares the configuration, starts the programs, then shows the mail log.

shopt -s nullglob
LIB=/usr/local/lib/standin
for part in log settings network accounts tls dovecot postfix relay state fail2ban watch; do
    # shellcheck source=/dev/null
    source "${LIB}/${part}.sh"
done

# The order decides which of several mistakes an operator sees first. It is the
# order of the original.
set_up() {
    log info 'Configuring mail server'
    set_user_ids
    set_timezone
    if [[ ${SMTP_ONLY} -ne 1 ]]; then
        wait_for_account
        create_accounts
    fi
    [[ ${DOVECOT_INET_PROTOCOLS} =~ ^(all|ipv4|ipv6)$ ]] ||
        shut_down "${DOVECOT_INET_PROTOCOLS} | Invalid value for DOVECOT_INET_PROTOCOLS!"
    set_up_fail2ban
    set_up_tls
    set_up_networks

    create_domains
    create_aliases
    postfix_identity
    postfix_tls
    postfix_restrictions
    postfix_postscreen
    postfix_delivery
    set_up_relay
    write_main_cf
    create_system_aliases
    postfix_overrides
    [[ ${SMTP_ONLY} -eq 1 ]] || write_dovecot_conf

    move_state
    own_state
    prepare_folders
    run_user_patches
    checksums >"${CHECKSUMS}"
}

set_user_ids() {
    [[ ${DMS_VMAIL_UID} == 5000 ]] || usermod --uid "${DMS_VMAIL_UID}" docker
    [[ ${DMS_VMAIL_GID} == 5000 ]] || groupmod --gid "${DMS_VMAIL_GID}" docker
}

run_user_patches() {
    if [[ -f ${CONFIG_DIR}/user-patches.sh ]]; then
        log debug 'Applying user patches'
        /bin/bash "${CONFIG_DIR}/user-patches.sh"
        age_main_cf
    fi
}

start_programs() {
    local programs=(postfix changedetector) tick fault
    log info 'Starting daemons'
    [[ ${SMTP_ONLY} -eq 1 ]] || programs=(dovecot "${programs[@]}")
    [[ ${ENABLE_FAIL2BAN} -ne 1 ]] || programs+=(fail2ban)

    start_or_fail rsyslog
    # What is logged before the socket is there is lost.
    for ((tick = 0; tick < 100; tick++)); do
        [[ -S /dev/log ]] && break
        sleep 0.02
    done
    start_or_fail "${programs[@]}"
}

start_or_fail() {
    local fault
    fault=$(supervisor-rpc start "$@" 2>&1) && return
    log error "${fault}"
    shut_down "Failed to start ${fault%%:*}!"
}

load_settings
log info "Welcome to docker-mailserver ${DMS_RELEASE} (a stand-in from Debian packages, without content filters)"
name_what_is_left_out
log info 'Checking configuration'
check_hostname

# A container that was stopped and started keeps its configuration.
if [[ -f /CONTAINER_START ]]; then
    log info 'Container was restarted. Skipping most setup routines.'
    prepare_folders
    own_state
else
    set_up
fi
date >/CONTAINER_START

MAIL_LOG=/var/log/mail/mail.log
touch "${MAIL_LOG}"
FIRST_LINE=$(($(wc -l <"${MAIL_LOG}") + 1))
[[ ! ${LOG_LEVEL} =~ ^(debug|trace)$ ]] || cat /etc/dms-settings
start_programs

log info "${FQDN} is up and running"
exec tail -Fn "+${FIRST_LINE}" "${MAIL_LOG}"
