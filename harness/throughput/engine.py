"""Measures all ways in turns, and records how they compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING

from harness.errors import CommandError
from harness.throughput.compare import (
    BITS_IN,
    BITS_OUT,
    CONNECTIONS,
    CROWD,
    MEASURES,
    MESSAGES,
    PAIRS,
    WORK_IN,
    WORK_OF_MESSAGES,
    Measure,
    Samples,
    compared,
    subject,
)
from harness.throughput.measure import (
    Timed,
    as_timed,
    connections_to,
    crowd,
    iperf3,
    rate,
    smtp_source,
    timed,
    transfer,
)
from harness.throughput.ways import MACHINE, NETWORKS, Client, Way, ways

if TYPE_CHECKING:
    from pathlib import Path

    from harness.deployment import Deployment
    from harness.machines.base import BaseMachine
    from harness.observations import Json, Observations

ROUNDS = 3
OPEN_MESSAGES = 250
"""Messages over a connection that stays open: 0.2 s on two slow cores, on busy ones 2."""
SINGLE_MESSAGES = 50
"""Messages of which each has a connection of its own, one after the other."""
WITHIN = 20
"""Seconds for either."""
AT_ONCE = 32
"""Clients that come before the first one is served."""
CROWD_WITHIN = 2
"""Seconds in which all of them must be served: some ways take less than a tenth of one, and
others leave clients waiting for their TCP to try again, after 1, 3 and 7 s."""
FILE = "throughput.md"


def observe(deployment: Deployment) -> None:
    """Record kind `throughput`: how fast each way is, and which is faster.

    Subject is a way, outcome the Mbit/s into the container, the median of all rounds; the evidence
    has all samples of all measures (see `compare.MEASURES`), and what iperf3 sent once more.
    Subject is `A against B, MEASURE`, outcome `faster`, `slower` (of processor time `cheaper`,
    `dearer`) or `about the same`: what A is. The table goes into the deployment's folder as well.

    Raises:
        CommandError: something cannot be measured; names the way.
        MachineError: the machine does not answer any more.
    """
    machine = deployment.machine
    seen: dict[str, dict[Measure, list[float]]] = {
        name: {measure: [] for measure in MEASURES} for name in NETWORKS
    }
    again: dict[str, list[int]] = {name: [] for name in NETWORKS}
    with ways(machine) as (client, found):
        for number in range(ROUNDS):
            for way in found:
                deployment.say(f"throughput of {way.name}, {number + 1} of {ROUNDS}")
                try:
                    samples, once_more = _measure(machine, client, way)
                except CommandError as error:
                    raise CommandError(f"{way.name}: {error.message}", error.hint) from None
                for measure, sample in samples.items():
                    seen[way.name][measure].append(round(sample, 1))
                again[way.name].append(once_more)
    for name, rounds in seen.items():
        evidence: dict[str, Json] = {each.name: shown(rounds[each], each.unit) for each in MEASURES}
        evidence |= {"streams": 1, "bits out, segments sent once more": list(again[name])}
        deployment.observations.record(
            "throughput", name, f"{median(rounds[BITS_IN]):.0f}", None, **evidence
        )
    record_comparisons(deployment.observations, seen)
    _write(deployment.folder, seen, deployment.observations)


def shown(samples: Sequence[float], unit: str) -> Json:
    """A measure's samples as evidence."""
    return {"median": median(samples), "samples": list(samples), "unit": unit}


def _measure(machine: BaseMachine, client: Client, way: Way) -> tuple[dict[Measure, float], int]:
    """One round of one way; with it how many segments were sent once more on the way out."""

    def run(command: str, image: bool = False) -> Timed:
        return as_timed(machine.succeed(timed(client.does(command, image))))

    def messages(many: int, within: int, sessions: int = 0) -> Timed:
        return run(smtp_source(MACHINE, way.smtp, many, within, sessions), image=True)

    def at_once(many: int) -> Timed:
        begin = smtp_source(MACHINE, way.smtp, many, CROWD_WITHIN, many)
        come, look = client.does(begin, image=True), client.does(connections_to(way.smtp))
        return as_timed(machine.succeed(timed(crowd(way.smtp, way.process, many, come, look))))

    def send(out: bool = False) -> Timed:
        way.serve_iperf3(machine)
        return run(iperf3(MACHINE, way.iperf3, out))

    sending = send()
    into = transfer(sending.output)
    out = transfer(send(out=True).output)
    kept_open = messages(OPEN_MESSAGES, WITHIN)
    samples = {
        BITS_IN: into.rate,
        BITS_OUT: out.rate,
        WORK_IN: into.mbits / sending.work,
        MESSAGES: rate(OPEN_MESSAGES, kept_open),
        WORK_OF_MESSAGES: OPEN_MESSAGES / kept_open.work,
        CONNECTIONS: rate(SINGLE_MESSAGES, messages(SINGLE_MESSAGES, WITHIN, sessions=1)),
        CROWD: rate(AT_ONCE, at_once(AT_ONCE)),
    }
    return samples, out.sent_again


def record_comparisons(observations: Observations, seen: Mapping[str, Samples]) -> None:
    """Record how the ways compare."""
    for first, second in PAIRS:
        for measure in MEASURES:
            one, other = seen[first][measure], seen[second][measure]
            observations.record(
                "throughput",
                subject(first, second, measure),
                compared(measure, one, other),
                None,
                ratio=round(median(one) / median(other), 2) if median(other) else None,
                samples=[list(one), list(other)],
                unit=measure.unit,
            )


def _write(folder: Path, seen: Mapping[str, Samples], observations: Observations) -> None:
    """The table for a reader, in the deployment's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text(table(seen, observations), encoding="utf-8")


def table(seen: Mapping[str, Samples], observations: Observations) -> str:
    """The medians, with their samples, and the comparisons, in Markdown."""
    lines = [
        f"Medians of {ROUNDS} rounds, in which the ways take turns; in brackets the rounds.",
        "",
    ]
    lines += ["| | " + " | ".join(f"{m.name}<br>{m.unit}" for m in MEASURES) + " |"]
    lines += ["|---" * (len(MEASURES) + 1) + "|"]
    for name, samples in seen.items():
        cells = [
            f"{median(samples[m]):.0f} ({', '.join(f'{s:.0f}' for s in samples[m])})"
            for m in MEASURES
        ]
        lines += [f"| {name} | " + " | ".join(cells) + " |"]
    lines += ["", "| | " + " | ".join(m.name for m in MEASURES) + " |"]
    lines += ["|---" * (len(MEASURES) + 1) + "|"]
    for first, second in PAIRS:
        facts = [observations.one("throughput", subject(first, second, m)) for m in MEASURES]
        cells = [f"{fact.outcome} (× {fact.evidence['ratio']})" for fact in facts]
        lines += [f"| {first} against {second} | " + " | ".join(cells) + " |"]
    return "\n".join(lines) + "\n"
