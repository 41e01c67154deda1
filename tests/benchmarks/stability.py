"""Deploys everything again and again, and counts what came of it; writes stability.md.

Run by `make stability`, or in parts: `stability.py --minutes 90 -k rootless_pasta_quadlet --repeat
10` begins runs until that time is over, and adds what each one said to stability.jsonl beside this
file. The table is made of all that is there, of whatever commits: hours of it come together over
many days. What a run has observed that deploys each variant once is compared with the run before.
`--add RUN` adds the folder of a run that was made otherwise, `--add RUN RUN` compares them so.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench import ROOT
from growth import computer
from stability_table import table

from harness.observations import Observation, deployment_id, read, variant_and_repetition
from harness.report import stability
from harness.report.html import verdicts
from harness.report.html.verdicts import Judged
from harness.report.runs import OBSERVATIONS
from harness.report.stability_file import FILE, as_object

HERE = Path(__file__).parent
TABLE = HERE / "stability.md"
RECORD = HERE / "stability.jsonl"
FACTS = {"distribution", "podman"}
"""What of a machine is told of it."""


def row(run: Path, commit: str, before: Path | None = None) -> dict[str, Any]:
    """What a run says of how stable each variant was.

    Args:
        run: its folder.
        commit: what was run.
        before: the folder of the run that it is compared with, where it has no repetitions.

    Raises:
        SystemExit: nobody has judged anything in it.
    """
    tests = verdicts.read([run])
    if not tests:
        raise SystemExit(f"{run} has no {verdicts.FILE}: a run that was killed, or none")
    counts = {end: Counter[str]() for end in (stability.PASSED, stability.NOT_TRIED)}
    failed: dict[str, list[list[str]]] = defaultdict(list)
    for variant, deployed in _whole([test for of in tests.values() for test in of]).items():
        for of in deployed:
            end = stability.came_to(of)
            if end == stability.FAILED:
                bad = [test for test in of if test.is_bad and not test.infrastructure]
                failed[variant].append([stability.name_of(test) for test in bad])
            elif end:
                counts[end][variant] += 1
    return {
        "at": time.strftime(
            "%Y-%m-%d %H:%M", time.localtime((run / verdicts.FILE).stat().st_mtime)
        ),
        "commit": commit,
        "computer": computer(),
        **_made_of(run),
        "failed": failed,
        "differing": _differing(run) or (_between(before, run) if before else {}),
        **{end: dict(sorted(of.items())) for end, of in counts.items()},
    }


def _whole(tests: Iterable[Judged]) -> Mapping[str, list[list[Judged]]]:
    """The tests of each deployment of each variant.

    Where somebody ended the run early, a deployment of which not all tests had their turn says
    nothing, unless one of them failed.
    """
    of: dict[str, dict[int, list[Judged]]] = defaultdict(lambda: defaultdict(list))
    for test in tests:
        if test.deployment:
            variant, number = variant_and_repetition(test.deployment)
            of[variant][number].append(test)
    whole: dict[str, list[list[Judged]]] = {}
    for variant, deployed in of.items():
        most = max(map(len, deployed.values()))
        whole[variant] = [
            each
            for each in deployed.values()
            if len(each) == most or stability.came_to(each) == stability.FAILED
        ]
    return whole


def _made_of(run: Path) -> dict[str, str]:
    """What was deployed on what, in words."""
    seen = read(run / OBSERVATIONS, {"machine", "mail server"}, broken=[])
    facts = {each.subject: each.outcome for each in seen if each.subject in FACTS}
    images = {
        each.outcome for each in seen if (each.kind, each.subject) == ("mail server", "image")
    }
    return {"machine": ", ".join(facts[f] for f in sorted(facts)), "image": ", ".join(images)}


def _differing(run: Path) -> dict[str, list[str]]:
    """What repetitions disagree about, by variant."""
    file = run / FILE
    if not file.is_file():
        return {}
    return _in_words(json.loads(file.read_text(encoding="utf-8"))["scenarios"])


def _between(*runs: Path) -> dict[str, list[str]]:
    """What runs without repetitions disagree about, as if they were repetitions of one run."""
    seen: list[Observation] = []
    said: list[Judged] = []
    for number, run in enumerate(runs, 1):
        seen += (
            replace(each, repetition=number)
            for each in read(run / OBSERVATIONS)
            if not each.repetition
        )
        said += (
            replace(test, nodeid=test.nodeid.replace(f"[{name}", f"[{deployment_id(name, number)}"))
            for of in verdicts.read([run]).values()
            for test in of
            if (name := test.deployment) and variant_and_repetition(name) == (name, 0)
        )
    return _in_words(as_object(stability.stability_of(seen, said)))


def _in_words(found: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    return {
        of["scenario"]: [
            f"{each['kind']} {', '.join(each['subjects'])}"
            + f" from {', '.join(each['vantages'])}" * bool(each["vantages"])
            for each in of["differing"]
        ]
        for of in found
        if of["differing"]
    }


def commit() -> str:
    """The commit of the tree, marked where something else in it than records is not committed.

    Raises:
        CalledProcessError: it is no checkout.
    """

    def git(*words: str) -> str:
        command = ["git", "-C", str(ROOT), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!tests/benchmarks")
    return git("rev-parse", "--short", "HEAD") + ("-dirty" if changed else "")


def run_once(words: str, repeat: int, workers: int) -> Path:
    """Deploy what `-k` selects; the run's folder, whatever came of it."""
    runs = Path(tempfile.mkdtemp(prefix="dms-stability-"))
    command = [sys.executable, "-m", "pytest", "tests/deployments", "-q", f"--runs={runs}"]
    command += ["--mailserver=stand-in", "-k", words, f"--repeat={repeat}", "-n", str(workers)]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    with (runs / "output.txt").open("wb") as output:
        subprocess.run(
            command, cwd=ROOT, env=environment, stdout=output, stderr=output, check=False
        )
    if not (runs / "latest").is_dir():
        raise SystemExit(f"nothing was run: {runs / 'output.txt'}")
    return (runs / "latest").resolve()


