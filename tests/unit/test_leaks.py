from __future__ import annotations

import pytest

from harness.leaks import lasting, left_behind


def test_what_is_new_is_named_with_its_sort_in_order() -> None:
    before = {"mounts": frozenset({"/"}), "root's volumes": frozenset[str]()}
    after = {"mounts": frozenset({"/", "/mnt"}), "root's volumes": frozenset({"b", "a"})}
    assert left_behind(before, after) == [
        "mounts: /mnt",
        "root's volumes: a",
        "root's volumes: b",
    ]


def test_what_was_there_before_or_is_gone_is_no_leak() -> None:
    before = {"mounts": frozenset({"/", "/gone"})}
    assert left_behind(before, before) == []
    assert left_behind(before, {"mounts": frozenset({"/"})}) == []


def test_a_changed_setting_is_a_leak() -> None:
    before = {"sysctl": frozenset({"net.ipv4.ip_unprivileged_port_start = 1024"})}
    after = {"sysctl": frozenset({"net.ipv4.ip_unprivileged_port_start = 25"})}
    assert left_behind(before, after) == ["sysctl: net.ipv4.ip_unprivileged_port_start = 25"]


def test_lines_are_taken_without_the_room_around_them_and_once() -> None:
    assert lasting("mounts", "  /\n\n /mnt  \n/mnt\n") == {"/", "/mnt"}
    assert lasting("mounts", "") == frozenset()


# What a deployment leaves when it is not taken down well. None of it may be taken for what comes
# and goes by itself.
LEAKS = {
    "processes": [
        *(
            f"{user:20} {command}"
            for user in ("mailop", "root", "100199")
            for command in (
                "pasta",
                "pasta.avx2",
                "passt",
                "conmon",
                "slirp4netns",
                "rootlessport",
                "rootlessport-c",
                "rootlessport-child",
                "aardvark-dns",
                "netavark",
                "crun",
                "fuse-overlayfs",
                "supervisord",
                "master",
                "smtpd",
                "dovecot",
                "imap-login",
                "imap",
                "podman-compose",
                "docker-compose",
                "tail",
                "python3",
                "rsyslogd",
                "cron",
                "fail2ban-server",
                "sshfs",
                "ip6",
                "ssserver",
            )
        )
    ],
    "listening sockets": [
        "tcp 0.0.0.0:25",
        "tcp [::]:993",
        "udp *:53",
        "tcp 127.0.0.1:2222",
    ],
    "containers": [
        "dms running",
        "dms exited",
        "ssh running",
        "session-1 running",
        "podman created",
        "podman-ip configured",
    ],
    "networks": ["dms_default", "podman", "my-podman", "ssh", "user@dms"],
    "volumes": ["dms-mail", "podman", "session-data", "/run/user/1000/x", "dbus.service"],
    "units": [
        "dms.service",
        "podman-dms.service",
        "container-dms.service",
        "podman.socket",
        "podman-compose@dms.service",
        "dms-podman.service",
        "ssh-tunnel-for-mail.service",
        "0123456789abcdef-1234567890abcdef.timer",
        "mail-session-1.service",
        "user@dms.service",
        "dms-network.service",
    ],
    "firewall rules": [
        "tcp dport 25 accept",
        "tcp dport { 25, 143, 465, 587, 993 } ct state { new, untracked } accept",
        "ip daddr 10.89.0.0/24 jump nv_2f259bab_10_89_0_0_nm24",
        "tcp dport 25 dnat ip to 10.89.0.2:25",
        "meta protocol ip",
        "table inet netavark {",
        "chain podman",
        'iifname "podman1" accept',
        "tcp dport 22 accept comment ssh",
    ],
    "network links": ["podman0", "podman1", "veth0@if2", "br-1234", "tap0"],
    "mounts": [
        "/home/mailop/.local/share/containers/storage/overlay/0123/merged",
        "/var/lib/containers/storage/overlay",
        "/run/user/1000/netns/netns-1234",
        "/run/user/1000/containers/overlay",
        "/run/user/1000/libpod/tmp",
        "/run/netns/netns-1234",
    ],
    "lingering users": ["mailop", "podman"],
    "sysctl": ["net.ipv4.ip_forward = 1"],
}


@pytest.mark.parametrize("sort", LEAKS)
def test_nothing_of_a_mail_server_is_taken_for_what_comes_and_goes(sort: str) -> None:
    assert lasting(sort, "\n".join(LEAKS[sort])) == set(LEAKS[sort])


COMES_AND_GOES = {
    "processes": [
        f"{user:20} {command}"
        for user, command in (
            ("root", "kworker/0:1-events"),
            ("root", "kworker/u8:2-btrfs-endio"),
            ("mailop", "(sd-pam)"),
            ("root", "(udev-worker)"),
            ("root", "sshd"),
            ("root", "sshd-session"),
            ("mailop", "podman"),
            ("mailop", "catatonit"),
            ("root", "ps"),
            ("mailop", "sh"),
            ("root", "bash"),
            ("root", "systemctl"),
            ("root", "sftp-server"),
            ("root", "systemd-hostnam"),
            ("messagebus", "dbus-daemon"),
            ("polkitd", "polkitd"),
        )
    ],
    "units": [
        "podman.service",
        "dbus.service",
        "polkit.service",
        "systemd-tmpfiles-clean.service",
        "systemd-hostnamed.service",
        "user@1000.service",
        "user-runtime-dir@0.service",
        "podman-user-wait-network-online.service",
        "sshd@3-203.0.113.10:22-203.0.113.1:4711.service",
    ],
    "mounts": ["/run/user/1000", "/run/user/0", "/run/user/1000/doc"],
}


@pytest.mark.parametrize("sort", COMES_AND_GOES)
def test_what_comes_and_goes_by_itself_is_no_leak(sort: str) -> None:
    assert lasting(sort, "\n".join(COMES_AND_GOES[sort])) == frozenset()
