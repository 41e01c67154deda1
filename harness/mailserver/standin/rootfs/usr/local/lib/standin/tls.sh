# shellcheck shell=bash
# shellcheck disable=SC2034,SC2153,SC2154 # results, and keys of MAIN, are read elsewhere
# SSL_TYPE and TLS_LEVEL. Sets TLS_KEYS, an array of key and chain files in the
# order that Postfix wants, and TLS_OFF.

TLS_DIR=/etc/dms/tls

find_letsencrypt_domain() {
    local domain
    for domain in "${SSL_DOMAIN#\*.}" "${FQDN}" "${DOMAIN}"; do
        if [[ -n ${domain} && -e /etc/letsencrypt/live/${domain}/fullchain.pem ]]; then
            LETSENCRYPT_DOMAIN=${domain}
            return 0
        fi
    done
    log error "Cannot find a valid DOMAIN for '/etc/letsencrypt/live/<DOMAIN>/', tried: '${SSL_DOMAIN}', '${FQDN}', '${DOMAIN}'"
    shut_down '_find_letsencrypt_domain | LETSENCRYPT_DOMAIN appears to be misconfigured, please verify.'
}

use_letsencrypt() {
    local folder name
    find_letsencrypt_domain
    folder=/etc/letsencrypt/live/${LETSENCRYPT_DOMAIN}
    for name in privkey key; do
        if [[ -e ${folder}/${name}.pem ]]; then
            TLS_KEYS=("${folder}/${name}.pem" "${folder}/fullchain.pem")
            return 0
        fi
    done
    log error "Cannot find key file ('privkey.pem' or 'key.pem') in '${folder}/'"
    shut_down '_find_letsencrypt_key | LETSENCRYPT_KEY appears to be misconfigured, please verify.'
}

# copy_pair KEY CHAIN AS_KEY AS_CHAIN: mounts may be read-only, or readable for few
copy_pair() {
    cp "$1" "${TLS_DIR}/$3" && cp "$2" "${TLS_DIR}/$4" || return 1
    chmod 600 "${TLS_DIR}/$3"
    chmod 644 "${TLS_DIR}/$4"
    TLS_KEYS+=("${TLS_DIR}/$3" "${TLS_DIR}/$4")
}

use_manual() {
    local scope='TLS Setup [SSL_TYPE=manual]'
    [[ -n ${SSL_KEY_PATH}${SSL_CERT_PATH} ]] ||
        shut_down "${scope} | Environment Variable: SSL_KEY_PATH or SSL_CERT_PATH is not set!"
    [[ -f ${SSL_KEY_PATH} && -f ${SSL_CERT_PATH} ]] ||
        shut_down "${scope} | Missing expected file(s): ${SSL_KEY_PATH} or ${SSL_CERT_PATH}"
    copy_pair "${SSL_KEY_PATH}" "${SSL_CERT_PATH}" key cert
    if [[ -n ${SSL_ALT_KEY_PATH} && -n ${SSL_ALT_CERT_PATH} ]]; then
        [[ -f ${SSL_ALT_KEY_PATH} && -f ${SSL_ALT_CERT_PATH} ]] ||
            shut_down "${scope} | Missing expected file(s): (ALT) ${SSL_ALT_KEY_PATH} or ${SSL_ALT_CERT_PATH}"
        copy_pair "${SSL_ALT_KEY_PATH}" "${SSL_ALT_CERT_PATH}" fallback_key fallback_cert
    fi
}

use_self_signed() {
    local from=${CONFIG_DIR}/ssl file missing=''
    for file in "${FQDN}-key.pem" "${FQDN}-cert.pem" demoCA/cacert.pem; do
        [[ -f ${from}/${file} ]] || missing+="${missing:+ + }'${from}/${file}'"
    done
    [[ -z ${missing} ]] ||
        shut_down "TLS Setup [SSL_TYPE=self-signed] | Missing expected file(s): ${missing}"
    copy_pair "${from}/${FQDN}-key.pem" "${from}/${FQDN}-cert.pem" "${FQDN}-key.pem" "${FQDN}-cert.pem"
    cp "${from}/demoCA/cacert.pem" "${TLS_DIR}/cacert.pem"
    chmod 644 "${TLS_DIR}/cacert.pem"
    ln -sf "${TLS_DIR}/cacert.pem" "/etc/ssl/certs/cacert-${FQDN}.pem"
    MAIN[smtpd_tls_CAfile]=${TLS_DIR}/cacert.pem
    MAIN[smtp_tls_CAfile]=${TLS_DIR}/cacert.pem
}

use_custom() {
    local file=${FQDN}-full.pem
    [[ -f ${CONFIG_DIR}/ssl/${file} ]] ||
        shut_down "TLS Setup [SSL_TYPE=custom] | Missing expected file(s): ${CONFIG_DIR}/ssl/${file}"
    cp "${CONFIG_DIR}/ssl/${file}" "${TLS_DIR}/${file}"
    chmod 600 "${TLS_DIR}/${file}"
    TLS_KEYS=("${TLS_DIR}/${file}")
}

choose_ciphers() {
    local strong='ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384'
    local older='ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256:ECDHE-RSA-AES256-SHA384:ECDHE-ECDSA-AES256-SHA384:DHE-RSA-AES128-SHA256:DHE-RSA-AES256-SHA256'
    TLS_CIPHERS=${strong}
    case ${TLS_LEVEL} in
        modern) ;;
        intermediate) TLS_CIPHERS+=":${older}" ;;
        *) log warn "TLS_LEVEL '${TLS_LEVEL}' not valid" ;;
    esac
}

set_up_tls() {
    TLS_KEYS=() TLS_OFF=0
    mkdir -p "${TLS_DIR}"
    choose_ciphers
    case ${SSL_TYPE} in
        letsencrypt) use_letsencrypt ;;
        manual) use_manual ;;
        self-signed) use_self_signed ;;
        custom) use_custom ;;
        snakeoil) ;;
        '')
            log warn '!! INSECURE !! SSL configured with plain text access - DO NOT USE FOR PRODUCTION DEPLOYMENT'
            TLS_OFF=1
            ;;
        *) shut_down 'Invalid value for SSL_TYPE!' ;;
    esac
    if ((${#TLS_KEYS[@]} == 0)); then
        TLS_KEYS=(/etc/ssl/private/ssl-cert-snakeoil.key /etc/ssl/certs/ssl-cert-snakeoil.pem)
    fi
}
