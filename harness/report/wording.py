"""Observations in words that are the same in every run, as far as what was seen is.

Seconds, process ids, queue ids, nonces and the like say nothing, and would make two reports of the
same facts differ.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from harness.claims_verdict import CaseResult, Seen

WIDEST = 160
"""Characters of a log line that are shown."""
TELLING_KEYS = ("line", "log", "why", "greeting", "text", "reply", "error")
"""Where the evidence is in words, the most telling first."""

MOST = 4
"""Different outcomes that are named."""
PLAINEST = ("smtp", "external-to-external")
"""Subjects whose evidence is the easiest to read, where there are several."""

_ALWAYS = (
    # The journal's, rsyslog's and the programs' own timestamps, with the host's name.
    (re.compile(r"^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d+)? \S+ "), ""),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S*(?: mail (?=\S+:))? ?"), ""),
    (re.compile(r"(?<=\w)\[\d+\](?=:)"), ""),  # process ids
    (re.compile(r"\b(pid|fd)=\d+"), r"\1=…"),
    (re.compile(r"^\w*\d+: (?=as \w+: )"), ""),  # the machine's name within its run
    (re.compile(r"^\d+ (?=\S+\.service\b)"), ""),  # systemd's jobs
    (re.compile(r"fe80::[0-9a-f:]+(?:%\w+)?"), "fe80::…"),
    (re.compile(r"\b(?:[0-9a-f]{64}|[0-9a-f]{12})\b"), "…"),  # nonces, containers
    (re.compile(r"\b(?=[0-9A-F]*\d)[0-9A-F]{8,12}\b(?=:|$)"), "…"),  # queue ids
    (re.compile(r", (?:conn_use=\d+|delay=[\d.]+|delays=[\d./]+)"), ""),
    (re.compile(r" in \d+ secs\b"), ""),
    (re.compile(r"> [A-Za-z0-9+/]{22} Saved"), "> … Saved"),  # Dovecot's ids
    (re.compile(r"\s+"), " "),
)
_TROUBLE = (
    re.compile(r"denied|[Nn]o such|does not exist|[Cc]annot|need at least"),
    # A job that waits for another may only be there because what failed is started once more.
    re.compile(r"start running"),
    re.compile(r"\b(?:Error|ERROR|error|failed)\b"),
    # What is told to end warns of that as well, and two that write at once do so in any order.
    re.compile(r"\bWARN\b"),
)
"""What the line that explains a failure has, the surest signs first."""
_LOGGED_BY = re.compile(r"^[\w.-]+: (?=\S)")
_SENT = re.compile(r"status=sent")


def settled(text: str) -> str:
    """A line without what differs from run to run."""
    for pattern, instead in _ALWAYS:
        text = pattern.sub(instead, text)
    return text.strip()


def shown(seen: Seen, result: CaseResult) -> str:
    """What was seen, in a few words: the outcome, or the line of the evidence that tells."""
    observation = seen.observation
    if seen.text != observation.outcome:
        return telling(seen, result)
    match observation.kind:
        case "storage":
            return f"{float(f'{int(seen.text) / 1e6:.2g}'):g} MB"
        case "client_address" if seen.text == observation.evidence.get("source"):
            return "the client's own"
        case "deployment" if "why" in observation.evidence:
            return f"{seen.text}: {telling(seen, result)}"
    return settled(seen.text)


def aside(seen: Seen, result: CaseResult) -> str:
    """The telling line, where `shown` does not have it already."""
    line = telling(seen, result)
    return "" if line in shown(seen, result) else line


def telling(seen: Seen, result: CaseResult) -> str:
    """The line of the evidence that shows it best, or nothing."""
    case, evidence = result.case, seen.observation.evidence
    keys = [case.evidence] if case.evidence in evidence else TELLING_KEYS
    for key in keys:
        given = evidence.get(key or "")
        lines = given if isinstance(given, list) else str(given or "").splitlines()
        # What follows an arrow is where this run's evidence lies.
        said = [str(line) for line in lines if line and not str(line).lstrip().startswith("→")]
        if said:
            patterns = [re.compile(case.holds)] if case.evidence and case.holds else []
            return _cut(settled(_first(said, [*patterns, _SENT, *_TROUBLE], key == "why")))
    return ""


def trouble(text: str) -> str:
    """The line that explains a failure best; not who logged it, which the journal guesses."""
    said = [line for line in text.splitlines() if line and not line.lstrip().startswith("→")]
    return _cut(_LOGGED_BY.sub("", settled(_first(said, _TROUBLE, True)))) if said else ""


def _first(lines: list[str], patterns: Iterable[re.Pattern[str]], is_failure: bool) -> str:
    if len(lines) > 1 or is_failure:
        for pattern in patterns:
            for line in lines:
                if pattern.search(line) and not pattern.fullmatch(""):
                    return line
    return lines[0]


def _cut(text: str) -> str:
    return text if len(text) <= WIDEST else text[: WIDEST - 1].rstrip() + "…"


def counted(result: CaseResult) -> str:
    """What decided a case, the most frequent first: `10.89.0.2 ×24, no answer`."""
    counts = Counter(shown(seen, result) for seen in result.telling)
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    said = [f"{what} ×{times}" if times > 1 else what for what, times in ordered]
    if len(said) > MOST:
        said[MOST:] = [f"{len(said) - MOST} more"]
    return ", ".join(said)


def examples(result: CaseResult, at_most: int) -> list[Seen]:
    """Some of the observations that decide a case, one of each sort, in a stable order."""
    chosen: dict[str, Seen] = {}
    for seen in sorted(result.telling, key=lambda s: s.observation.subject not in PLAINEST):
        chosen.setdefault(shown(seen, result), seen)
    return list(chosen.values())[:at_most]


def place(seen: Seen) -> str:
    """Where an observation was made: the scenario variant, and the vantage."""
    observation = seen.observation
    where = f" from {observation.vantage}" if observation.vantage else ""
    return f"{observation.deployment}{where}"
