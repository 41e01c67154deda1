# What the last run of podman-auto-update.service said of the mail server, if it spoke of it.
journalctl --user -o cat -u podman-auto-update | tac |
    sed -n '/^Starting/q; s/.* registry  *//p' | grep . || echo nothing
