# shellcheck shell=bash
# /var/mail-state: what has to survive a container is moved there, with a link
# in its place. Without that folder (no volume) it stays in the container.

STATE_DIR=/var/mail-state

move_state() {
    local place kept folders=(lib/postfix spool/postfix)
    [[ -d ${STATE_DIR} ]] || return 0
    [[ ${ENABLE_FAIL2BAN} -ne 1 ]] || folders+=(lib/fail2ban)
    [[ ${SMTP_ONLY} -eq 1 ]] || folders+=(lib/dovecot)

    for place in "${folders[@]}"; do
        kept=${STATE_DIR}/${place//\//-}
        place=/var/${place}
        if [[ -d ${kept} ]]; then
            rm -rf "${place}"
        elif [[ -d ${place} ]]; then
            mv "${place}" "${kept}"
        else
            log error "${place} should exist but is missing"
            continue
        fi
        ln -s "${kept}" "${place}"
    done
}

# User ids may differ between the images that used this state.
own_state() {
    local spool=${STATE_DIR}/spool-postfix
    [[ -d ${STATE_DIR} ]] || return 0
    chmod +x "${STATE_DIR}"
    chown -R postfix:postfix "${STATE_DIR}/lib-postfix"
    chown -R postfix:root "${spool}"
    chown root:root "${spool}"
    if [[ -d ${spool}/pid ]]; then
        chown root:root "${spool}/pid"
    fi
    chgrp -R postdrop "${spool}/maildrop" "${spool}/public"
    chmod 730 "${spool}/maildrop"
    chmod 710 "${spool}/public"
}

# Runs at every start, that of a stopped container too.
prepare_folders() {
    find /run/ ! -name supervisord.pid -name '*.pid' -delete
    own_mail_folder || shut_down 'Failed to fix /var/mail permissions'
    # Programs that are not root look into it.
    [[ ! -d ${CONFIG_DIR} ]] || chmod +x "${CONFIG_DIR}" 2>/dev/null
    mkdir -p /var/log/mail /var/log/supervisor
    chown syslog:root /var/log/mail
    chmod 755 /var/log/mail
    find /var/log/mail -type f -exec chmod 640 {} +
}
