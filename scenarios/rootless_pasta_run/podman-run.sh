mkdir -p docker-data/dms/mail-data docker-data/dms/mail-state docker-data/dms/mail-logs
podman run --detach \
    --name mailserver \
    --hostname mail.example.com \
    --publish 25:25 \
    --publish 143:143 \
    --publish 465:465 \
    --publish 587:587 \
    --publish 993:993 \
    --env-file mailserver.env \
    --env SSL_TYPE=letsencrypt \
    --env NETWORK_INTERFACE=enp1s0 \
    --volume "$PWD"/docker-data/dms/mail-data/:/var/mail/ \
    --volume "$PWD"/docker-data/dms/mail-state/:/var/mail-state/ \
    --volume "$PWD"/docker-data/dms/mail-logs/:/var/log/mail/ \
    --volume "$PWD"/docker-data/dms/config/:/tmp/docker-mailserver/ \
    --volume "$PWD"/docker-data/certbot/certs/:/etc/letsencrypt/:ro \
    --cap-add NET_ADMIN \
    --stop-timeout 60 \
    docker.io/mailserver/docker-mailserver:latest
