"""A small but real mail server on loopback; holds no tests itself.

SMTP is aiosmtpd's. IMAP is a responder of our own, since no package has a server.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from typing import Any

import aiosmtplib
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from harness.site import Account, Service

HOSTNAME, DOMAIN, OUTSIDE = "mail.example.com", "example.com", "outside.test"
ALICE = Account("alice@example.com", "secret-a")
BOB = Account("bob@example.com", "secret-b")


class Behaviour:
    """How the server treats a stranger's mail for the outside.

    `refuse` (554), `defer` (450), `relay`, `swallow` (250, but it never arrives), `hang up`.
    """

    def __init__(self, strangers: str = "refuse", greet_wait: float = 0.2) -> None:
        self.strangers = strangers
        self.greet_wait = greet_wait
        self.errors_until_421 = 1000
        self.seen: list[str] = []


class MailServer:
    """The handler of all its SMTP ports, its mailboxes and its log."""

    def __init__(self, behaviour: Behaviour, sink_port: int) -> None:
        self.behaviour = behaviour
        self.sink_port = sink_port
        self.mail: list[bytes] = []
        self.news = asyncio.Condition()
        self.log: list[str] = []
        self.number = 0xABC000
        self.tasks: set[asyncio.Task[None]] = set()
        self.transports: list[Any] = []

    def note(self, text: str) -> None:
        self.log.append(f"2026-11-22T21:00:50.500372+00:00 mail {text}")

    def login(self, server: Any, session: Any, *rest: Any) -> AuthResult:
        data = rest[-1]
        assert isinstance(data, LoginPassword)
        right = Account(data.login.decode(), data.password.decode()) in (ALICE, BOB)
        return AuthResult(success=right, handled=False, auth_data=data)

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        user, _, domain = address.rpartition("@")
        answer = "250 2.1.5 Ok"
        self.behaviour.seen.append(address)
        if domain == DOMAIN:
            if user.partition("+")[0] not in ("alice", "bob", "info"):
                answer = f"550 5.1.1 <{address}>: Recipient address rejected: User unknown"
        elif not session.authenticated:
            answer = {
                "refuse": f"554 5.7.1 <{address}>: Relay access denied",
                "defer": f"450 4.7.1 <{address}>: try later",
                "hang up": "421 4.7.0 Error: too many errors",
            }.get(self.behaviour.strangers, answer)
        if server.submission and not session.authenticated:
            answer = "554 5.7.1 Client host rejected: Access denied"
        if not answer.startswith("250"):
            server.errors += 1
            if server.errors > self.behaviour.errors_until_421 or answer.startswith("421"):
                answer = "421 4.7.0 mail.example.com Error: too many errors"
                asyncio.get_running_loop().call_later(0.01, server.transport.close)
            program = "postfix/submission/smtpd" if server.submission else "postfix/smtpd"
            self.note(
                f"{program}[9]: NOQUEUE: reject: RCPT from unknown[{session.peer[0]}]: {answer}; "
                f"from=<{envelope.mail_from}> to=<{address}> proto=ESMTP helo=<h>"
            )
        else:
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        content = b"Received: from x (unknown [127.0.0.1])\r\n\tby mail.example.com (Postfix)\r\n"
        content += envelope.original_content
        found = re.search(rb"(?im)^message-id: *<([^>]*)>", content)
        self.number += 1
        queue_id = f"{self.number:X}"
        self.note(f"postfix/smtpd[9]: {queue_id}: client=unknown[{session.peer[0]}]")
        name = found[1].decode() if found else ""
        self.note(f"postfix/cleanup[8]: {queue_id}: message-id=<{name}>")
        task = asyncio.create_task(self._deliver(queue_id, envelope, content))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return f"250 2.0.0 Ok: queued as {queue_id}"

    async def _deliver(self, queue_id: str, envelope: Any, content: bytes) -> None:
        for recipient in envelope.rcpt_tos:
            if recipient.endswith(f"@{DOMAIN}"):
                async with self.news:
                    self.mail.append(content)
                    self.news.notify_all()
            elif self.behaviour.strangers != "swallow" or OUTSIDE not in envelope.mail_from:
                sender = envelope.mail_from.strip("<>")
                async with aiosmtplib.SMTP(
                    hostname="127.0.0.1",
                    port=self.sink_port,
                    start_tls=False,
                    local_hostname=HOSTNAME,
                ) as client:
                    await client.ehlo()
                    # Odd addresses go on as they came.
                    await client.execute_command(f"MAIL FROM:<{sender}>".encode())
                    await client.execute_command(f"RCPT TO:<{recipient}>".encode())
                    await client.data(content)
        self.note(f"postfix/qmgr[7]: {queue_id}: removed")


def smtp_protocol(server: MailServer, context: ssl.SSLContext, kind: Service) -> SMTP:
    class Connection(SMTP):
        submission = kind != "smtp"
        errors = 0
        greeted = False

        def connection_made(self, transport: Any) -> None:
            server.transports.append(transport)
            super().connection_made(transport)

        async def push(self, status: Any) -> None:
            # As postscreen does: half a greeting, a wait, the rest.
            if kind == "smtp" and not self.greeted:
                self.greeted = True
                await super().push(status.replace("220 ", "220-", 1))
                await asyncio.sleep(server.behaviour.greet_wait)
            await super().push(status)

    implicit = kind == "submissions"
    return Connection(
        server,
        hostname=HOSTNAME,
        ident="ESMTP",
        enable_SMTPUTF8=True,
        tls_context=None if implicit else context,
        require_starttls=kind == "submission",
        authenticator=server.login if kind != "smtp" else None,
        auth_require_tls=not implicit,
        auth_exclude_mechanism=["LOGIN"] if kind != "smtp" else ["LOGIN", "PLAIN"],
        loop=asyncio.get_running_loop(),
    )


class ImapServer:
    """As much of IMAP as the probes use."""

    def __init__(self, server: MailServer, context: ssl.SSLContext, *, implicit: bool) -> None:
        self.server = server
        self.context = context
        self.implicit = implicit

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tls, known = self.implicit, 0

        def say(text: str) -> None:
            writer.write(text.encode() + b"\r\n")

        def words() -> str:
            return "IMAP4rev1 IDLE" + (" AUTH=PLAIN" if tls else " STARTTLS LOGINDISABLED")

        say(f"* OK [CAPABILITY {words()}] ready")
        while line := (await reader.readline()).decode().strip():
            tag, _, rest = line.partition(" ")
            command = rest.upper()
            if command == "CAPABILITY":
                say(f"* CAPABILITY {words()}")
            elif command == "STARTTLS":
                say(f"{tag} OK begin")
                await writer.start_tls(self.context)
                tls = True
                continue
            elif command.startswith("LOGIN"):
                user, password = (one.strip('"') for one in rest.split(" ")[1:3])
                if not tls:
                    say(f"{tag} NO [PRIVACYREQUIRED] no")
                    continue
                if Account(user, password) not in (ALICE, BOB):
                    peer = writer.get_extra_info("peername")[0]
                    self.server.note(
                        "dovecot: imap-login: Login aborted: Logged out (auth_failed):"
                        f" user=<{user}>, method=PLAIN, rip={peer}, lip=127.0.0.1, TLS"
                    )
                    say(f"{tag} NO [AUTHENTICATIONFAILED] no")
                    continue
            elif command.startswith("SELECT"):
                say(f"* {len(self.server.mail)} EXISTS")
            elif command.startswith("UID SEARCH"):
                known = len(self.server.mail)
                say("* SEARCH " + " ".join(str(uid) for uid in range(1, known + 1)))
            elif command.startswith("UID FETCH"):
                for uid in (int(one) for one in rest.split(" ")[2].split(",")):
                    content = self.server.mail[uid - 1]
                    say(f"* {uid} FETCH (UID {uid} BODY[] {{{len(content)}}}")
                    writer.write(content + b")\r\n")
            elif command == "IDLE":
                say("+ idling")
                done = asyncio.create_task(reader.readline())
                while not done.done():
                    async with self.server.news:
                        if len(self.server.mail) > known:
                            known = len(self.server.mail)
                            say(f"* {known} EXISTS")
                        news = asyncio.create_task(self.server.news.wait())
                        await asyncio.wait({done, news}, return_when=asyncio.FIRST_COMPLETED)
                        if not news.done():
                            news.cancel()
                            await asyncio.wait({news})
            elif command == "LOGOUT":
                say("* BYE")
                say(f"{tag} OK bye")
                return
            say(f"{tag} OK done")
            await writer.drain()
