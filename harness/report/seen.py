"""What was seen of a deployment, in few words."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.text import Text

from harness.addresses import CLIENTS, GROUPS, MACHINE, vantages_of
from harness.judge_relay import PLAIN_FORM
from harness.vantage import Family

Fact = dict[str, Any]
OPEN = "bold yellow"
"""How an open relay is shown."""


def apart(facts: Iterable[Fact]) -> list[list[Fact]]:
    """A variant's facts, for each of its deployments in a run."""
    repetitions: dict[int, list[Fact]] = defaultdict(list)
    for fact in facts:
        repetitions[fact.get("repetition", 0)].append(fact)
    return [repetitions[number] for number in sorted(repetitions)]


def together(cells: Iterable[Text]) -> Text:
    """What is said of several deployments: once where it is the same, else how often each."""
    alike: dict[str, list[Text]] = defaultdict(list)
    for cell in cells:
        alike[cell.plain].append(cell)
    if len(alike) == 1:
        return next(iter(alike.values()))[0]
    often = sorted(alike.values(), key=lambda same: -len(same))
    return Text("; ").join(same[0].copy().append(f" ×{len(same)}") for same in often)


def of_kind(facts: Sequence[Fact], kind: str) -> list[Fact]:
    """Those of some facts that are of a kind."""
    return [fact for fact in facts if fact["kind"] == kind]


def ports_answering(facts: Sequence[Fact]) -> Text:
    """How many of the published ports answered where they should, over all vantages."""
    if not any(fact["evidence"].get("service") for fact in of_kind(facts, "port")):
        return Text("–", style="dim")
    return port_count(*counted_ports(facts))


def counted_ports(facts: Sequence[Fact]) -> tuple[int, int, int]:
    """How many published ports answered where they should, of how many, and elsewhere."""
    known = _reachable(facts)
    published = [fact for fact in of_kind(facts, "port") if fact["evidence"].get("service")]
    expected = [fact for fact in published if known is None or fact["vantage"] in known]
    answering = sum(fact["outcome"] == "answers" for fact in expected)
    elsewhere = sum(fact["outcome"] == "answers" for fact in published) - answering
    return answering, len(expected), elsewhere


def port_count(answering: int, expected: int, elsewhere: int) -> Text:
    """How many ports answered of those that were to, and how many others did."""
    good = answering == expected and not elsewhere
    surplus = f"+{elsewhere}" if elsewhere else ""
    return Text(f"{answering}/{expected}{surplus}", style="green" if good else "bold red")


def _reachable(facts: Sequence[Fact]) -> set[str] | None:
    """The vantages from which the ports are expected to answer; None where that is not noted."""
    noted = of_kind(facts, "scenario")
    return {name for fact in noted for name in fact["evidence"]["vantages"]} if noted else None


def addresses_seen(facts: Sequence[Fact]) -> dict[str, set[str]]:
    """Which address the server took its clients for, by the sort of place they were at."""
    seen: dict[str, set[str]] = defaultdict(set)
    for fact in of_kind(facts, "client_address"):
        if fact["subject"] == "smtp":
            place, _, family = str(fact["vantage"]).rpartition("_v")
            seen[place.partition("_")[0]].add(named(fact["outcome"], place, family))
    return seen


def named(address: str, place: str, family: str) -> str:
    """`own` for the client's real address, `machine` for the machine's, else as it is."""
    digit: Family = 4 if family == "4" else 6
    own = {client.place: client.addresses[digit] for client in CLIENTS}
    if own.get(place) == address:
        return "own"
    if address == MACHINE[digit]:
        return "machine"
    try:
        link_local = ipaddress.ip_address(address.partition("%")[0]).is_link_local
    except ValueError:  # it is not an address but the reason why there is none
        return "–"
    return "link-local" if link_local else address


