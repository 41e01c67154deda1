"""What the tools are understood to say, and when one way counts as faster, without a machine."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from keeper_support import ROOT_ONLY

from harness import judge_life
from harness.errors import CommandError
from harness.machines.execution import Completed
from harness.observations import Observations
from harness.scenario_expected import Seen
from harness.throughput import engine, measure
from harness.throughput.compare import (
    BITS_IN,
    MARGIN,
    MEASURES,
    PAIRS,
    SAME,
    SUBJECTS,
    WORK_IN,
    Measure,
    compared,
    subject,
)
from harness.throughput.measure import (
    Timed,
    as_timed,
    connections_to,
    crowd,
    rate,
    smtp_source,
    timed,
    transfer,
)
from harness.throughput.ways import NETWORKS, Way


def iperf3_said(sent: int = 250_000_000, arrived: int = 249_000_000) -> str:
    """The part of iperf3's JSON that is read, and some that is not."""
    return json.dumps(
        {
            "start": {"version": "iperf 3.18"},
            "end": {
                "sum_sent": {"bytes": sent, "bits_per_second": 2.0e9, "retransmits": 7},
                "sum_received": {"bytes": arrived, "bits_per_second": 1.992e9},
            },
        }
    )


def test_what_arrived_counts_and_not_what_was_sent() -> None:
    seen = transfer(iperf3_said())
    assert (seen.mbits, seen.rate, seen.sent_again) == (1992.0, 1992.0, 7)


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ('{"error": "unable to connect to server: Connection refused"}', "Connection refused"),
        ("", "iperf3 gave no JSON: nothing"),
        ("Segmentation fault", "Segmentation fault"),
    ],
)
def test_no_measurement_is_an_error_with_the_reason(output: str, said: str) -> None:
    with pytest.raises(CommandError, match=said):
        transfer(output)


def test_a_command_is_timed_and_so_is_the_machines_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = tmp_path / "cpu.stat"
    stat.write_text("usage_usec 1500000\nuser_usec 7\n")
    monkeypatch.setattr(measure, "_STAT", str(stat))
    work = f'echo "it\'s"; echo done; echo usage_usec 3750000 > {stat}; sleep 0.2; (exit 3)'
    done = subprocess.run(["bash", "-c", timed(work)], capture_output=True, text=True, check=True)
    seen = as_timed(done.stdout)
    assert (seen.status, seen.output, seen.work) == (3, "it's\ndone", 2.25)
    assert 0.2 <= seen.seconds < 5


@pytest.mark.parametrize("output", ["", "0 1.0 2.0\n", "nsenter: no such process\n0 1.0 1.5  \n"])
def test_a_command_that_was_not_timed_is_an_error(output: str) -> None:
    with pytest.raises(CommandError, match=r"no time(.|\n)*look whether"):
        as_timed(output)


def test_messages_are_counted_only_where_all_were_accepted() -> None:
    assert rate(100, Timed(0, "", 0.5, 0.1)) == 200
    assert rate(100, Timed(measure.STOPPED, "", 2.0, 0.1)) == 0
    with pytest.raises(CommandError, match="status 1: smtp-source: fatal: lost connection"):
        rate(100, Timed(1, "smtp-source: fatal: lost connection", 0.1, 0.1))


def test_messages_share_a_connection_or_have_one_each() -> None:
    assert " -s 1 -d -m 250 " in smtp_source("198.18.0.1", 7002, 250, 20)
    command = smtp_source("198.18.0.1", 7002, 32, 2, sessions=32)
    assert command.startswith("timeout 2 ")
    assert " -s 32 -m 32 " in command
    assert " -d " not in command


@pytest.mark.parametrize(
    ("first", "second", "outcome"),
    [
        ([30, 20, 25], [10, 11, 12], "faster"),
        ([10, 11, 12], [30, 20, 25], "slower"),
        # Nothing got through the other way.
        ([30, 20, 25], [0, 0, 0], "faster"),
        ([0, 0, 0], [0, 0, 0], SAME),
        # One round says otherwise, or only a round's own pair says so.
        ([30, 9, 25], [10, 11, 12], SAME),
        ([30, 20, 11], [10, 12, 9], SAME),
        # Always better, but hardly.
        ([10 * MARGIN, 10 * MARGIN, 13], [10, 10, 10], SAME),
        ([10, 10, 10], [11, 11, 11], SAME),
    ],
)
def test_a_way_is_faster_where_every_sample_and_the_medians_say_so(
    first: list[float], second: list[float], outcome: str
) -> None:
    assert compared(BITS_IN, first, second) == outcome


def test_less_work_is_called_cheaper() -> None:
    assert compared(WORK_IN, [5, 5, 5], [1, 1, 1]) == "cheaper"
    assert compared(WORK_IN, [1, 1, 1], [5, 5, 5]) == "dearer"


def test_every_pair_is_of_ways_that_are_measured() -> None:
    assert {way for pair in PAIRS for way in pair} == set(NETWORKS)
    assert len(set(SUBJECTS)) == len(PAIRS) * len(MEASURES)


