from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

import pytest
from keeper_support import child

from harness.ledger import Entry, Ledger, Remover, Swept, sweep

# A process that makes two folders through a ledger and removes the second, and dies at the step
# of the given number, as SIGKILL would have it.
CRASHING = """
import os, shutil, signal, sys
from pathlib import Path
from harness import ledger

base, last = Path(sys.argv[1]), int(sys.argv[2])
steps = 0

def step():
    global steps
    if steps == last:
        os.kill(os.getpid(), signal.SIGKILL)
    steps += 1

write = os.write
def torn(fd, data):
    step()
    global steps
    if steps == last:
        write(fd, data[:len(data) * 2 // 3])  # the middle of a line
        os.kill(os.getpid(), signal.SIGKILL)
    steps += 1
    return write(fd, data)
os.write = torn

def remove(name):
    step()
    shutil.rmtree(name, ignore_errors=True)
    step()
    return True

mine = ledger.Ledger(base / "ledger", "crashing")
for name in ("one", "two"):
    step()
    mine.note("folder", str(base / name))
    step()
    (base / name).mkdir()
    step()
mine.remove(mine.entries[-1], {"folder": remove})
step()
mine.remove(mine.entries[-1], {"folder": remove})
step()
mine.close()
print("survived", steps)
"""
STEPS = 20
"""How many points there are to die at."""


def remove_folder(name: str) -> bool:
    try:
        Path(name).rmdir()
    except FileNotFoundError:
        return False
    return True


REMOVERS: dict[str, Remover] = {"folder": remove_folder}


def ledgers(base: Path) -> list[str]:
    return sorted(path.name for path in (base / "ledger").glob("*"))


def test_the_crashing_process_has_as_many_steps_as_are_tried(tmp_path: Path) -> None:
    said, errors = child(CRASHING, tmp_path, 10_000).communicate()
    assert (said, errors) == (f"survived {STEPS}\n", "")
    assert ledgers(tmp_path) == []


def test_a_crash_at_any_step_leaves_nothing_that_a_sweep_does_not_remove(tmp_path: Path) -> None:
    running = []
    for step in range(STEPS):
        (base := tmp_path / str(step)).mkdir()
        running.append((base, child(CRASHING, base, step)))
    for base, process in running:
        said, errors = process.communicate()
        assert (process.returncode, said, errors) == (-9, "", ""), base.name
        there = {str(path) for path in base.iterdir() if path.name != "ledger"}
        os.utime(base / "ledger" / "crashing.jsonl", (0, 0))  # an empty one is left alone when new
        swept = sweep(base / "ledger", REMOVERS)
        assert {entry.name for entry in swept.removed} == there, base.name
        assert swept.failed == []
        assert [path.name for path in base.iterdir()] == ["ledger"], base.name
        assert ledgers(base) == [], base.name
        assert sweep(base / "ledger", REMOVERS) == Swept(), base.name


def test_a_sweep_removes_the_newest_first(tmp_path: Path) -> None:
    dead = Ledger(tmp_path, "dead")
    for name in "abc":
        dead.note("folder", name)
    dead._file.close()
    removed = []
    sweep(tmp_path, {"folder": lambda name: bool(removed.append(name)) or True})
    assert removed == ["c", "b", "a"]


def test_the_ledger_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    living = child(
        "import sys; from pathlib import Path; from harness.ledger import Ledger\n"
        "mine = Ledger(Path(sys.argv[1]), 'living'); mine.note('folder', sys.argv[2])\n"
        "Path(sys.argv[2]).mkdir(); print('ready', flush=True); input()",
        tmp_path / "ledger",
        tmp_path / "resource",
    )
    with living:
        assert living.stdout is not None
        assert living.stdout.readline() == "ready\n"
        assert sweep(tmp_path / "ledger", REMOVERS) == Swept()
        assert (tmp_path / "resource").is_dir()
        living.kill()
    assert sweep(tmp_path / "ledger", REMOVERS).removed == [
        Entry("folder", str(tmp_path / "resource"))
    ]


def test_a_ledger_has_one_owner(tmp_path: Path) -> None:
    with Ledger(tmp_path, "mine"), pytest.raises(BlockingIOError):
        Ledger(tmp_path, "mine")


def test_a_ledger_that_is_just_being_made_is_not_taken_for_a_dead_one(tmp_path: Path) -> None:
    newborn = tmp_path / "newborn.jsonl"
    newborn.touch()  # as between the opening and the locking of it
    sweep(tmp_path, REMOVERS)
    assert newborn.exists()
    os.utime(newborn, (0, 0))
    sweep(tmp_path, REMOVERS)
    assert not newborn.exists()


def test_an_owner_never_writes_into_a_file_that_a_sweeper_has_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = fcntl.flock

    def slow(file: int, how: int) -> None:
        monkeypatch.undo()
        (tmp_path / "mine.jsonl").unlink()
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", slow)
    mine = Ledger(tmp_path, "mine")
    mine.note("folder", "x")
    mine._file.close()
    assert sweep(tmp_path, {"folder": lambda _: True}).removed == [Entry("folder", "x")]


