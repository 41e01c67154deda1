"""What is said of a reproduction: on the terminal, for a thread, and for programs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.report.as_json import schema
from harness.reproduce.claim import FORMS
from harness.reproduce.notes import TITLES, Notes, shown
from harness.reproduce.scrub import Scrubber
from harness.reproduce.verdict import Answer, Held, Outcome

_SEEN = {True: "seen", False: "not seen", None: "inconclusive"}


@dataclass(slots=True)
class Result:
    """A reproduction.

    Attributes:
        answer: the answer.
        why: the reason.
        notes: what is said of the report.
        held: every claim.
        outcome: what was seen; None where nothing was deployed.
        scenario: the nearest scenario's name, or nothing.
        machine: what it was deployed on, in words.
        image: the mail server image, in words.
        files: the operator's file as it was deployed: its name and text.
        places: what was written where, in words.
        infrastructure: what went wrong with machines or this computer, a line each.
    """

    answer: Answer
    why: str
    notes: Notes
    held: Sequence[Held] = ()
    outcome: Outcome | None = None
    scenario: str = ""
    machine: str = ""
    image: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    infrastructure: Sequence[str] = ()


def account(notes: Notes, scrub: Scrubber) -> str:
    """What is said of a report, as indented lines under their titles."""
    lines: list[str] = []
    for sort, title in TITLES.items():
        if found := notes.of(sort):
            lines += [f"{title}:", *(f"  {scrub.text(str(note))}" for note in found)]
    return "\n".join(lines)


def as_markdown(result: Result, scrub: Scrubber) -> str:
    """A comment for a thread; nothing of the reporter's can end a code block or begin a link."""
    lines = [f"### Reproduction: {result.answer}", "", f"{_cell(scrub.text(result.why))}", ""]
    if result.machine:
        lines += [f"Deployed on {result.machine}; mail server: {result.image}.", ""]
    if result.held:
        lines += ["| the report says | here | |", "|---|---|---|"]
        for each in result.held:
            cells = (str(each.claim), _SEEN[each.seen], each.what)
            lines.append("| " + " | ".join(_cell(scrub.text(cell)) for cell in cells) + " |")
        lines.append("")
    elif result.outcome is not None:
        lines += ["Seen:", "", *(f"- {_cell(line)}" for line in overview(result.outcome)), ""]
    if not result.held:
        lines += ["Say what was seen, with `--claim` or in a `claim.toml`, such as:", ""]
        lines += [f"- `{form}`" for form in FORMS] + [""]
    for sort, title in TITLES.items():
        if found := result.notes.of(sort):
            lines += [f"**{title[0].upper()}{title[1:]}**", ""]
            lines += [f"- {_cell(scrub.text(str(note)))}" for note in found] + [""]
    if result.outcome is not None and result.outcome.failure:
        lines += [
            "It did not come up:",
            "",
            *_block(scrub.text(result.outcome.failure)[-3000:]),
            "",
        ]
    for name, text in result.files.items():
        lines += [f"<details><summary>{name}, as deployed</summary>", "", *_block(text), ""]
        lines += ["</details>", ""]
    return "\n".join(lines).rstrip() + "\n"


def overview(outcome: Outcome) -> list[str]:
    """What was seen, in a few lines, for a report that claims nothing."""
    if outcome.failure:
        return ["the mail server did not come up"]
    relayed = sorted(
        {str(one.vantage) for one in outcome.find("relay") if one.outcome == "relayed"}
    )
    lines = [f"relays for strangers from {', '.join(relayed) or 'nowhere'}"]
    clients = outcome.find("client_address", "smtp")
    lines += [f"client address {one.vantage} = {one.outcome}" for one in clients]
    for kind, words in (("delivery", "mail from outside"), ("outgoing", "sending")):
        seen = sorted({one.outcome for one in outcome.find(kind)})
        lines.append(f"{words}: {', '.join(seen) or 'not observed'}")
    return lines


def as_json(result: Result, scrub: Scrubber) -> str:
    """The same for programs."""
    value: dict[str, Any] = {
        "schema": schema("reproduce"),
        "answer": result.answer,
        "why": scrub.text(result.why),
        "scenario": result.scenario,
        "machine": result.machine,
        "mail server": result.image,
        "notes": {
            sort: [scrub.text(str(note)) for note in result.notes.of(sort)] for sort in TITLES
        },
        "claims": [
            {
                "claim": scrub.text(str(each.claim)),
                "from": each.claim.read_from,
                "seen": each.seen,
                "what": scrub.text(each.what),
            }
            for each in result.held
        ],
        "infrastructure": [scrub.text(line) for line in result.infrastructure],
        "places": dict(result.places),
    }
    return json.dumps(value, indent=2, ensure_ascii=False)


def _cell(text: str) -> str:
    """Words as code: only so does a thread make no link, image or mention of them."""
    flat = shown(" ".join(text.split()), 400).replace("`", "'").replace("|", r"\|")
    return f"`{flat}`" if flat else ""


def _block(text: str) -> list[str]:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [fence, text.rstrip(), fence]
