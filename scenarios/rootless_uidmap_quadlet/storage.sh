# Runs a command, and says what that adds to podman's storage: "a copy" of the image, which has 180 MB
# and more, or "nothing" to speak of; without a command, the megabytes that are in it.
size() {
    podman unshare du --summarize --one-file-system --block-size=1M \
        "$(podman info --format '{{.Store.GraphRoot}}')" | cut -f 1
}

before=$(size)
if [ $# -eq 0 ]; then
    echo "$before"
    exit
fi
"$@" || exit
after=$(size)
echo "$before MB before, $after MB after"
if [ $((after - before)) -ge 50 ]; then echo "a copy"; else echo "nothing"; fi
