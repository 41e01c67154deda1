"""Whether TLS works on every port and the certificate verifies for the server's name."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

from harness.probes.imap import ImapFailedError, PeerCertificate, connect
from harness.probes.places import first_of_each_family
from harness.probes.smtp import LostError, session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.observations import Json
    from harness.probes.run import Run
    from harness.site import Service
    from harness.vantage import Vantage

SMTP_PORTS: dict[Service, str] = {
    "smtp": "starttls",
    "submission": "starttls",
    "submissions": "implicit",
}


async def observe_tls(run: Run, *services: Service) -> None:
    """Record kind `tls` (subject: the service) from one place of each sort and family.

    Outcomes: `verified`, `certificate not verified`, `handshake failed`, `no answer`. Evidence:
    the TLS version, the certificate's subject, issuer and `notAfter`, or the error's text.
    """
    await asyncio.gather(
        *(
            run.guarded("tls", service, vantage, _observe(run, vantage, service))
            for vantage in first_of_each_family(run.site)
            for service in services
            if run.site.port_of(service) is not None
        )
    )


async def _observe(run: Run, vantage: Vantage, service: Service) -> None:
    try:
        if service in ("smtp", "submission", "submissions"):
            security = SMTP_PORTS[service]
            async with session(
                run,
                vantage,
                service,
                security="implicit" if security == "implicit" else "starttls",
                context=run.site.tls,
            ) as opened:
                seen = opened.tls
                version = seen.version() if seen else None
                certificate: PeerCertificate | None = seen.getpeercert() if seen else None
        else:
            version, certificate = await connect(
                run, vantage, service, lambda client: client.peer, context=run.site.tls
            )
    except ssl.SSLCertVerificationError as error:
        run.record(
            "tls", service, "certificate not verified", vantage.name, error=error.verify_message
        )
    except (ssl.SSLError, LostError, ImapFailedError) as error:
        run.record("tls", service, "handshake failed", vantage.name, error=str(error))
    else:
        outcome = "verified" if certificate else "handshake failed"
        run.record(
            "tls", service, outcome, vantage.name, version=version, **details(certificate or {})
        )


def details(certificate: Mapping[str, object]) -> dict[str, Json]:
    """The parts of `getpeercert()`'s answer that a reader wants to see."""

    def name(field: str) -> str:
        parts = certificate.get(field)
        if not isinstance(parts, tuple):
            return ""
        return ", ".join(f"{key}={value}" for part in parts for key, value in part)

    alternatives = certificate.get("subjectAltName")
    names = [value for _, value in alternatives] if isinstance(alternatives, tuple) else []
    return {
        "certificate": name("subject"),
        "issuer": name("issuer"),
        "names": names,
        "not_after": str(certificate.get("notAfter", "")),
    }
