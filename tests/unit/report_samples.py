"""Records of runs for tests of the report: such observations as a real run makes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from harness.addresses import CLIENTS, LOCALHOST, MACHINE
from harness.observations import Observations
from harness.vantage import Family

PORTS = {"smtp": 25, "submissions": 465, "submission": 587, "imap": 143, "imaps": 993}
CLOSED = (24, 110, 995, 4190)
VANTAGES = tuple(
    f"{place}_v{family}"
    for place in (*(client.place for client in CLIENTS), "localhost", "self")
    for family in (4, 6)
)
FORMS = ("external-to-external", "internal-to-external", "nmap-01", "nmap-02", "nmap-03")
PHASES = ("boot", "prepare", "start", "ready", "probes", "down")
HOSTILE = (
    "<script>window.hacked = 1</script>",
    "</script><img src=x onerror='window.hacked = 1'>",
    "<!-- --> ]]> ' \" & {{ 7 * 7 }} ${7 * 7}",
    "\x00\x07\x1b[31mred\x1b[0m\r\u202eevil\u2066\ud800 lone",
)
"""What a mail server or a client might say to whoever reads of it."""


def source_of(vantage: str) -> str | None:
    place, _, family = vantage.rpartition("_v")
    digit: Family = 4 if family == "4" else 6
    return {client.place: client.addresses[digit] for client in CLIENTS}.get(place)


def target_of(vantage: str) -> str:
    digit: Family = 4 if vantage.endswith("4") else 6
    return (LOCALHOST if vantage.startswith("localhost") else MACHINE)[digit]


def deployed(
    run: Path,
    scenario: str,
    *,
    relays: Iterable[str] = (),
    expected: Iterable[str] | None = (),
    silent: Iterable[str] = (),
    reachable: Iterable[str] = VANTAGES,
    seen_as: str | None = None,
    at: float = 1_790_000_000.0,
    more_dns: int = 0,
) -> Observations:
    """Append a deployment's observations to a run.

    Args:
        run: the run's folder.
        scenario: the variant's id.
        relays: the vantages from where strangers' mail is relayed.
        expected: those from where it is expected, or None where that is not recorded.
        silent: the vantages from which nothing answers.
        reachable: those from which an answer is expected.
        seen_as: the address that all clients have for the server; None for their own.
        at: when it begins, in seconds since the epoch.
        more_dns: how many DNS queries are observed as well.
    """
    seen = Observations(scenario, run / "observations.jsonl")
    seen.record("mail server", "image", "stand-in standin-0123456789abcdef (asked for)")
    facts = {"distribution": "debian 13", "podman": "podman version 5.4.2", "selinux": "absent"}
    for fact, value in {**facts, "kernel of its own": "no"}.items():
        seen.record("machine", fact, value)
    said = {"vantages": list(reachable), "checks": "matrix"}
    if expected is not None:
        said |= {"relays_from": list(expected), "why": "the address is in mynetworks"}
    seen.record("scenario", "reachable", str(len(VANTAGES)), None, **said)
    seen.record("deployment", "start", "came up")
    process = "pasta.avx2" if seen_as is None else "rootlessport"
    line = f'LISTEN 0      128    *:25 *:* users:(("{process}",pid=238,fd=6))'
    seen.record("forwarder", "25", process, line=line)
    seen.record("container", "network mode", "pasta" if seen_as is None else "bridge")
    seen.record("mail server", "mynetworks", "127.0.0.0/8 [::1]/128")
    seen.record("delivery", "outside to mailbox", "unchanged", VANTAGES[0], reply="250 2.0.0 Ok")
    seen.record("outgoing", "submission", "unchanged", VANTAGES[0], reply="250 2.0.0 Ok")
    for vantage in VANTAGES:
        answers = vantage not in set(silent)
        for service, port in PORTS.items():
            outcome = "answers" if answers else "refused"
            greeting = [f"220 mail.example.com ESMTP ({service})"] if answers else []
            seen.record("port", str(port), outcome, vantage, service=service, greeting=greeting)
        for port in CLOSED:
            seen.record("port", str(port), "refused", vantage, service=None)
        _client(seen, vantage, answers, seen_as)
        for form in FORMS:
            relayed, refused = vantage in set(relays), {"code": 554, "text": "5.7.1 denied"}
            outcome = "relayed" if relayed else "refused" if answers else "no answer"
            seen.record("relay", form, outcome, vantage, **({} if relayed else refused))
    for number in range(more_dns):
        seen.record("dns", f"MX domain{number}.example", "asked", client="203.0.113.10")
    for phase in PHASES:
        seen.record("phase", phase, "ended", seconds=1.25)
    _at(run, scenario, at)
    return seen


def _client(seen: Observations, vantage: str, answers: bool, seen_as: str | None) -> None:
    own = source_of(vantage) or MACHINE[4 if vantage.endswith("4") else 6]
    address = (seen_as or own) if answers else "no answer"
    for service in ("smtp", "imaps"):
        local = seen_as or target_of(vantage) if service == "imaps" else None
        seen.record(
            "client_address",
            service,
            address,
            vantage,
            line=f"postfix/smtpd[12]: NOQUEUE: reject: RCPT from mail.example.com[{address}]: 550",
            local=local,
            source=source_of(vantage),
            target=target_of(vantage),
        )


def _at(run: Path, scenario: str, at: float) -> None:
    """Let a deployment's observations lie a hundredth of a second apart, its phases a whole one."""
    file = run / "observations.jsonl"
    made = []
    for line in file.read_text(encoding="utf-8").splitlines():
        fact = json.loads(line)
        if fact["scenario"] == scenario:
            at += 1.25 if fact["kind"] == "phase" else 0.01
            fact["at"] = at
        made.append(json.dumps(fact) + "\n")
    file.write_text("".join(made), encoding="utf-8")


