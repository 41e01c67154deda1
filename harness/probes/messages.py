"""The messages that probes send, and how what arrived is compared with what was sent."""

from __future__ import annotations

import base64
import re
from email.utils import formatdate

NONCE_HEADER = "X-Harness-Nonce"
LONGEST_LINE = 990
"""Characters; SMTP allows 998 (RFC 5321, 4.5.3.1.6)."""


def compose(nonce: str, sender: str, recipient: str, *, rich: bool = True) -> bytes:
    """A message in bytes with CRLF line ends, 8-bit, which any needless change would show in.

    It has folded and encoded headers, UTF-8 text, dots at line starts, a line that says "From ",
    trailing blanks, empty lines at the end of a part, a line of 990 characters and an attachment
    of all 256 byte values.

    Args:
        nonce: goes into the subject, the Message-ID and a header of its own.
        sender: the address in From.
        recipient: the address in To.
        rich: False for a short plain message, where only the arrival counts.
    """
    domain = sender.rpartition("@")[2].strip("<>[]") or "harness.test"
    head = [
        f"Date: {formatdate()}",
        f"From: Harness Probe <{sender}>",
        f"To: <{recipient}>",
        f"Message-ID: <{nonce}@{domain}>",
        f"{NONCE_HEADER}: {nonce}",
    ]
    if not rich:
        return _joined([*head, f"Subject: probe {nonce}", "", f"probe {nonce}"])
    boundary = f"=_{nonce}_="
    attached = base64.b64encode(bytes(range(256)) * 4).decode()
    return _joined(
        [
            *head,
            "Subject: =?utf-8?q?Zw=C3=B6lf_Boxk=C3=A4mpfer?= probe",
            f" {nonce}",
            "X-Folded: one,",
            "\ttwo,",
            "   three",
            "MIME-Version: 1.0",
            "Content-Type: multipart/mixed;",
            f' boundary="{boundary}"',
            "",
            "This is a message in MIME format.",
            f"--{boundary}",
            "Content-Type: text/plain; charset=utf-8",
            "Content-Transfer-Encoding: 8bit",
            "",
            "Zwölf Boxkämpfer jagen Viktor quer über den Sylter Deich. Ελληνικά, 日本語, 🐟",
            ".",
            "..",
            ".leading dot",
            "From the first word on, nothing may be quoted.",
            "blanks at the end   ",
            "tab at the end\t",
            "x" * LONGEST_LINE,
            "",
            "",
            f"--{boundary}",
            "Content-Type: application/octet-stream",
            "Content-Transfer-Encoding: base64",
            'Content-Disposition: attachment; filename="bytes.bin"',
            "",
            *(attached[at : at + 76] for at in range(0, len(attached), 76)),
            f"--{boundary}--",
            "",
        ]
    )


def _joined(lines: list[str]) -> bytes:
    return "\r\n".join([*lines, ""]).encode()


def fields(content: bytes) -> list[bytes]:
    """The header section's fields in order, each with its folds as they are."""
    section = content.partition(b"\r\n\r\n")[0]
    return [part for part in re.split(rb"\r\n(?![ \t])", section) if part]


def changes(sent: bytes, received: bytes) -> list[str]:
    """What differs in a received message: headers that were sent, and the body, byte for byte.

    Headers that servers on the way added do not count, nor where they stand.
    """
    found = []
    arrived = fields(received)
    for field in fields(sent):
        if field not in arrived:
            name = field.partition(b":")[0]
            instead = [one for one in arrived if one.lower().startswith(name.lower() + b":")]
            shown = ", ".join(repr(one.decode(errors="replace")) for one in instead) or "nothing"
            found.append(f"header {name.decode()} changed: {shown} in place of {field!r}")
    body, got = sent.partition(b"\r\n\r\n")[2], received.partition(b"\r\n\r\n")[2]
    if body != got:
        pairs = enumerate(zip(body, got, strict=False))
        at = next((i for i, (a, b) in pairs if a != b), min(len(body), len(got)))
        was, now = body[max(0, at - 10) : at + 30], got[max(0, at - 10) : at + 30]
        found.append(
            f"body changed at byte {at} ({len(body)} sent, {len(got)} received): "
            f"{now!r} in place of {was!r}"
        )
    return found


def received_from(content: bytes, hostname: str) -> str | None:
    """The topmost Received header that the server itself wrote for the client, unfolded.

    A hand-over inside the server (LMTP, a content filter on 127.0.0.1) writes one too, above it
    or with `by` another name; the lowest one `by` the server's name is the client's.
    """
    mine = [
        unfolded
        for field in fields(content)
        if (unfolded := re.sub(r"\s+", " ", field.decode(errors="replace"))).startswith("Received:")
        and f" by {hostname} " in unfolded
        and " from " in unfolded
    ]
    return mine[-1] if mine else None
