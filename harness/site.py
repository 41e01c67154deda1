"""What a probe needs to know about a deployed mail server, and nothing about how it got there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import ssl

    from harness.machines.execution import Completed
    from harness.observations import Observations
    from harness.outside.sink import Sink
    from harness.vantage import Vantage

Service = Literal["smtp", "imap", "submissions", "submission", "imaps"]
"""What answers on a port: SMTP (25), IMAP (143), submission with implicit TLS (465), submission
with STARTTLS (587), IMAP with implicit TLS (993)."""
PORT_OF: Mapping[Service, int] = {
    "smtp": 25,
    "imap": 143,
    "submissions": 465,
    "submission": 587,
    "imaps": 993,
}
"""Where the services are in the container, whatever the machine's ports are."""


@dataclass(frozen=True, slots=True)
class Account:
    """A mailbox and its password."""

    address: str
    password: str


@dataclass(frozen=True, slots=True)
class Site:
    """A deployed mail server as its users see it.

    Attributes:
        hostname: the server's own name, as in its certificate and banner (`mail.example.com`).
        domain: the mail domain that it is responsible for (`example.com`).
        address: the machine's address, IPv4 where it has one, for address literals.
        accounts: its mailboxes; the first is the probes' recipient, the second their sender
            (the first again where there is only one).
        alias: an address of the domain that leads to the first mailbox, or None.
        published: port on the machine → service.
        unpublished: ports on the machine that nothing may answer on.
        vantages: all places to connect from.
        outside_domain: a domain whose mail exchanger is the sink.
        sink: the recording mail exchanger of the outside world.
        smart_host: the recording relay host of the outside world.
        tls: verifies certificates against the run's own CA, and host names.
        mail_log: returns the mail server's whole log so far.
        execute: runs a command line where the mail server runs, in its container.
        observations: where facts go.
    """

    hostname: str
    domain: str
    address: str
    accounts: Sequence[Account]
    alias: str | None
    published: Mapping[int, Service]
    unpublished: Sequence[int]
    vantages: Sequence[Vantage]
    outside_domain: str
    sink: Sink
    smart_host: Sink
    tls: ssl.SSLContext
    mail_log: Callable[[], Awaitable[str]]
    execute: Callable[[str], Awaitable[Completed]]
    observations: Observations

    @property
    def recipient(self) -> Account:
        """The mailbox that the probes' mail goes to."""
        return self.accounts[0]

    @property
    def sender(self) -> Account:
        """The mailbox whose owner sends the probes' mail."""
        return self.accounts[1] if len(self.accounts) > 1 else self.accounts[0]

    def port_of(self, service: Service) -> int | None:
        """The machine's port that leads to a service, or None where it is not published."""
        return next((port for port, name in self.published.items() if name == service), None)
