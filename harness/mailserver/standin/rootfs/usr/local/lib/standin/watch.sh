# shellcheck shell=bash
# shellcheck disable=SC2034 # read by the other parts
# Which files take effect while running, and whether they changed.

CHECKSUMS=/tmp/docker-mailserver-config-chksum

watched_files() {
    local name files=()
    for name in postfix-{accounts,virtual,regexp,aliases,relaymap,sasl-password} dovecot-quotas; do
        files+=("${CONFIG_DIR}/${name}.cf")
    done
    case ${SSL_TYPE} in
        manual) files+=("${SSL_CERT_PATH}" "${SSL_KEY_PATH}" "${SSL_ALT_CERT_PATH}" "${SSL_ALT_KEY_PATH}") ;;
        letsencrypt)
            for name in "${SSL_DOMAIN}" "${FQDN}" "${DOMAIN}"; do
                [[ -z ${name} ]] || files+=("/etc/letsencrypt/live/${name}/"*.pem)
            done
            ;;
    esac
    for name in "${files[@]}"; do
        [[ ! -f ${name} ]] || printf '%s\n' "${name}"
    done
}

checksums() {
    local files
    mapfile -t files < <(watched_files)
    ((${#files[@]} == 0)) || sha512sum -- "${files[@]}"
}