def test_two_sweepers_at_once_remove_everything_once_and_do_not_fail(tmp_path: Path) -> None:
    for run in range(20):
        dead = Ledger(tmp_path / "ledger", f"dead{run}")
        for number in range(3):
            (folder := tmp_path / f"{run}-{number}").mkdir()
            dead.note("folder", str(folder))
        dead._file.close()
    sweepers = [
        child(
            "import sys; from pathlib import Path; from harness.ledger import sweep\n"
            "def remove(name):\n"
            "    try: Path(name).rmdir()\n"
            "    except FileNotFoundError: return False\n"
            "    return True\n"
            "print('ready', flush=True); input()\n"
            "swept = sweep(Path(sys.argv[1]), {'folder': remove})\n"
            "print(len(swept.removed), len(swept.failed))",
            tmp_path / "ledger",
        )
        for _ in range(3)
    ]
    for sweeper in sweepers:
        assert sweeper.stdout is not None
        assert sweeper.stdout.readline() == "ready\n"
    for sweeper in sweepers:
        assert sweeper.stdin is not None
        sweeper.stdin.write("\n")
        sweeper.stdin.flush()
    ends = [sweeper.communicate() for sweeper in sweepers]
    assert [errors for _, errors in ends] == ["", "", ""]
    counts = [tuple(map(int, said.split())) for said, _ in ends]
    assert sum(removed for removed, _ in counts) == 60
    assert sum(failed for _, failed in counts) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["ledger"]
    assert ledgers(tmp_path) == []


def test_what_cannot_be_removed_stays_listed_and_is_reported(tmp_path: Path) -> None:
    dead = Ledger(tmp_path / "ledger", "dead")
    for name in ("busy", "free"):
        (tmp_path / name).mkdir()
        dead.note("folder", str(tmp_path / name))
    dead.note("unheard-of", "x")
    (tmp_path / "busy" / "file").touch()
    dead._file.close()
    stuck = Entry("folder", str(tmp_path / "busy"))
    for _ in range(2):
        swept = sweep(tmp_path / "ledger", REMOVERS)
        (_, unheard_of), (entry, why) = swept.failed
        assert "unheard-of" in unheard_of
        assert entry == stuck
        assert "not empty" in why
        assert not (tmp_path / "free").exists()
    (tmp_path / "busy" / "file").unlink()
    assert sweep(tmp_path / "ledger", REMOVERS).removed == [stuck]


def test_removals_after_a_line_that_was_cut_off_are_written_down(tmp_path: Path) -> None:
    dead = Ledger(tmp_path, "dead")
    dead.note("folder", "a")
    dead.note("folder", "b")
    dead.path.write_bytes(dead.path.read_bytes() + b'["-", "fol')
    dead._file.close()
    again = Ledger(tmp_path, "dead")
    again.remove(Entry("folder", "b"), {"folder": lambda _: True})
    again._file.close()
    assert Ledger(tmp_path, "dead").entries == [Entry("folder", "a")]


def test_a_file_full_of_rubbish_does_not_stop_a_sweep(tmp_path: Path) -> None:
    (tmp_path / "rubbish.jsonl").write_bytes(b'\xff\xfe\0\n12\n{}\n["+"]\n["+", "folder", "x"]\n')
    assert sweep(tmp_path, {"folder": lambda _: True}).removed == [Entry("folder", "x")]


def test_a_resource_is_listed_once_and_any_name_survives(tmp_path: Path) -> None:
    name = 'ü "quoted"\n\x85\u2028 name'
    with Ledger(tmp_path, "mine") as mine:
        assert mine.note("folder", name) == mine.note("folder", name)
        assert len(mine.path.read_bytes().splitlines()) == 1
        mine._file.close()
        again = Ledger(tmp_path, "mine")
        assert again.entries == [Entry("folder", name)]
        again.strike(Entry("folder", name))
        again.strike(Entry("folder", name))
        assert again.entries == []
        again.close()
    assert list(tmp_path.iterdir()) == []


def test_threads_note_and_strike_at_once_without_losing_an_entry(tmp_path: Path) -> None:
    mine = Ledger(tmp_path, "mine")

    def work(number: int) -> None:
        for each in range(50):
            mine.strike(mine.note("folder", f"gone-{number}-{each}"))
            mine.note("folder", f"{number}-{each}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = {f"{number}-{each}" for number in range(4) for each in range(50)}
    assert {entry.name for entry in mine.entries} == expected
    mine._file.close()
    assert {entry.name for entry in Ledger(tmp_path, "mine").entries} == expected


def test_a_note_that_cannot_be_written_is_an_error_before_anything_is_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = Ledger(tmp_path, "mine")
    monkeypatch.setattr(os, "write", lambda _fd, data: len(data) - 1)  # a disk that is full
    with pytest.raises(OSError, match="No space left"):
        mine.note("folder", "x")
    assert mine.entries == []


def test_a_ledger_goes_with_its_last_entry(tmp_path: Path) -> None:
    mine = Ledger(tmp_path, "mine")
    entry = mine.note("folder", "x")
    mine.close()
    assert mine.path.exists()
    again = Ledger(tmp_path, "mine")
    assert not again.remove(entry, {"folder": lambda _: False})
    again.close()
    assert not mine.path.exists()
