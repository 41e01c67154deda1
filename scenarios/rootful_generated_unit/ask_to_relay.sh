# Asks the mail server to relay, from a container on its network: bash ask_to_relay.sh ADDRESS
# The last line is the answer to RCPT TO.
server=$(podman container inspect --format '{{.NetworkSettings.IPAddress}}' mailserver)
podman run --rm --ip "$1" --entrypoint bash docker.io/mailserver/docker-mailserver:latest -c '
    answer() { while IFS= read -r line <&3 && [[ ${line:3:1} == - ]]; do :; done; }
    exec 3<>"/dev/tcp/$0/25"
    answer
    for command in "EHLO peer.outside.example" \
        "MAIL FROM:<stranger@outside.example>" "RCPT TO:<probe@outside.example>"; do
        printf "%s\r\n" "$command" >&3
        answer
    done
    echo "$line"' "$server"
