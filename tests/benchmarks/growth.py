"""Measures how time and memory grow with scenario variants and workers; writes growth.md.

Run by `make bench-growth`, or in parts: `growth.py --variants 10 30 --workers 1 2` adds what it
measures to growth.jsonl beside this file, and the table is made of all that is there of this
computer. Ten variants are deployed as often as it takes (`--repeat`), so that runs differ in their
size only. Each begins when the computer is quiet, or after four minutes; what was measured on a
busy one counts only where there is nothing better, and the table says so.
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
import threading
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import ROOT
from growth_table import QUIET, table

from harness import cache
from harness.memory import MEGABYTE, available_memory

HERE = Path(__file__).parent
TABLE = HERE / "growth.md"
RECORD = HERE / "growth.jsonl"
VARIANTS = tuple(
    f"{folder}-{variant}"
    for folder in (
        "rootless_pasta_quadlet",
        "rootless_compose",
        "rootless_slirp4netns",
        "rootful_compose",
        "rootful_quadlet",
    )
    for variant in ("permit_none", "permit_container")
)
LOOK = 0.5
"""Seconds between two looks at what is available."""
LOOKS_BETWEEN = 4
"""After so many of them all processes are looked at, which takes a while itself."""
QUIET_FOR = 5.0
"""Seconds that the cores must have had little to do, so that a run begins on a quiet computer."""
QUIET_WITHIN = 240.0
"""Seconds that are waited for that."""


@dataclass
class Peak:
    """What a run took at most, in MB.

    Attributes:
        tree: proportional memory of all its processes, those on machines included; None where
            some could not be looked at.
        machines: that of those on machines alone.
        at_once: how many machines there were at a time.
        available: by how much the computer's available memory fell.
        disk: by how much the free space of the cache's disk fell.
    """

    tree: float | None = 0.0
    machines: float | None = 0.0
    at_once: int = 0
    available: float = 0.0
    disk: float = 0.0


class Looker:
    """Looks at a process and all that it has started until it is told to stop."""

    def __init__(self, pid: int) -> None:
        self.peak = Peak()
        self._pid = pid
        self._cache = cache.folder()
        self._before = (available_memory(), shutil.disk_usage(self._cache).free)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def stop(self) -> Peak:
        """Stop looking."""
        self._ended.set()
        self._thread.join()
        return self.peak

    def _look(self) -> None:
        looks = 0
        while not self._ended.wait(LOOK):
            memory, disk = self._before
            self.peak.available = max(self.peak.available, (memory - available_memory()) / MEGABYTE)
            free = shutil.disk_usage(self._cache).free
            self.peak.disk = max(self.peak.disk, (disk - free) / MEGABYTE)
            if looks % LOOKS_BETWEEN == 0:
                self._look_at_processes()
            looks += 1

    def _look_at_processes(self) -> None:
        tree = machines = 0
        names: set[str] = set()
        for pid in descendants(self._pid):
            try:
                shares = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
                groups = Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8")
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has ended
            except PermissionError:
                self.peak.tree = self.peak.machines = None
                return
            pss = sum(int(line.split()[1]) for line in shares.splitlines() if line[:4] == "Pss:")
            tree += pss
            own = next(
                (line for line in groups.splitlines() if "/dms-harness/machine-" in line), ""
            )
            if own:
                machines += pss
                names.add(own.partition("/dms-harness/")[2].partition("/")[0])
        self.peak.at_once = max(self.peak.at_once, len(names))
        if self.peak.tree is not None and self.peak.machines is not None:
            self.peak.tree = max(self.peak.tree, tree / 1024)
            self.peak.machines = max(self.peak.machines, machines / 1024)


def descendants(pid: int) -> list[int]:
    """A process, and all that it and those have started."""
    children: dict[int, list[int]] = defaultdict(list)
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        children[int(stat.rpartition(")")[2].split()[1])].append(int(folder.name))
    found = [pid]
    for each in found:
        found += children[each]
    return found


def processor_time() -> tuple[float, float, float]:
    """Ticks of all cores since the computer started: all, at work, waiting for the disk."""
    first = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0]
    user, nice, system, idle, iowait, *others = (int(word) for word in first.split()[1:8])
    everything = user + nice + system + idle + iowait + sum(others)
    return everything, everything - idle - iowait, iowait


def measure(variants: int, workers: int) -> dict[str, Any]:
    """Deploy so many variants with so many workers, and look what that takes."""
    runs = Path(tempfile.mkdtemp(prefix="dms-growth-"))
    words = ["-k", " or ".join(VARIANTS), f"--repeat={variants // len(VARIANTS)}"]
    words += ["-n", str(workers)] if workers > 1 else []
    command = [sys.executable, "-m", "pytest", "-q", f"--runs={runs}", "--mailserver=stand-in"]
    busy_before = wait_until_quiet()
    before, started = processor_time(), time.monotonic()
    # Set where files are thrown away, it makes Python compile everything at every start.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    with (runs / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            [*command, *words], cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        looker = Looker(process.pid)
        try:
            status = process.wait()
        finally:
            process.kill()
            peak = looker.stop()
    seconds = time.monotonic() - started
    total, busy, waiting = (now - then for now, then in zip(processor_time(), before, strict=True))
    if status:
        tail = (runs / "output.txt").read_text(encoding="utf-8", errors="replace")[-2000:]
        print(f"exit status {status}: {runs}\n{tail}", file=sys.stderr)
    else:
        check(runs, variants)
        shutil.rmtree(runs)
    return {
        "computer": computer(),
        "at": time.strftime("%Y-%m-%d %H:%M"),
        "variants": variants,
        "workers": workers,
        "status": status,
        "seconds": round(seconds, 1),
        "busy": round(busy / total, 3),
        "waiting for disk": round(waiting / total, 3),
        "busy before": round(busy_before, 3),
        **{name: value and round(value, 1) for name, value in asdict(peak).items()},
    }


def wait_until_quiet() -> float:
    """Wait until little is done, or a while; the share of the cores' time that was in use then.

    The load of the last minute would still be that of the run before.
    """
    deadline = time.monotonic() + QUIET_WITHIN
    while True:
        before = processor_time()
        time.sleep(QUIET_FOR)
        total, busy, _ = (now - then for now, then in zip(processor_time(), before, strict=True))
        if busy / total <= QUIET or time.monotonic() > deadline:
            return busy / total


def check(runs: Path, variants: int) -> None:
    """See that a run has deployed what it is taken for.

    Raises:
        SystemExit: it has not.
    """
    lines = (runs / "latest" / "observations.jsonl").read_text(encoding="utf-8").splitlines()
    facts = [json.loads(line) for line in lines if '"deployment"' in line]
    up = sum(f["kind"] == "deployment" and f["outcome"] == "came up" for f in facts)
    if up != variants:
        raise SystemExit(
            f"{runs}: {up} deployments came up, not {variants}: are there all of them?"
        )


def computer() -> str:
    """What was measured on."""
    return (
        f"{os.cpu_count()} cores, {os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') >> 30}"
        f" GiB, kernel {platform.release()}"
    )


def main() -> None:
    """Measure, add to the record, and write the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--variants", type=int, nargs="+", default=[10, 30, 60, 120], metavar="N")
    options.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4], metavar="N")
    options.add_argument("--count", type=int, default=1, help="runs of each (default: 1)")
    options.add_argument("--table", action="store_true", help="only write the table again")
    args = options.parse_args()
    if any(number < 1 or number % len(VARIANTS) for number in args.variants):
        options.error(f"--variants: multiples of {len(VARIANTS)}")
    measured = []
    if RECORD.is_file():
        measured = [json.loads(line) for line in RECORD.read_text(encoding="utf-8").splitlines()]
    wanted = [] if args.table else [(v, w) for v in args.variants for w in args.workers]
    for variants, workers in wanted * args.count:
        measured.append(measure(variants, workers))
        print(measured[-1], flush=True)
        with RECORD.open("a", encoding="utf-8") as record:
            record.write(json.dumps(measured[-1]) + "\n")
        # After each: what is measured stays, whatever becomes of the rest.
        TABLE.write_text(table(measured, len(VARIANTS)), encoding="utf-8")
    if args.table and measured:
        TABLE.write_text(table(measured, len(VARIANTS)), encoding="utf-8")


if __name__ == "__main__":
    main()
