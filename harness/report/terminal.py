"""The end of a run at the terminal: what was seen of each deployment, in a line each."""

from __future__ import annotations

import ipaddress
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Literal

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.addresses import CLIENTS, GROUPS, MACHINE, vantages_of
from harness.vantage import Family

PHASES = ("boot", "look before", "prepare", "start", "ready", "probes", "stop", "down")
PLACES = ("outside", "localhost", "self")
Columns = tuple[str, ...]
Row = Sequence[Text]
WHOLE: Columns = (
    "",
    "ports",
    *(f"{place} is" for place in PLACES),
    "s",
    "relays for strangers from",
)
BRIEF: Columns = ("", "ports", "s", "seen")
"""Of the variants that are not there to show whom the server takes its clients for."""
NUMBERS = ("ports", "s")
OPEN = "bold yellow"
"""How an open relay is shown."""
MIN_FINDING = 14
"""Columns for what was found, however narrow the terminal is."""
PLAIN_FORM = "external-to-external"
NOT_SHOWN = {
    "nspawn": "SELinux, kernel modules, and the boot order of real hardware: the machine shares"
    " this computer's kernel; a virtual machine would show them",
}

Fact = dict[str, Any]


def read(path: Path) -> list[Fact]:
    """The observations of a run, in the order in which they were made."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.endswith("}")]


def print_summary(
    console: Console,
    run: Path,
    machine: str,
    failed: Mapping[str, int] | None = None,
    most: int | None = None,
) -> None:
    """Print what a run saw; nothing where it deployed nothing.

    Args:
        console: where.
        run: the run's folder.
        machine: the kind of machine.
        failed: scenario variant → how many of its tests did not pass.
        most: with more variants than these, those without a failure are one line a scenario.
    """
    by_scenario: dict[str, list[Fact]] = defaultdict(list)
    for fact in read(run / "observations.jsonl"):
        by_scenario[fact["scenario"]].append(fact)
    if not by_scenario:
        return
    failed = failed or {}
    shown: Mapping[str, Sequence[Fact]] = by_scenario
    if most is not None and len(by_scenario) > most:
        from harness.report.brief import print_briefly

        shown = {name: facts for name, facts in by_scenario.items() if failed.get(name)}
        print_briefly(console, by_scenario)
    if shown:
        print_tables(console, shown, failed)
    console.print(_phases(by_scenario.values()), style="dim")
    if machine in NOT_SHOWN:
        console.print(f"not checkable here: {NOT_SHOWN[machine]}", style="dim")
    console.print(f"observations and evidence: {run}", style="dim", soft_wrap=True)


def print_tables(
    console: Console, by_scenario: Mapping[str, Sequence[Fact]], failed: Mapping[str, int]
) -> None:
    """What was seen, a line for each variant below its scenario's name."""
    rows: dict[Columns, dict[str, list[Row]]] = {WHOLE: {}, BRIEF: {}}
    for scenario, facts in by_scenario.items():
        folder, _, variant = scenario.partition("-")
        deployed = apart(facts)
        places = _places(deployed)
        rows[WHOLE if places else BRIEF].setdefault(folder, []).append(
            [
                _name(variant, failed.get(scenario, 0)),
                together(ports_answering(each) for each in deployed),
                *places,
                Text(f"{median(map(seconds_of, deployed)):.1f}"),
                together(finding(each) for each in deployed),
            ]
        )
    names = max(
        cell_len(row[0].plain) for of in rows.values() for each in of.values() for row in each
    )
    tables = {
        columns: _Table(
            columns, [row for each in of.values() for row in each], names, console.width
        )
        for columns, of in rows.items()
        if of
    }
    # The first sort of lines has a header; what is said in the other one says what it is.
    console.print(
        next(iter(tables.values())).of([[Text(word) for word in next(iter(tables))]]), style="dim"
    )
    for folder in sorted({folder for of in rows.values() for folder in of}):
        console.print(Text(folder, style="bold"))
        for columns, table in tables.items():
            if folder in rows[columns]:
                console.print(table.of(rows[columns][folder]))


def _places(deployed: Sequence[Sequence[Fact]]) -> list[Text]:
    """Whom the server takes its clients for, by the sort of place; nothing where not looked at."""
    seen = [addresses_seen(facts) for facts in deployed]
    return [
        together(
            Text(", ".join(sorted(each.get(p, set()) - {"–"}) or each.get(p, set())))
            for each in seen
            if each
        )
        for p in PLACES
        if any(seen)
    ]


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


class _Table:
    """Lines in columns of the same widths, whichever of them are printed together.

    Args:
        columns: their headings.
        rows: all lines.
        names: the width of the first column.
        width: that of the terminal, of which the last column gets what is left.
    """

    def __init__(self, columns: Columns, rows: Sequence[Row], names: int, width: int) -> None:
        self.columns = columns
        cells = zip(columns, *([cell.plain for cell in row] for row in rows), strict=True)
        self.widths = [max(map(cell_len, column)) for column in cells]
        self.widths[0] = names
        left = width - sum(self.widths[:-1]) - 2 * (len(columns) - 1)
        self.widths[-1] = max(MIN_FINDING, left)

    def of(self, rows: Sequence[Row]) -> Table:
        """Some of the lines."""
        table = Table(box=None, pad_edge=False, show_header=False)
        for column, width in zip(self.columns, self.widths, strict=True):
            side: Literal["right", "left"] = "right" if column in NUMBERS else "left"
            table.add_column(width=width, justify=side, overflow="fold")
        for row in rows:
            table.add_row(*row)
        return table


def _name(variant: str, failed: int) -> Text:
    """A variant's name, and how many of its tests did not pass."""
    name = Text(f"  {variant}")
    return name.append(f"  {failed} failed", style="bold red") if failed else name


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


def _phases(deployments: Iterable[Sequence[Fact]]) -> str:
    seconds: dict[str, list[float]] = defaultdict(list)
    for facts in deployments:
        for fact in of_kind(facts, "phase"):
            seconds[fact["subject"]].append(fact["evidence"]["seconds"])
    shown = [f"{phase} {median(seconds[phase]):.1f}" for phase in PHASES if phase in seconds]
    return "median seconds: " + ", ".join(shown)
