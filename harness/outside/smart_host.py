"""The outside world's smart host: a submission server that passes on mail of its customers only.

Operators send through one where their own address may not send mail. It wants STARTTLS and a
login, and keeps what it takes, so that mail can be seen to have come this way and no other.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

from harness import authority
from harness.outside.sink import Sink

if TYPE_CHECKING:
    from aiosmtpd.smtp import AuthResult

HOSTNAME: Final = "relay.outside.example"
"""What operators name as their relay host."""
PORT: Final = 587
USER: Final = "customer-1"
PASSWORD: Final = "relay-secret-3"  # noqa: S105 - it opens nothing but this
"""What the smart host's only customer logs in with."""


def _authenticate(
    server: object, session: object, envelope: object, mechanism: str, data: object
) -> AuthResult:
    """Judge a login (called by aiosmtpd) by PLAIN or LOGIN."""
    from aiosmtpd.smtp import AuthResult, LoginPassword

    right = (
        isinstance(data, LoginPassword)
        and hmac.compare_digest(data.login, USER.encode())
        and hmac.compare_digest(data.password, PASSWORD.encode())
    )
    # Not handled: aiosmtpd itself says 235 or 535.
    return AuthResult(success=right, handled=False, auth_data=data if right else None)


def smart_host() -> Sink:
    """A smart host with a certificate of the run's own authority; it does not serve yet."""
    return Sink(HOSTNAME, authenticator=_authenticate, tls=authority.serving(HOSTNAME))
