"""Measures what a user waits for, and writes bench.md beside this file.

Run by `make bench`. Medians of several runs, on an otherwise idle computer: a table made on a
busy one says so in its own load column and should not be committed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from harness import cache
from harness.keeper.client import Keeper
from harness.machines import golden
from harness.machines.golden import Golden
from harness.mailserver.standin import StandIn

ROOT = Path(__file__).parents[2]
TABLE = Path(__file__).parent / "bench.md"
FIRST = "rootless_pasta_quadlet-permit_none"
SIX = "rootless_pasta_quadlet and permit"
STARTING = ("boot", "prepare", "start", "ready")
"""Phases that are the machine's, the operator's, podman's and the mail server's."""


@contextmanager
def clock(seconds: list[float]) -> Iterator[None]:
    """Append the seconds that a block takes."""
    started = time.monotonic()
    yield
    seconds.append(time.monotonic() - started)


def pytest(*arguments: str) -> Path:
    """Run pytest; return the run's folder.

    Raises:
        CalledProcessError: a test failed, so its time says nothing.
    """
    runs = Path(tempfile.mkdtemp(prefix="dms-bench-"))
    command = [sys.executable, "-m", "pytest", "-q", f"--runs={runs}", *arguments]
    subprocess.run(
        [*command, "--mailserver", "stand-in"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL
    )
    return runs


def phases(runs: Path) -> dict[str, float]:
    """The seconds of each phase of the only deployment in a folder of runs."""
    seconds: dict[str, float] = {}
    for line in (runs / "latest" / "observations.jsonl").read_text().splitlines():
        fact = json.loads(line)
        if fact["kind"] == "phase":
            seconds[fact["subject"]] = fact["evidence"]["seconds"]
        elif fact["kind"] == "seconds":
            seconds[fact["subject"]] = float(fact["outcome"])
        elif fact["kind"] == "first contact":
            seconds["greet delay"] = max(seconds.get("greet delay", 0.0), float(fact["outcome"]))
        elif fact["kind"] == "port" and fact["evidence"]["service"] == "submission":
            waited = fact["evidence"]["first"]
            seconds["submission"] = max(seconds.get("submission", 0.0), waited)
    return seconds


def scenarios_of(runs: Path) -> set[str]:
    """The scenario variants that a run deployed."""
    lines = (runs / "latest" / "observations.jsonl").read_text().splitlines()
    return {fact["scenario"] for fact in map(json.loads, lines) if fact["kind"] == "phase"}


def own_share(total: float, phase: dict[str, float]) -> float:
    """The seconds that are neither a start nor the mail server's own waiting.

    The server makes its clients wait in two ways at once: postscreen on port 25; and on the other
    ports Postfix, which reads no table that is younger than a second, and then Dovecot, which
    delays the answer to a failed login, the longer the more have failed.
    """
    waiting = max(phase["greet delay"], phase["submission"] + phase["failing logins"])
    return total - sum(phase[name] for name in STARTING) - waiting


def fresh_machine(keeper: Keeper, made: Golden, count: int) -> dict[str, list[float]]:
    """Fork, log in, measure memory, reboot, destroy."""
    seconds: dict[str, list[float]] = defaultdict(list)
    for number in range(count):
        machine = made.fork(f"bench{number}")
        with clock(seconds["fork to SSH login"]):
            machine.start()
            while not machine._answers():
                time.sleep(0.01)
        with clock(seconds["SSH login to everything started"]):
            machine.wait_until_up()
        rss = machine.succeed("cat /proc/[0-9]*/smaps_rollup 2>/dev/null | grep ^Pss:")
        seconds["MB"].append(sum(int(line.split()[1]) for line in rss.splitlines()) / 1024)
        with clock(seconds["reboot to SSH login"]):
            machine.reboot()
        with clock(seconds["destroy"]):
            machine.destroy()
    return seconds


def main() -> None:
    """Measure, print, and write the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=3, help="runs of each (default: 3)")
    options.add_argument("--cold", action="store_true", help="build from nothing as well, once")
    options.add_argument("--whole", action="store_true", help="all scenarios as well, once")
    args = options.parse_args()
    rows: list[tuple[str, str, str]] = []

    def row(what: str, value: float, unit: str, target: str = "") -> None:
        rows.append((what, f"{value:.2f} {unit}" if value < 10 else f"{value:.1f} {unit}", target))
        print(f"{what:60} {rows[-1][1]:>10}  {target}", flush=True)

    load = os.getloadavg()[0]
    # Set where files are thrown away, it makes Python compile everything at every start.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if args.cold:
        folder = tempfile.mkdtemp(prefix="dms-bench-cold-")
        seconds: list[float] = []
        with clock(seconds):
            subprocess.run(
                [sys.executable, "-m", "pytest", "-q", "-k", FIRST, "--mailserver", "stand-in"],
                cwd=ROOT,
                check=True,
                env=os.environ | {cache.ENVIRONMENT: folder},
                stdout=subprocess.DEVNULL,
            )
        row("cold cache: prompt to verdicts of one variant", seconds[0], "s", "< 300 s")
        shutil.rmtree(folder)
    keeper = Keeper(cache.folder(), "bench")
    made = golden.ensure(keeper, StandIn("benchmark"), print)
    machines = fresh_machine(keeper, made, args.count * 2)
    keeper.close()
    row("fresh machine: fork to SSH login", median(machines["fork to SSH login"]), "s", "< 3 s")
    started = median(machines["SSH login to everything started"])
    row("fresh machine: SSH login to everything started", started, "s")
    row("machine: reboot to SSH login", median(machines["reboot to SSH login"]), "s")
    row("machine: destroy", median(machines["destroy"]), "s")
    row("machine: memory without a mail server (PSS)", median(machines["MB"]), "MB", "< 300 MB")

    one: list[float] = []
    each: list[dict[str, float]] = []
    for _ in range(args.count):
        with clock(one):
            runs = pytest("-k", FIRST)
        each.append(phases(runs))
        shutil.rmtree(runs)
    row("one variant: prompt to verdicts", median(one), "s", "< 20 s")
    for phase in ("boot", "prepare", "start", "ready", "probes", "down"):
        row(f"  of which {phase}", median(p[phase] for p in each), "s")
    own = [own_share(total, phase) for total, phase in zip(one, each, strict=True)]
    row("  neither a start nor the mail server's own waiting", median(own), "s", "< 2 s")
    for label, options_ in (
        ("six variants, one process", []),
        *((f"six variants, -n {workers}", ["-n", str(workers)]) for workers in (2, 6)),
    ):
        several: list[float] = []
        for _ in range(args.count):
            with clock(several):
                runs = pytest("-k", SIX, *options_)
            shutil.rmtree(runs)
        row(label, median(several), "s", "" if options_ else "< 45 s")
    if args.whole:
        whole: list[float] = []
        with clock(whole):
            runs = pytest("-n", "auto")
        count = len(scenarios_of(runs))
        shutil.rmtree(runs)
        row(f"everything ({count} variants), -n auto (one run)", whole[0], "s")
        row("  a variant of it", whole[0] / count, "s", "< 6 s")
    computer = (
        f"{os.cpu_count()} cores, {os.sysconf('SC_PHYS_PAGES') * 4 >> 20} GiB,"
        f" kernel {platform.release()}, {made.facts['distribution']} machines,"
        f" {made.facts['podman']}, the stand-in; load before: {load:.1f}"
    )
    lines = [
        "# What a user waits for",
        "",
        f"`make bench` on {time.strftime('%Y-%m-%d')}: {computer}.",
        "",
    ]
    lines += [f"Medians of {args.count} runs. Times depend on the computer; compare ratios.", ""]
    lines += ["| what | measured | target |", "|---|---:|---:|"]
    lines += [f"| {what} | {value} | {target} |" for what, value, target in rows]
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