def samples() -> dict[str, dict[Measure, list[float]]]:
    """Ways of which each is half as good as the one before it; of the last nothing gets through."""
    rates = [16.0, 8.0, 4.0, 2.0, 0.0]
    return {
        name: {each: [best, best * 1.1, best * 0.9] for each in MEASURES}
        for name, best in zip(NETWORKS, rates, strict=True)
    }


def test_comparisons_are_recorded_and_can_be_expected() -> None:
    observations = Observations("test")
    engine.record_comparisons(observations, samples())
    assert [seen.subject for seen in observations] == list(SUBJECTS)
    faster = observations.one("throughput", "pasta against slirp4netns, bits in")
    assert (faster.outcome, faster.evidence["ratio"]) == ("faster", 2.0)
    assert faster.evidence["samples"] == [[16.0, 17.6, 14.4], [8.0, 8.8, 7.2]]
    nothing = observations.one("throughput", "pasta against rootful bridge, crowd")
    assert (nothing.outcome, nothing.evidence["ratio"]) == ("faster", None)

    def expect(outcome: str) -> Seen:
        return Seen.model_validate(
            {"of": "pasta against slirp4netns, bits in", "is": outcome, "why": "half the copies"}
        )

    judge_life.is_seen(observations, expect("faster|about the same"))
    with pytest.raises(AssertionError, match=r"slower(.|\n)*faster(.|\n)*half the copies"):
        judge_life.is_seen(observations, expect("slower"))


def test_the_table_has_every_way_and_every_pair() -> None:
    observations = Observations("test")
    engine.record_comparisons(observations, samples())
    lines = engine.table(samples(), observations).splitlines()
    assert any(line.startswith("| pasta | 16 (16, 18, 14) |") for line in lines)
    assert any(line.startswith("| rootful bridge | 0 (0, 0, 0) |") for line in lines)
    (row,) = (line for line in lines if line.startswith("| pasta against slirp4netns |"))
    assert row.count("faster (× 2.0)") == len(MEASURES) - 2
    assert row.count("cheaper (× 2.0)") == 2
    assert subject(*PAIRS[0], BITS_IN) == SUBJECTS[0]


SERVES = """
import socket, sys, time
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
server.accept()
print(time.time(), flush=True)
time.sleep(600)
"""
COMES_SLOWLY = """
import socket, sys, time
come = []
for _ in range(int(sys.argv[2])):
    come.append(socket.create_connection(("127.0.0.1", int(sys.argv[1]))))
    print(time.time())
    time.sleep(0.05)
"""


def test_a_crowd_has_come_before_the_first_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = tmp_path / "cpu.stat"
    stat.write_text("usage_usec 1\n")
    monkeypatch.setattr(measure, "_STAT", str(stat))
    many, client = 10, tmp_path / "client.py"
    client.write_text(COMES_SLOWLY)
    with subprocess.Popen(
        [sys.executable, "-c", SERVES], stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout
            port = int(server.stdout.readline())
            come = f"{sys.executable} {client} {port} {many}"
            command = timed(crowd(port, server.pid, many, come, connections_to(port)))
            done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
            seen = as_timed(done.stdout)
            served = float(server.stdout.readline())
        finally:
            server.kill()
    begun = [float(line) for line in seen.output.splitlines()]
    assert (seen.status, len(begun)) == (0, many), done.stderr
    assert begun[-1] - begun[0] > 0.05 * (many - 1)
    assert served > begun[-1]
    assert seen.seconds < begun[-1] - begun[0]  # It counts from then on.


LINGERS = """\
#!/bin/sh
exec {python} -c '
import os, socket, sys, time
server = socket.create_server(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])))
assert {{"--server", "--one-off", "--daemon"}} <= set(sys.argv)
if os.fork():
    os._exit(0)
for each in (1, 2):
    os.close(each)
client, _ = server.accept()
client.send(b"served")
client.recv(1)
client.close()
time.sleep(0.4)
' "$@"
"""
"""An iperf3 that has no hurry: whoever comes in the end is never accepted, and hung up on."""


@ROOT_ONLY
def test_each_measurement_has_a_server_that_is_not_about_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "iperf3").write_text(LINGERS.format(python=sys.executable))
    (tmp_path / "iperf3").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setattr("harness.throughput.ways.IPERF3", port)

    def run(command: str) -> Completed:
        done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)  # noqa: S602
        return Completed(command, done.stdout, done.stderr, done.returncode, 0.0)

    machine: Any = SimpleNamespace(run=run, name="m1")
    way = Way("pasta", 7001, 7002, os.getpid())
    for _ in range(3):
        way.serve_iperf3(machine)
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            assert client.recv(6) == b"served"
    (tmp_path / "iperf3").write_text("#!/bin/sh\necho it cannot >&2; exit 3\n")
    with pytest.raises(CommandError, match="no iperf3 server") as raised:
        way.serve_iperf3(machine)
    assert "it cannot" in raised.value.hint
