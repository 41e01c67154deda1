"""The table of what stability.py has counted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

GOALS = {"": 10, "rootless_pasta_quadlet": 50}
"""Scenario folder (all: nothing) → how often each of its variants is to be seen without a fault."""


def table(measured: Sequence[Mapping[str, Any]]) -> str:
    """How often each variant was deployed, and what was not as it should be.

    Args:
        measured: as stability.jsonl has it, in its order.
    """
    deployed, since, failed, untried = (Counter[str]() for _ in range(4))
    differing: set[str] = set()
    for each in measured:
        deployed.update(each["passed"])
        since.update(each["passed"])
        for variant, times in each["failed"].items():
            deployed[variant] += len(times)
            failed[variant] += len(times)
            since[variant] = 0
        untried.update(each["not tried"])
        differing.update(each["differing"])
    folders: dict[str, list[str]] = defaultdict(list)
    for variant in sorted({*deployed, *untried}):
        folders[variant.partition("-")[0]].append(variant)
    lines = [
        "# Stability",
        "",
        f"`make stability`, {measured[0]['at']} to {measured[-1]['at']}; runs: {len(measured)};"
        f" commits: {', '.join(dict.fromkeys(str(each['commit']) for each in measured))}; "
        + "; ".join(
            dict.fromkeys(f"{m['computer']}, {m['machine']}, {m['image']}" for m in measured)
        )
        + ".",
        "",
        "`least` is how often the variant was deployed and judged that was so least often, `in a"
        " row` the same without what was before its last failure and in the run of that. `not"
        " tried` are deployments that the machine or the computer kept from being judged: they are"
        " not among the others. `differing` are variants of which something was not observed"
        " alike in all repetitions of a run, or in a run without any and the one made before it,"
        " whether a test minded or not.",
        "",
        "| scenario | variants | deployments | least | in a row | goal | failed | not tried"
        " | differing |",
        "|---|" + "---:|" * 8,
    ]
    for folder, variants in folders.items():
        lines.append(
            f"| `{folder}` | {len(variants)} | {sum(deployed[v] for v in variants)}"
            f" | {min(deployed[v] for v in variants)} | {min(since[v] for v in variants)}"
            f" | {GOALS.get(folder, GOALS[''])}"
            f" | {sum(failed[v] for v in variants)} | {sum(untried[v] for v in variants)}"
            f" | {sum(v in differing for v in variants)} |"
        )
    lines.append(
        f"| all | {sum(map(len, folders.values()))} | {deployed.total()}"
        f" | {min(deployed.values(), default=0)} | {min((since[v] for v in deployed), default=0)}"
        f" | | {failed.total()} | {untried.total()}"
        f" | {len(differing)} |"
    )
    return "\n".join([*lines, *_exceptions(measured)]) + "\n"


def _exceptions(measured: Sequence[Mapping[str, Any]]) -> list[str]:
    """What failed and what differed, a line each."""
    lines = []
    for each in measured:
        when = f"{each['at']}, {each['commit']}"
        for variant, times in each["failed"].items():
            for tests in times:
                more = f" and {len(tests) - 1} more" if len(tests) > 1 else ""
                lines.append(f"- {when}: `{variant}` failed `{tests[0]}`{more}")
        for variant, times in each["differing"].items():
            lines += [f"- {when}: `{variant}` differed: {what}" for what in times]
        for variant, count in each["not tried"].items():
            lines.append(f"- {when}: `{variant}` could not be tried, {count} times")
    return ["", *lines] if lines else []
