"""A short list of claims, and runs that say something of them; holds no tests itself."""

from __future__ import annotations

from pathlib import Path

from harness.observations import Observations
from harness.report.claims import Ledger, ledger_of

CLAIMS = """
[features."SELinux"]
subject = "selinux"
is = "enforcing"
would = "a Fedora"

[C1]
quote = "it starts"
section = "Start"
test = "start it"
[[C1.case]]
when = "compose"
scenario = "compose-*"
kind = "deployment"
holds = "came up"

[C2]
quote = "all IPs are `localhost` | always"
section = "Security"
test = "read the log"
depends = ["network", "image"]
correction.contradicted = "they are not"
correction.depends = "with a bridge they are"
[[C2.case]]
when = "bridge"
scenario = "compose-*"
kind = "client_address"
holds = '127\\..*'
[[C2.case]]
when = "pasta"
scenario = "pasta-*"
kind = "client_address"
holds = '127\\..*'

[C3]
quote = "append :Z"
section = "Security"
test = "with and without"
needs = ["SELinux"]

[C4]
quote = "it works with all options"
section = "Security"
test = "none yet"
"""
LINE = (
    "2026-11-23T01:13:45.{0}+00:00 mail postfix/smtpd[{0}]: NOQUEUE: reject: RCPT from"
    " c[{1}]: 554 5.7.1 <client-{0}{0}{0}{0}@example.com>; helo=<a>"
)


def scenarios_in(base: Path) -> Path:
    """A folder of scenarios, of which there are only the claims."""
    folder = base / "scenarios"
    folder.mkdir()
    (folder / "claims.toml").write_text(CLAIMS)
    return folder


def observed(
    run: Path, compose: str | None = "10.89.0.2", pasta: str | None = None, salt: str = "215"
) -> Path:
    """A run's folder: which address clients have with compose, and with pasta."""
    run.mkdir(exist_ok=True)
    for scenario, address in (("compose-a", compose), ("pasta-a", pasta)):
        if address is None:
            continue
        seen = Observations(scenario, run / "observations.jsonl")
        seen.record("mail server", "image", "stand-in standin-12 (asked for)")
        for fact, value in {
            "distribution": "debian 13",
            "podman": "podman version 5.4.2",
            "selinux": "absent",
            "kernel": f"6.18.{salt}",
        }.items():
            seen.record("machine", fact, value)
        seen.record("deployment", "start", "came up")
        for vantage in ("outside_v4", "outside_v6"):
            line = LINE.format(salt, address)
            seen.record("client_address", "smtp", address, vantage, line=line, nonce=salt)
    return run


def ledger(scenarios: Path, *runs: Path) -> Ledger:
    return ledger_of(runs, scenarios / "claims.toml")
