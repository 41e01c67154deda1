#!/bin/sh
# Make the guest a host that the harness deploys on, and install the harness. Run by tmt as root, in
# the project's folder.
#   $MAILSERVER as the plan says
set -eu
cd "$(dirname "$0")/../.."
home=/opt/dms-harness

# tmt removes from its tree what it has not brought itself, such as .venv. A guest may have an older
# project from another run.
mkdir -p $home
find $home -mindepth 1 -maxdepth 1 ! -name .venv -exec rm -rf {} +
cp -a . $home

# Root comes in from the guest itself; its host key is read, not asked for.
install -d -m 700 /root/.ssh
[ -e /root/.ssh/id_ed25519 ] || ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519
for key in /etc/ssh/ssh_host_*_key.pub; do
    line="localhost $(cut -d' ' -f1,2 "$key")"
    grep -qxF -e "$line" /root/.ssh/known_hosts 2>/dev/null || echo "$line" >>/root/.ssh/known_hosts
done

# The user whom rootless containers are for is made for each scenario, by the harness.
cd $home
sh harness/machines/guest/provision.sh root "$(cat /root/.ssh/id_ed25519.pub)" \
    "$(cat harness/machines/guest/packages)"
sh harness/setup.sh host

# The guest's own podman fetches the image: nothing else of a machine of ours is needed here.
images=/var/tmp/dms-harness-image
rm -rf $images
mkdir $images
case $MAILSERVER in
/*) ln -s "$MAILSERVER" $images/ ;;
*)
    image=docker.io/mailserver/docker-mailserver
    case $MAILSERVER in
    upstream) image=$image:latest ;;
    upstream[:@]*) image=$image${MAILSERVER#upstream} ;;
    *) image=$MAILSERVER ;;
    esac
    archive=$images/$(echo "$image" | tr /:@ ___).tar
    podman pull --quiet "$image"
    podman save --quiet --output "$archive" "$image"
    podman image inspect --format '{{.Id}} {{.RepoDigests}}' "$image"
    podman rmi "$image" >/dev/null
    ;;
esac
