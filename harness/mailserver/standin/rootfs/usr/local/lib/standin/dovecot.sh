# shellcheck shell=bash
# Dovecot's variable configuration: one file, written in one go.

dovecot_protocols() {
    local protocols=lmtp
    [[ ${ENABLE_POP3} -eq 1 ]] && protocols+=' pop3'
    [[ ${ENABLE_IMAP} -eq 1 ]] && protocols+=' imap'
    [[ ${ENABLE_MANAGESIEVE} -eq 1 ]] && protocols+=' sieve'
    printf 'protocols = %s\n' "${protocols}"
}

dovecot_listen() {
    case ${DOVECOT_INET_PROTOCOLS} in
        all) ;;
        ipv4) printf 'listen = *\n' ;;
        ipv6) printf 'listen = [::]\n' ;;
        *) shut_down "${DOVECOT_INET_PROTOCOLS} | Invalid value for DOVECOT_INET_PROTOCOLS!" ;;
    esac
}

dovecot_tls() {
    local need=required key=${TLS_KEYS[0]} chain=${TLS_KEYS[1]:-${TLS_KEYS[0]}}
    [[ ${ENABLE_IMAP} -eq 1 || ${ENABLE_POP3} -eq 1 ]] || need=yes
    if [[ ${TLS_OFF} -eq 1 ]]; then
        need=no
        printf 'auth_allow_cleartext = yes\n'
    fi
    printf '%s\n' "ssl = ${need}" \
        "ssl_server_key_file = ${key}" \
        "ssl_server_cert_file = ${chain}" \
        'ssl_min_protocol = TLSv1.2' \
        "ssl_cipher_list = ${TLS_CIPHERS}" \
        'ssl_server_prefer_ciphers = server'
    if ((${#TLS_KEYS[@]} == 4)); then
        printf '%s\n' "ssl_server_alt_key_file = ${TLS_KEYS[2]}" \
            "ssl_server_alt_cert_file = ${TLS_KEYS[3]}"
    fi
}

# Sizes in whole megabytes; zero is no limit.
megabytes() {
    local size=$(($1 / 1000000))
    ((size == 0)) && printf 0 || printf '%dM' "${size}"
}

dovecot_quota() {
    [[ ${ENABLE_QUOTAS} -eq 1 ]] || return 0
    [[ ! -d ${CONFIG_DIR} || -e ${QUOTAS} ]] || : 2>/dev/null >"${QUOTAS}"
    cat <<CONF
mail_plugins {
  quota = yes
}
protocol imap {
  mail_plugins {
    imap_quota = yes
  }
}
quota_driver = count
quota_mail_size = $(megabytes "${POSTFIX_MESSAGE_SIZE_LIMIT}")
quota_storage_size = $(megabytes "${POSTFIX_MAILBOX_SIZE_LIMIT}")
quota_storage_grace = 10M
mailbox Trash {
  quota_storage_extra = 50M
}
quota user {
}
# Postfix asks this one before it accepts a message.
service quota-status {
  executable = quota-status -p postfix
  inet_listener quota-status {
    listen = 127.0.0.1
    port = 65265
  }
  client_limit = 1
}
CONF
}

dovecot_mailbox_format() {
    case ${DOVECOT_MAILBOX_FORMAT} in
        sdbox | mdbox)
            printf '%s\n' "mail_driver = ${DOVECOT_MAILBOX_FORMAT}" \
                'mail_home = /var/mail/%{user | domain}/%{user | username}'
            ;;
    esac
}

dovecot_sieve() {
    [[ ${MOVE_SPAM_TO_JUNK} -eq 1 ]] || return 0
    cat <<'CONF'
sieve_script spam_to_junk {
  type = after
  path = /usr/lib/dovecot/sieve-global/spam-to-junk.sieve
}
CONF
}

write_dovecot_conf() {
    {
        dovecot_protocols
        dovecot_listen
        dovecot_tls
        dovecot_quota
        dovecot_mailbox_format
        dovecot_sieve
        printf '%s\n' "postmaster_address = ${POSTMASTER_ADDRESS}" "hostname = ${FQDN}"
    } >/etc/dovecot/conf.d/standin.conf
    if [[ -f ${CONFIG_DIR}/dovecot.cf ]]; then
        cp "${CONFIG_DIR}/dovecot.cf" /etc/dovecot/local.conf
    fi
}