def finding(facts: Sequence[Fact]) -> Text:
    """What a variant is there to show."""
    checks = [fact["evidence"]["checks"] for fact in of_kind(facts, "scenario")]
    if any(fact["outcome"] == "failed" for fact in of_kind(facts, "deployment")):
        noted = of_kind(facts, "scenario")
        fails = noted[-1]["evidence"].get("fails", ...) if noted else ...
        style = "yellow" if fails is ... else "green" if fails else "bold red"
        return Text("did not come up", style=style)
    if not checks or checks[0] == "matrix":
        return relaying(facts)
    if checks[0] == "bans":
        out = [f["vantage"] for f in of_kind(facts, "ban") if f["outcome"] == "kept out"]
        return Text(f"(fail2ban bans {', '.join(grouped(out)) or 'nobody'})", style="dim")
    if checks[0] == "life":
        return _life(facts)
    if checks[0] == "throughput":
        return _throughput(facts)
    return Text(f"({checks[0].replace('_', ' ')} only)", style="dim")


def _life(facts: Sequence[Fact]) -> Text:
    """Which events the mail server outlived, after how many seconds, and which not."""
    of = "mail server after "
    looks = [f for f in of_kind(facts, "life") if f["subject"].startswith(of)]
    back = [f for f in looks if f["outcome"] == "answers"]
    gone = [f["subject"].removeprefix(of) for f in looks if f not in back]
    if not looks:
        return Text(f"({len(of_kind(facts, 'life'))} questions)", style="dim")
    survived = ", ".join(
        f"{f['subject'].removeprefix(of)} ({f['evidence']['away']:.0f} s)" for f in back
    )
    shown = Text(f"outlives {survived}" if back else "")
    if gone:
        shown.append(f"{'; ' if back else ''}away after {', '.join(gone)}", style="yellow")
    return shown


def _throughput(facts: Sequence[Fact]) -> Text:
    """How many bits a second each way has let through."""
    ways = [f for f in of_kind(facts, "throughput") if "bits in" in f["evidence"]]
    if not ways:
        return Text("not observed", style="bold red")
    shown = (
        f"{f['subject']} " + "/".join(_gigabits(f["evidence"][k]) for k in ("bits in", "bits out"))
        for f in ways
    )
    return Text(f"{', '.join(shown)} Gbit/s in/out", style="dim")


def _gigabits(measured: Mapping[str, Any]) -> str:
    return f"{measured['median'] / 1000:.2g}"


def relaying(facts: Sequence[Fact]) -> Text:
    """The vantages from which a stranger's mail arrived outside, in whatever form."""
    every = of_kind(facts, "relay")
    open_to = dict.fromkeys(fact["vantage"] for fact in every if fact["outcome"] == "relayed")
    if open_to:
        return Text(", ".join(grouped(list(open_to))), style=OPEN)
    reachable = _reachable(facts) or {fact["vantage"] for fact in every}
    plain = [fact for fact in every if fact["subject"] == PLAIN_FORM]
    tried = [fact for fact in plain if fact["vantage"] in reachable]
    if not tried:
        return Text("not observed", style="bold red")
    unclear = [fact for fact in tried if fact["outcome"] != "refused"]
    if unclear:
        return Text(f"inconclusive from {len(unclear)}", style="bold red")
    if not _mail_flows(facts):
        return Text("inconclusive: no mail flows", style="bold red")
    return Text(f"nowhere (of {len(tried)})", style="green")


def _mail_flows(facts: Sequence[Fact]) -> bool:
    """Whether mail came in and went out: where it does not, a refusal proves nothing."""
    arrived = ("unchanged", "changed")
    incoming = [
        fact for fact in of_kind(facts, "delivery") if fact["subject"] == "outside to mailbox"
    ]
    return all(
        any(fact["outcome"] in arrived for fact in controls)
        for controls in (incoming, of_kind(facts, "outgoing"))
    )


def grouped(vantages: Sequence[str]) -> list[str]:
    """The shortest words for some vantages: a group's name where all of it is among them."""
    left = dict.fromkeys(vantages)
    words = []
    for group in GROUPS:
        for word in (group, f"{group}_v4", f"{group}_v6"):
            members = vantages_of(word)
            if all(member in left for member in members):
                words.append(word)
                for member in members:
                    del left[member]
    return words + list(left)


def seconds_of(facts: Iterable[Fact]) -> float:
    """How long all phases of a deployment took together."""
    return float(sum(f["evidence"]["seconds"] for f in facts if f["kind"] == "phase"))
