"""Log lines as Postfix 3.10 and Dovecot 2.4 and 2.3 wrote them, in DMS and elsewhere."""

from __future__ import annotations

import pytest

from harness.probes.log_lines import address_in_received, fate, imap_client, smtp_client

ISO = "2026-11-22T21:00:52.462478+00:00 mail "
OLD = "Nov 22 21:00:52 mail "


@pytest.mark.parametrize("stamp", [ISO, OLD])
@pytest.mark.parametrize(
    ("line", "nonce", "address"),
    [
        (
            "postfix/smtpd[906]: NOQUEUE: reject: RCPT from unknown[10.88.77.1]: 554 5.7.1 "
            "<n-1@example.com>: Recipient address rejected: Unknown user; from=<a@sender.test> "
            "to=<n-1@example.com> proto=ESMTP helo=<client.sender.test>",
            "n-1",
            "10.88.77.1",
        ),
        (
            "postfix/smtpd[9]: NOQUEUE: reject: RCPT from a.lan.test[2001:db8:113::1]: 550 5.1.1 "
            "<n-2@example.com>: User unknown; from=<> to=<n-2@example.com> proto=ESMTP helo=<h>",
            "n-2",
            "2001:db8:113::1",
        ),
        (
            "postfix/submission/smtpd[1020]: NOQUEUE: reject: RCPT from unknown[10.89.0.2]: 554 "
            "5.7.1 <unknown[10.89.0.2]>: Client host rejected: Access denied; "
            "from=<user@example.com> to=<n-3@example.com> proto=ESMTP helo=<client.sender.test>",
            "n-3",
            "10.89.0.2",
        ),
        (
            "postfix/submission/smtpd[1020]: warning: unknown[10.88.77.1]: SASL PLAIN "
            "authentication failed: (reason unavailable), sasl_username=n-4@example.com",
            "n-4",
            "10.88.77.1",
        ),
        (
            "postfix/postscreen[768]: NOQUEUE: reject: RCPT from [fd00:8877::1]:35672: 550 5.5.1 "
            "Protocol error; from=<a@sender.test>, to=<n-5@example.com>, proto=ESMTP, helo=<h>",
            "n-5",
            "fd00:8877::1",
        ),
        (
            "postfix/smtpd[9]: NOQUEUE: reject: RCPT from unknown[fe80::1%eth0]: 550 5.1.1 "
            "<n-6@example.com>: User unknown; from=<> to=<n-6@example.com> proto=ESMTP helo=<h>",
            "n-6",
            "fe80::1%eth0",
        ),
        (
            "postfix/smtpd[9]: NOQUEUE: milter-reject: RCPT from h.test[192.0.2.1]: 550 5.7.1 no; "
            "from=<> to=<n-7@example.com> proto=ESMTP helo=<h>",
            "n-7",
            "192.0.2.1",
        ),
    ],
)
def test_smtp_client(stamp: str, line: str, nonce: str, address: str) -> None:
    log = f"{stamp}postfix/smtpd[1]: connect from unknown[192.0.2.99]\n{stamp}{line}\n{stamp}end"
    seen = smtp_client(log, nonce)
    assert seen is not None
    assert seen.address == address
    assert seen.line == stamp + line
    assert smtp_client(log, "n-0") is None


RELAYED = f"""\
{ISO}postfix/smtpd[9]: AA11BB22CC3: client=localhost[127.0.0.1]
{ISO}postfix/smtpd[9]: 4349626E186: client=unknown[10.88.77.1]
{ISO}postfix/cleanup[9]: AA11BB22CC3: message-id=<other@sender.test>
{ISO}postfix/cleanup[9]: 4349626E186: message-id=<n-8@sender.test>
{ISO}postfix/qmgr[7]: 4349626E186: from=<a@sender.test>, size=320, nrcpt=1 (queue active)
{ISO}postfix/smtp[8]: 4349626E186: to=<x@outside.test>, relay=mx.outside.test[192.0.2.25]:25, \
delay=0.04, delays=0.01/0.01/0.01/0.01, dsn=2.0.0, status=sent (250 2.0.0 kept)
"""


