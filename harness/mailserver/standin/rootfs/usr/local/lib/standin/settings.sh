# shellcheck shell=bash
# shellcheck disable=SC2034 # read by the other parts
# Environment variables: defaults, files, and the record that other programs read.

CONFIG_DIR=/tmp/docker-mailserver
export CONFIG_DIR

# NAME=default of everything that is understood. FQDN and DOMAIN come first, see below.
declare -A DEFAULTS=(
    [ACCOUNT_PROVISIONER]=FILE
    [DEFAULT_RELAY_HOST]=''
    [DMS_CONFIG_POLL]=2
    [DMS_VMAIL_GID]=5000
    [DMS_VMAIL_UID]=5000
    [DOVECOT_INET_PROTOCOLS]=all
    [DOVECOT_MAILBOX_FORMAT]=maildir
    [ENABLE_DNSBL]=0
    [ENABLE_FAIL2BAN]=0
    [ENABLE_IMAP]=1
    [ENABLE_MANAGESIEVE]=0
    [ENABLE_POP3]=0
    [ENABLE_QUOTAS]=1
    [FAIL2BAN_BLOCKTYPE]=drop
    [LOG_LEVEL]=info
    [MOVE_SPAM_TO_JUNK]=1
    [NETWORK_INTERFACE]=eth0
    [OVERRIDE_HOSTNAME]=''
    [PERMIT_DOCKER]=none
    [POSTFIX_DAGENT]=''
    [POSTFIX_INET_PROTOCOLS]=all
    [POSTFIX_MAILBOX_SIZE_LIMIT]=0
    [POSTFIX_MESSAGE_SIZE_LIMIT]=10240000
    [POSTFIX_REJECT_UNKNOWN_CLIENT_HOSTNAME]=0
    [POSTSCREEN_ACTION]=enforce
    [RELAY_HOST]=''
    [RELAY_PASSWORD]=''
    [RELAY_PORT]=25
    [RELAY_USER]=''
    [SMTP_ONLY]=0
    [SPOOF_PROTECTION]=0
    [SSL_ALT_CERT_PATH]=''
    [SSL_ALT_KEY_PATH]=''
    [SSL_CERT_PATH]=''
    [SSL_DOMAIN]=''
    [SSL_KEY_PATH]=''
    [SSL_TYPE]=''
    [SUPERVISOR_LOGLEVEL]=warn
    [TLS_LEVEL]=modern
    [TZ]=''
)

# What docker-mailserver has and the stand-in has not. Accepted, and said once.
LEFT_OUT=(AMAVIS CLAMAV FETCHMAIL GETMAIL MTA_STS OAUTH2 OPENDKIM OPENDMARC
    POLICYD_SPF POSTGREY RSPAMD RSPAMD_REDIS SASLAUTHD SPAMASSASSIN
    SPAMASSASSIN_KAM SRS)

# NAME__FILE names a file that holds NAME's value.
read_secrets() {
    local reference name
    for reference in $(compgen -e | grep '__FILE$'); do
        name=${reference%__FILE}
        if [[ -v ${name} ]]; then
            log warn "'${reference}' is not used since '${name}' is set"
        elif [[ ! -f ${!reference} ]]; then
            log warn "The file '${!reference}' of '${reference}' does not exist"
        else
            log info "Getting secret '${name}' from '${!reference}'"
            printf -v "${name}" '%s' "$(<"${!reference}")"
        fi
    done
}

# FQDN and DOMAIN, from OVERRIDE_HOSTNAME or from the container's own name.
find_hostname() {
    FQDN=${OVERRIDE_HOSTNAME:-$(hostname -f)}
    [[ -n ${FQDN} ]] || shut_down 'obtain_hostname appears to be misconfigured, please verify.'
    DOMAIN=
    if [[ ${FQDN} == *.*.* ]]; then
        if [[ -n ${OVERRIDE_HOSTNAME:-} ]]; then
            DOMAIN=${FQDN#*.}
        else
            DOMAIN=$(hostname -d)
        fi
    fi
    DOMAIN=${DOMAIN:-${FQDN}}
    export HOSTNAME=${FQDN} DOMAINNAME=${DOMAIN}
}

check_hostname() {
    [[ ${FQDN} =~ ^[^[:space:]]+\.[^[:space:]]+$ ]] ||
        shut_down 'Setting hostname/domainname is required'
}

# An empty variable counts as an unset one.
apply_defaults() {
    local name
    for name in "${!DEFAULTS[@]}"; do
        [[ -n ${!name:-} ]] || printf -v "${name}" '%s' "${DEFAULTS[${name}]}"
    done
    : "${POSTMASTER_ADDRESS:=postmaster@${DOMAIN}}"
    DEFAULTS[POSTMASTER_ADDRESS]=
    # Quotas are counted by Dovecot.
    [[ ${SMTP_ONLY} -ne 1 ]] || ENABLE_QUOTAS=0
}

write_settings() {
    local name
    for name in "${!DEFAULTS[@]}"; do
        printf "%s='%s'\n" "${name}" "${!name//\'/\'\\\'\'}"
    done | LC_ALL=C sort >/etc/dms-settings
    sed 's/^/export /' /etc/dms-settings >/root/.bashrc
}

name_what_is_left_out() {
    local name asked=()
    for name in "${LEFT_OUT[@]}"; do
        name=ENABLE_${name}
        [[ ${!name:-} == 1 ]] && asked+=("${name}")
    done
    if ((${#asked[@]})); then
        log warn "Not part of this stand-in image, and therefore without effect: ${asked[*]}"
    fi
}

check_settings() {
    [[ ${ACCOUNT_PROVISIONER} == FILE ]] ||
        shut_down "Invalid value for '${ACCOUNT_PROVISIONER}' is not a valid value for ACCOUNT_PROVISIONER (the stand-in has FILE only)!"
    case ${SUPERVISOR_LOGLEVEL} in
        critical | error | warn | info | debug) ;;
        *) log warn "SUPERVISOR_LOGLEVEL '${SUPERVISOR_LOGLEVEL}' unknown. Using default 'warn'" ;;
    esac
}

load_settings() {
    if [[ ! ${LOG_LEVEL:-info} =~ ^(trace|debug|info|warn|error)$ ]]; then
        local wrong=${LOG_LEVEL}
        LOG_LEVEL=info
        log warn "Log level '${wrong}' is invalid (falling back to default: 'info')"
    fi
    read_secrets
    find_hostname
    apply_defaults
    check_settings
    write_settings
}

set_timezone() {
    [[ -n ${TZ} ]] || return 0
    if [[ -e /usr/share/zoneinfo/${TZ} ]]; then
        ln -fs "/usr/share/zoneinfo/${TZ}" /etc/localtime
        printf '%s\n' "${TZ}" >/etc/timezone
    else
        log warn "Cannot find timezone '${TZ}'"
    fi
}
