"""The shell's commands, and how they are read: from a terminal, a pipe, or the command line."""

from __future__ import annotations

import cmd
import difflib
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Final

from rich.console import Console as Terminal

from harness.errors import HarnessError
from harness.shell import show
from harness.site import PORT_OF

if TYPE_CHECKING:
    from harness.machines.execution import Completed
    from harness.shell.visit import Visit
    from harness.site import Account, Service
    from harness.vantage import Vantage

PROMPT: Final = "dms> "
LOG_LINES: Final = 30
FAILED: Final = 2
"""The status of a command that could not do what it is there for."""
INTERRUPTED: Final = 130
ARGUMENTS: Final = {
    "ports": "[VANTAGE…]",
    "who": "[VANTAGE…]",
    "relay": "[VANTAGE…] [all]",
    "send": "[VANTAGE] [TO] [SERVICE]",
    "fetch": "[ACCOUNT]",
    "log": "[N]",
    "exec": "COMMAND",
    "machine": "COMMAND",
    "operator": "COMMAND",
    "help": "[COMMAND]",
}
"""What follows a command; those in brackets may be left out."""
ENDS: Final = ("exit", "quit", "EOF")
SUMMARY_WIDTH: Final = 100
"""Columns where the output is no terminal."""


class Console(cmd.Cmd):
    """Carries out one line after the other; nothing that goes wrong in one ends it.

    Args:
        visit: what it is about.
        described: what is shown of it at the beginning, and again by `info`.

    Attributes:
        status: of the first command that did not end well, or 0. `exec`, `machine` and `operator`
            end with their command's status; `relay` with 1 unless all was refused; `send` with 1
            unless it arrived; the others with 1 where something was not as it should be; 2 is a
            word that is none or a failure of the harness.
    """

    prompt = PROMPT

    def __init__(self, visit: Visit, described: Iterable[str]) -> None:
        super().__init__()
        self.visit = visit
        self.described = list(described)
        self.status = 0

    # -- how it runs ---------------------------------------------------------------------------

    def talk(self) -> None:
        """Read lines from the terminal until its end; Ctrl-C ends a line, not the shell."""
        while True:
            try:
                self.cmdloop()
            except KeyboardInterrupt:  # at the prompt
                _say("")
            else:
                return

    def follow(self, lines: Iterable[str]) -> int:
        """Carry out lines, each shown as if it were typed; return the status."""
        for line in lines:
            _say(f"{PROMPT}{line.rstrip()}")
            if self.onecmd(line.strip()):
                break
        return self.status

    def onecmd(self, line: str) -> bool:
        """Carry out one line; whether it is the last."""
        name = line.split(maxsplit=1)[0] if line.split() else ""
        if name in ENDS:
            if name == "EOF":
                _say("")
            return True
        try:
            status = int(super().onecmd(line) or 0)
        except HarnessError as error:
            _say(f"{name}: {error}")
            status = FAILED
        except (OSError, TimeoutError) as error:
            _say(f"{name}: {str(error) or repr(error)}")
            status = FAILED
        except CancelledError:
            _say(f"{name}: it was given up")
            status = FAILED
        except KeyboardInterrupt:
            _say(f"{name}: interrupted")
            status = INTERRUPTED
        self.status = self.status or status
        return False

    def emptyline(self) -> bool:
        """Nothing; the base class would do the last line again."""
        return False

    def default(self, line: str) -> None:
        """Say that there is no such command.

        Raises:
            HarnessError: always.
        """
        name = line.split()[0]
        meant = difflib.get_close_matches(name, self._commands(), 1)
        raise HarnessError(
            "there is no such command", f"did you mean {meant[0]}?" if meant else "see help"
        )

    def completenames(self, text: str, *_: object) -> list[str]:
        """The commands that begin so; what follows is another word."""
        return [f"{name} " for name in self._commands() if name.startswith(text)]

    def completedefault(self, text: str, *_: object) -> list[str]:
        """Words that a command may take: vantages, addresses, services."""
        site = self.visit.site
        words = [each.name for each in site.vantages] + [each.address for each in site.accounts]
        words += site.published.values()
        return [f"{word} " for word in words if word.startswith(text)]

    # -- commands ------------------------------------------------------------------------------

    def do_info(self, _: str) -> int:
        """How to log in, the ports, the accounts, and the folder of the record."""
        for line in self.described:
            _say(line)
        return 0

    def do_vantages(self, _: str) -> int:
        """The places that mail is sent and fetched from, and their addresses."""
        for one in self.visit.site.vantages:
            source = f"from {one.source} " if one.source else ""
            _say(f"{one.name:20} {source}to {one.target}")
        return 0

    def do_ports(self, words: str) -> int:
        """What answers on which port, from everywhere where no vantage is named."""
        return _told(show.ports(self.visit.ports(self.visit.vantages(words.split()))))

    def do_who(self, words: str) -> int:
        """The address that the mail server logs for a client on port 25."""
        return _told(show.who(self.visit.who(self.visit.vantages(words.split()))))

    def do_relay(self, words: str) -> int:
        """Send a stranger's mail for the outside: plainly, or in all forms."""
        named = [word for word in words.split() if word != "all"]
        vantages = self.visit.vantages(named) if named else [self.visit.main]
        return _told(show.relay(self.visit.relay(vantages, "all" in words.split())))

    def do_send(self, words: str) -> int:
        """Send a message, show every reply, and look where it arrives.

        By smtp it is a stranger's; by submission or submissions a user's, who logs in. By default
        it goes from the first client outside to the first mailbox, by submission.
        """
        vantage, recipient, service = self._letter(words.split())
        _say(f"{vantage.name}, {service}:")
        return _told(show.sent(self.visit.send(vantage, recipient, service)))

    def do_fetch(self, words: str) -> int:
        """List the messages of a mailbox, the first by default, and show the newest."""
        account = self._account(words)
        return _told(show.mailbox(account.address, self.visit.fetch(account)))

    def do_observe(self, _: str) -> int:
        """Run all probes from everywhere, and sum up what they see."""
        from dataclasses import asdict

        from harness.report.terminal import print_tables

        seen = self.visit.observe()
        width = None if sys.stdout.isatty() else SUMMARY_WIDTH
        print_tables(
            Terminal(width=width),
            {self.visit.deployment.scenario.id: [asdict(one) for one in seen]},
            failed={},
        )
        _say(f"{len(seen)} observations: {self.visit.record}")
        return 0

    def do_log(self, words: str) -> int:
        """The last lines of the mail server's log, 30 by default."""
        if words and not (words.isdecimal() and int(words)):
            raise HarnessError(f"{words!r} is no number of lines", "log 100")
        return _done(self.visit.log(int(words or LOG_LINES)))

    def do_exec(self, command: str) -> int:
        """Run a command in the mail server's container."""
        return _run(self.visit.execute, command)

    def do_machine(self, command: str) -> int:
        """Run a command on the machine, as root."""
        return _run(self.visit.on_machine, command)

    def do_operator(self, command: str) -> int:
        """Run a command on the machine as the user who launched the container."""
        return _run(lambda line: self.visit.on_machine(line, operator=True), command)

    def do_exit(self, _: str) -> None:
        """Take everything down and leave; so does Ctrl-D."""

    def do_help(self, arg: str) -> int | None:  # type: ignore[override]  # the base returns nothing
        """What there is."""
        if arg and arg not in self._commands():
            self.default(arg)
        for name in [arg] if arg else self._commands():
            said = (getattr(self, f"do_{name}").__doc__ or "").strip().splitlines()
            _say(f"  {f'{name} {ARGUMENTS.get(name, str())}':30} {said[0]}")
            if arg:
                for line in said[1:]:
                    _say(f"  {line.strip()}")
        return 0

    # -- words ---------------------------------------------------------------------------------

    def _commands(self) -> list[str]:
        return [name.removeprefix("do_") for name in vars(Console) if name.startswith("do_")]

    def _account(self, word: str) -> Account:
        accounts = self.visit.site.accounts
        word = word.strip()
        for each in accounts:
            if word in ("", each.address, each.address.partition("@")[0]):
                return each
        known = ", ".join(each.address for each in accounts)
        raise HarnessError(f"{word!r} is no mailbox", f"there are {known}")

    def _letter(self, words: list[str]) -> tuple[Vantage, str, Service]:
        """From where, to whom and by which service; the words may come in any order."""
        site = self.visit.site
        vantage, recipient = self.visit.main, site.recipient.address
        published = [name for name in PORT_OF if name in site.published.values()]
        services = [name for name in published if not name.startswith("imap")]
        by_login = [name for name in ("submission", "submissions") if name in services]
        service: Service = by_login[0] if by_login else "smtp"
        for word in words:
            if "@" in word:
                recipient = word
            elif word in PORT_OF:
                if word not in services:
                    raise HarnessError(
                        f"mail cannot be sent by {word} here", f"but by {', '.join(services)}"
                    )
                service = next(name for name in services if name == word)
            else:
                (vantage, *others) = self.visit.vantages([word])
                if others:
                    raise HarnessError(
                        f"{word} is more than one vantage", f"{vantage.name}, for example"
                    )
        domain = recipient.partition("@")[2]
        if domain not in (site.domain, site.outside_domain):
            raise HarnessError(
                f"nobody would receive mail for {domain} here",
                f"the mail server's own domain is {site.domain}, one outside {site.outside_domain}",
            )
        return vantage, recipient, service


def _run(run: Callable[[str], Completed], command: str) -> int:
    if not command:
        raise HarnessError("which command?", "for example: podman ps")
    return _done(run(command))


def _done(done: Completed) -> int:
    for text in (done.stdout, done.stderr):
        if text:
            _say(text.rstrip("\n"))
    if done.status:
        _say(f"(status {done.status})")
    return done.status


def _told(what: tuple[list[str], bool]) -> int:
    lines, good = what
    for line in lines:
        _say(line)
    return 0 if good else 1


def _say(text: str) -> None:
    print(text, flush=True)