def test_a_queued_message_leads_to_its_client() -> None:
    seen = smtp_client(RELAYED, "n-8")
    assert seen is not None
    assert seen.address == "10.88.77.1"


def test_fate_before_and_after_removal() -> None:
    assert fate(RELAYED, "n-9") is None
    known = fate(RELAYED, "n-8")
    assert known is not None
    assert known.client == "10.88.77.1"
    assert known.deliveries == (("mx.outside.test[192.0.2.25]:25", "sent"),)
    assert not known.finished
    done = fate(RELAYED + f"{ISO}postfix/qmgr[7]: 4349626E186: removed\n", "n-8")
    assert done is not None
    assert done.finished


def test_fate_through_a_content_filter() -> None:
    log = f"""\
{ISO}postfix/smtpd[1]: 22A4427E1AE: client=unknown[10.88.77.1]
{ISO}postfix/cleanup[1]: 22A4427E1AE: message-id=<probe@sender.test>
{ISO}postfix/smtpd-amavis/smtpd[2]: 62A6727E1B5: client=localhost[127.0.0.1]
{ISO}postfix/cleanup[1]: 62A6727E1B5: message-id=<probe@sender.test>
{ISO}amavis[999]: (00999-01) Passed CLEAN, Queue-ID: 22A4427E1AE, Message-ID: <probe@sender.test>
{ISO}postfix/smtp-amavis/smtp[3]: 22A4427E1AE: to=<user@example.com>, \
relay=127.0.0.1[127.0.0.1]:10024, delay=0.39, dsn=2.0.0, status=sent (250 ok)
{ISO}postfix/qmgr[4]: 22A4427E1AE: removed
"""
    half = fate(log, "probe@")
    assert half is not None
    assert half.client == "10.88.77.1"
    assert not half.finished
    whole = fate(log + f"{ISO}postfix/qmgr[4]: 62A6727E1B5: removed", "probe@")
    assert whole is not None
    assert whole.finished


@pytest.mark.parametrize(
    "line",
    [
        # Dovecot 2.4
        "dovecot: imap-login: Login aborted: Logged out (auth failed, 1 attempts in 2 secs) "
        "(auth_failed): user=<n-1@example.com>, method=PLAIN, rip=10.88.77.1, lip=10.88.77.2, "
        "TLS, session=<bprf0uNgCJMKWE0B>",
        # Dovecot 2.3
        "dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): "
        "user=<n-1@example.com>, method=PLAIN, rip=10.88.77.1, lip=10.88.77.2, TLS, session=<x>",
        "dovecot: imap-login: Login: user=<n-1@example.com>, method=PLAIN, rip=10.88.77.1, "
        "lip=10.88.77.2, mpid=926, TLS, session=<Npuk0uNgKr8KWE0B>",
    ],
)
def test_imap_client(line: str) -> None:
    unrelated = f"{ISO}dovecot: auth(n-1@example.com): userdb-default: unknown user "
    seen = imap_client(f"{unrelated}\n{ISO}{line}", "n-1")
    assert seen is not None
    assert (seen.address, seen.local) == ("10.88.77.1", "10.88.77.2")


@pytest.mark.parametrize(
    ("header", "address"),
    [
        ("Received: from outside.test (a.lan.test [203.0.113.1]) by mail (Postfix)", "203.0.113.1"),
        (
            "Received: from [192.0.2.5] (unknown [IPv6:2001:db8::1]) by mail (Postfix)",
            "2001:db8::1",
        ),
        ("Received: by mail with LMTP", None),
    ],
)
def test_address_in_received(header: str, address: str | None) -> None:
    assert address_in_received(header) == address
