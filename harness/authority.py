"""The run's own certificate authority. It exists in memory, and for one process."""

from __future__ import annotations

import ssl
from functools import cache

import trustme


@cache
def _authority() -> trustme.CA:
    return trustme.CA(key_type=trustme.KeyType.ECDSA)


def certificate(hostname: str) -> tuple[bytes, bytes]:
    """A certificate for a host name, as PEM: the chain and the private key."""
    issued = _authority().issue_cert(hostname, key_type=trustme.KeyType.ECDSA)
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    return chain + _authority().cert_pem.bytes(), issued.private_key_pem.bytes()


def serving(hostname: str) -> ssl.SSLContext:
    """What a server of that name uses."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _authority().issue_cert(hostname, key_type=trustme.KeyType.ECDSA).configure_cert(context)
    return context


def trusting() -> ssl.SSLContext:
    """What a client uses that trusts this authority and nobody else, and checks host names."""
    context = ssl.create_default_context(cadata=_authority().cert_pem.bytes().decode())
    assert context.check_hostname
    return context
