# shellcheck shell=bash
# PERMIT_DOCKER: which networks may send without a login. Functions that print;
# they call nothing but "ip", and can be sourced and tried alone.

# What Postfix trusts before PERMIT_DOCKER adds to it.
OWN_NETWORKS='127.0.0.0/8 [::1]/128 [fe80::]/64'

# IPv4 addresses of an interface, one per line. "ip" complains on stderr.
interface_addresses() {
    ip addr show "$1" | sed -n 's/^ *inet \([0-9.]*\).*/\1/p'
}

# The interfaces' addresses with their prefix lengths. "type veth" does not keep
# the others out: the address list is not filtered by it, so that loopback and
# tap interfaces count as well. This is what docker-mailserver does.
connected_addresses() {
    ip -o -4 addr show type veth | grep -E -o '[0-9.]+/[0-9]+'
}

# 10.1.2.3/16 -> 10.1.0.0/16
subnet_of() {
    local a b c d bits=${1#*/} number mask
    IFS=. read -r a b c d <<<"${1%/*}"
    number=$(((a << 24) | (b << 16) | (c << 8) | d))
    mask=$((bits == 0 ? 0 : (0xffffffff << (32 - bits)) & 0xffffffff))
    number=$((number & mask))
    printf '%d.%d.%d.%d/%d\n' \
        $((number >> 24)) $((number >> 16 & 255)) $((number >> 8 & 255)) $((number & 255)) "${bits}"
}

# mynetworks_for VALUE ADDRESS: prints what mynetworks becomes. Status 1: VALUE is
# not known, and nobody is trusted. Status 2: the interface has several addresses,
# which cannot be written into Postfix's configuration, and it stays as it was.
mynetworks_for() {
    local value=$1 address=$2 networks=${OWN_NETWORKS} one
    case ${value} in
        none) networks= ;;
        network) networks+=' 172.16.0.0/12' ;;
        container | host)
            if [[ ${address} == *$'\n'* ]]; then
                printf '%s\n' "${networks}"
                return 2
            elif [[ ${value} == host ]]; then
                networks+=" $(subnet_of "${address}/16")"
            else
                networks+=" ${address}/32"
            fi
            ;;
        connected-networks)
            for one in $(connected_addresses); do
                networks+=" $(subnet_of "${one}")"
            done
            ;;
        *)
            printf '\n'
            return 1
            ;;
    esac
    printf '%s\n' "${networks}"
}