def add(measured: list[dict[str, Any]], made: dict[str, Any]) -> None:
    """Add a row to the record, and write the table again."""
    measured.append(made)
    with RECORD.open("a", encoding="utf-8") as record:
        record.write(json.dumps(made) + "\n")
    TABLE.write_text(table(measured), encoding="utf-8")


def recorded() -> list[dict[str, Any]]:
    """All rows so far."""
    if not RECORD.is_file():
        return []
    return [json.loads(line) for line in RECORD.read_text(encoding="utf-8").splitlines()]


def deploy(measured: list[dict[str, Any]], revision: str, options: argparse.Namespace) -> None:
    """Make runs until the time is over, and add each; folders stay of which something is told."""
    before: Path | None = None
    told: set[Path | None] = set()
    end = time.monotonic() + 60 * options.minutes
    try:
        while time.monotonic() < end:
            run = run_once(options.words, options.repeat, options.workers)
            add(measured, made := row(run, revision, before))
            passed, failed = sum(made["passed"].values()), sum(map(len, made["failed"].values()))
            print(f"{made['at']}: {passed} passed, {failed} failed", flush=True)
            if made["failed"] or made["not tried"] or made["differing"]:
                told |= {before, run}
                print(f"  see {run}" + f", and {before} before it" * bool(before), flush=True)
            if before and before not in told:
                shutil.rmtree(before.parent)
            before = run
            if not made["passed"]:  # nothing will be otherwise the next time
                return
    finally:
        if before and before not in told:
            shutil.rmtree(before.parent)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, add to the record, and write the table; 1 where something failed."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--minutes", type=float, default=60, help="no run is begun after that")
    options.add_argument("-k", dest="words", default="", help="as pytest has it (default: all)")
    options.add_argument("--repeat", type=int, default=1, help="times in each run (default: 1)")
    options.add_argument("-n", dest="workers", type=int, default=os.cpu_count())
    options.add_argument("--add", type=Path, nargs="+", metavar="RUN", help="only add these runs")
    options.add_argument("--commit", help="of what was run, if not of this tree")
    options.add_argument("--table", action="store_true", help="only write the table again")
    args = options.parse_args(arguments)
    measured, revision = recorded(), args.commit or commit()
    if args.table:
        TABLE.write_text(table(measured), encoding="utf-8")
        return 0
    already = len(measured)
    if args.add:
        for before, run in pairwise([None, *args.add]):
            add(measured, row(run, revision, before))
    else:
        deploy(measured, revision, args)
    return int(any(each["failed"] for each in measured[already:]))


if __name__ == "__main__":
    sys.exit(main())
