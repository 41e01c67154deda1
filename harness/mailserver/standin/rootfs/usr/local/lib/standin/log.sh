# shellcheck shell=bash
# Log lines in docker-mailserver's shape, on stderr:
#   2026-01-31 12:00:00+01:00 INFO  start-mailserver.sh: text

log_level() {
    if [[ -n ${LOG_LEVEL:-} ]]; then
        printf '%s' "${LOG_LEVEL}"
    elif [[ -r /etc/dms-settings ]]; then
        sed -n "s/^LOG_LEVEL='\([a-z]*\)'$/\1/p" /etc/dms-settings
    fi
}

log_rank() {
    case $1 in
        error) RANK=1 ;;
        warn) RANK=2 ;;
        debug) RANK=4 ;;
        trace) RANK=5 ;;
        *) RANK=3 ;;
    esac
}

# log LEVEL TEXT
log() {
    local RANK threshold colour stamp zone
    if [[ -z ${LOG_THRESHOLD:-} ]]; then
        log_rank "$(log_level)"
        LOG_THRESHOLD=${RANK}
    fi
    threshold=${LOG_THRESHOLD}
    log_rank "$1"
    ((RANK <= threshold)) || return 0

    case $1 in
        error) colour='1;31' ;;
        warn) colour='1;33' ;;
        info) colour='0;34' ;;
        debug) colour='0;35' ;;
        *) colour='0;36' ;;
    esac
    printf -v stamp '%(%Y-%m-%d %H:%M:%S)T' -1
    printf -v zone '%(%z)T' -1
    printf '%s%s:%s \e[%sm%-5s\e[0m %s: %b\n' \
        "${stamp}" "${zone:0:3}" "${zone:3}" "${colour}" "${1^^}" "${0##*/}" "$2" >&2
}

# fail TEXT [STATUS]: for commands
fail() {
    log error "$1"
    log error 'Aborting'
    exit "${2:-1}"
}

# shut_down TEXT: for the start, and not in a subshell. The container ends with
# status 0, as after any request to stop.
shut_down() {
    log error "$1"
    log error 'Shutting down'
    kill -TERM 1
    exit 1
}

# Lines with content of FILE, whatever its line ends, the last one without a newline too.
valid_lines() {
    local line
    [[ -r $1 ]] || return 0
    while IFS= read -r line || [[ -n ${line} ]]; do
        line=${line%$'\r'}
        [[ ${line} =~ ^[[:space:]]*(#|$) ]] || printf '%s\n' "${line}"
    done <"$1"
}
