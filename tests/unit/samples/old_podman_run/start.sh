#!/bin/sh
# run as user mail
podman run -d --name dms \
    -h mail.fisch-handel.net \
    -p 25:25 -p 587:587 -p 993:993 \
    -e PERMIT_DOCKER=connected-networks -e SSL_TYPE= -e NETWORK_INTERFACE=tap0 \
    --env-file ./mailserver.env \
    -v $PWD/data:/var/mail -v "$(pwd)"/config/:/tmp/docker-mailserver/:z \
    --cap-add=NET_ADMIN --restart=unless-stopped \
    docker.io/mailserver/docker-mailserver:13.3.1
