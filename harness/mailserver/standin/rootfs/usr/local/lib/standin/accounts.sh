# shellcheck shell=bash
# Accounts and aliases: from the config folder to Dovecot's and Postfix' tables.

ACCOUNTS=${CONFIG_DIR}/postfix-accounts.cf
ALIASES=${CONFIG_DIR}/postfix-virtual.cf
QUOTAS=${CONFIG_DIR}/dovecot-quotas.cf

wait_for_account() {
    local left
    for ((left = 120; left > 0; left -= 10)); do
        grep -qE '.+@.+\|' "${ACCOUNTS}" 2>/dev/null && return 0
        log warn "You need at least one mail account to start Dovecot (${left}s left for account creation before shutdown)"
        wait_for_file_change 10
    done
    shut_down 'Failed to start accounts provisioning because no accounts were provided - Dovecot could not be started!'
}

# Ten seconds, or less where an account appears.
wait_for_file_change() {
    local tick
    for ((tick = 0; tick < $1 * 2; tick++)); do
        [[ -s ${ACCOUNTS} ]] && grep -qE '.+@.+\|' "${ACCOUNTS}" && return 0
        sleep 0.5
    done
}

# Sets ATTRIBUTES for a login: what the accounts file says, and the quota.
attributes_of() {
    local login=$1 size
    ATTRIBUTES=$2
    size=${QUOTA[${login,,}]:-}
    [[ -n ${size} ]] || return 0
    ATTRIBUTES+="${ATTRIBUTES:+ }userdb_quota_storage_size=${size}"
    # A mailbox may exceed its quota by a tenth, once.
    if [[ ${size} =~ ^([1-9][0-9]*)([BkMGT])$ ]]; then
        ATTRIBUTES+=" userdb_quota_storage_grace=$((BASH_REMATCH[1] / 10))${BASH_REMATCH[2]}"
    fi
}

# userdb_line NAME HASH MAILBOX: Dovecot's passwd-file format
userdb_line() {
    local user=${3%@*} domain=${3#*@}
    printf '%s:%s:%s:%s::/var/mail/%s/%s/home::%s\n' \
        "$1" "$2" "${DMS_VMAIL_UID}" "${DMS_VMAIL_GID}" "${domain}" "${user}" "${ATTRIBUTES}"
}

# Writes Dovecot's userdb, Postfix' vmailbox and the mailboxes' folders.
create_accounts() {
    local login hash rest alias targets target ATTRIBUTES
    local -A QUOTA=() HASH=() REST=()
    local userdb='' vmailbox='' folders=()

    while IFS=: read -r login rest; do
        QUOTA[${login,,}]=${rest}
    done < <(valid_lines "${QUOTAS}")

    while IFS='|' read -r login hash rest; do
        if [[ -v HASH[${login}] ]]; then
            log warn "Account '${login}' is listed twice"
            continue
        fi
        HASH[${login}]=${hash} REST[${login}]=${rest}
        attributes_of "${login}" "${rest}"
        userdb+=$(userdb_line "${login}" "${hash}" "${login}")$'\n'
        vmailbox+="${login} ${login#*@}/${login%@*}/"$'\n'
        folders+=("/var/mail/${login#*@}/${login%@*}/home")
    done < <(valid_lines "${ACCOUNTS}")

    # Quotas of an alias are asked for under the alias' name, so Dovecot has to
    # know it: as another name of the first account that it leads to.
    if [[ ${ENABLE_QUOTAS} -eq 1 ]]; then
        while read -r alias targets; do
            [[ ${alias} == ?*@?* ]] || continue
            for target in ${targets//,/ }; do
                [[ -v HASH[${target}] ]] || continue
                attributes_of "${target}" "${REST[${target}]}"
                userdb+=$(userdb_line "${alias}" "${HASH[${target}]}" "${target}")$'\n'
                break
            done
        done < <(valid_lines "${ALIASES}")
    fi

    if ((${#folders[@]})); then
        mkdir -p "${folders[@]}"
        for login in "${!HASH[@]}"; do
            [[ -e ${CONFIG_DIR}/${login}.dovecot.sieve ]] || continue
            cp "${CONFIG_DIR}/${login}.dovecot.sieve" "/var/mail/${login#*@}/${login%@*}/home/.dovecot.sieve"
        done
    fi
    printf '%s' "${vmailbox}" >/etc/postfix/vmailbox
    printf '%s' "${userdb}" >/etc/dovecot/userdb.new
    chown dovecot:dovecot /etc/dovecot/userdb.new
    chmod 640 /etc/dovecot/userdb.new
    mv /etc/dovecot/userdb.new /etc/dovecot/userdb
}

# The domains that mail is received for: those of accounts and of aliases.
create_domains() {
    local key
    {
        while IFS='|' read -r key _; do
            printf '%s\n' "${key#*@}"
        done < <(valid_lines "${ACCOUNTS}")
        while read -r key _; do
            [[ ${key} != *@* ]] || printf '%s\n' "${key#*@}"
        done < <(valid_lines "${ALIASES}")
    } | sort -u >/etc/postfix/vhost
}

create_aliases() {
    if [[ -f ${ALIASES} ]]; then
        cp -f "${ALIASES}" /etc/postfix/virtual
    else
        : >/etc/postfix/virtual
    fi
    if [[ -f ${CONFIG_DIR}/postfix-regexp.cf ]]; then
        cp -f "${CONFIG_DIR}/postfix-regexp.cf" /etc/postfix/regexp
    else
        : >/etc/postfix/regexp
    fi
}

create_system_aliases() {
    {
        printf 'root: %s\n' "${POSTMASTER_ADDRESS}"
        cat "${CONFIG_DIR}/postfix-aliases.cf" 2>/dev/null
    } >/etc/aliases
    postalias /etc/aliases
}

own_mail_folder() {
    # Three levels tell whether a mailbox was made by root.
    if [[ -n $(find /var/mail -maxdepth 3 \( ! -user "${DMS_VMAIL_UID}" -o ! -group "${DMS_VMAIL_GID}" \) -print -quit) ]]; then
        chown -R "${DMS_VMAIL_UID}:${DMS_VMAIL_GID}" /var/mail || return 1
    fi
}