def sample_run(folder: Path) -> Path:
    """A run with something of everything that the pictures can show."""
    run = folder / "20261123-120000-abcd"
    run.mkdir()
    everywhere, v6 = set(VANTAGES), [each for each in VANTAGES if each.endswith("6")]
    lan = [each for each in VANTAGES if "lan" in each]
    v4 = [each for each in VANTAGES if each not in v6]
    deployed(run, "pasta_quadlet-permit_unset", at=1_790_000_000)
    deployed(run, "pasta_quadlet-permit_host", relays=lan, expected=lan, at=1_790_000_004)
    deployed(
        run,
        "compose-permit_container",
        relays=everywhere,
        expected=everywhere,
        seen_as="10.89.0.2",
        at=1_790_000_010,
    )
    deployed(run, "compose-permit_none", relays=["outside_far_v4"], seen_as="10.89.0.2")
    deployed(run, "compose-permit_network", expected=["localhost_v4"], at=1_790_000_016)
    deployed(run, "rootful-permit_unset", silent=v6, reachable=v4, at=1_790_000_012)
    deployed(run, "rootful-permit_none", silent=["self_v4"], at=1_790_000_014)
    deployed(run, "old-permit_host", relays=["peer_v4", *lan], expected=None)
    failed = Observations("guide-as_written", run / "observations.jsonl")
    failed.record("scenario", "reachable", "0", vantages=[], checks="start")
    failed.record("deployment", "start", "failed", why="compose up failed\nno such volume")
    failed.record("phase", "boot", "ended", seconds=1.0)
    _at(run, failed.scenario, 1_790_000_018)
    tests = [
        ("test_ports.py::test_port[pasta_quadlet-permit_unset-smtp-self_v4]", "passed", ""),
        ("test_relay.py::test_none[compose-permit_none-outside_far_v4]", "failed", "an open relay"),
        ("test_ports.py::test_port[rootful-permit_none-smtp-self_v4]", "error", "no machine"),
        ("test_start.py::test_comes_up[guide-as_written]", "skipped", "not applicable"),
    ]
    keys = ("nodeid", "outcome", "message")
    lines = [json.dumps(dict(zip(keys, test, strict=True)) | {"seconds": 0.5}) for test in tests]
    (run / "tests.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return run


def hostile_run(folder: Path) -> Path:
    """A run in which everything that was observed is meant to do harm."""
    run = folder / "hostile"
    run.mkdir()
    facts = []
    for number, text in enumerate(HOSTILE):
        scenario = f"bad{number}-{text}"
        common = {"scenario": scenario, "at": 1_790_000_000.0 + number}
        facts += [
            {"kind": "mail server", "subject": "image", "outcome": text, "vantage": None},
            {"kind": "machine", "subject": text, "outcome": text, "vantage": None},
            {"kind": "forwarder", "subject": "25", "outcome": text, "vantage": None},
            {"kind": "container", "subject": "network mode", "outcome": text, "vantage": None},
            {"kind": "port", "subject": text, "outcome": "answers", "vantage": text}
            | {"evidence": {"service": text, "greeting": [text]}},
            {"kind": "relay", "subject": text, "outcome": "relayed", "vantage": text},
            {"kind": "client_address", "subject": "smtp", "outcome": text, "vantage": text}
            | {"evidence": {"source": text, "target": text, "local": text, text: text}},
            {"kind": "deployment", "subject": "start", "outcome": "failed", "vantage": None}
            | {"evidence": {"why": text}},
            {"kind": "phase", "subject": text, "outcome": "ended", "vantage": None}
            | {"evidence": {"seconds": 1.0}},
        ]
        facts[-9:] = [{"evidence": {}} | fact | common for fact in facts[-9:]]
    big = {"kind": "log", "subject": "big", "outcome": "seen", "vantage": None, "at": 1_790_000_000}
    facts.append(big | {"scenario": "big-one", "evidence": {"log": "<b>x</b>" * 131_072}})
    lines = (json.dumps(fact) + "\n" for fact in facts)
    (run / "observations.jsonl").write_text("".join(lines), encoding="utf-8")
    return run
